"""A masklet to look at: the object on green and on a checkerboard, side by side, as H.264. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from mav_pipeline.media.encode import VideoEncoder
from mav_pipeline.media.foreground import checkerboard, foreground, on_ground
from mav_pipeline.media.sizing import SizeRule, scale
from mav_pipeline.schema import AlphaFrame, Blob, Frame
from mav_pipeline.storage import Spool

# Each of the two is at most this large, and its sides are even, as yuv420p wants them.
_SIZE = SizeRule(mode="fit", max_pixels=960 * 540, width=1, height=1)
_EVEN = SizeRule(mode="native", max_pixels=1, width=1, height=1, multiple=2)
_CRF = 18  # so that what one sees at an edge is the matte, not the codec
_GREEN = (0, 177, 64)  # of chroma screens
_SQUARE = 16  # pixels of a checkerboard square


def preview(
    frames: Iterable[Frame],
    alphas: Iterable[AlphaFrame],
    height: int,
    width: int,
    rate: Fraction,
) -> Blob:
    """An mp4 of the frames' object, at ``rate`` frames a second.

    Args:
        frames: (height, width, 3) RGB each.
        alphas: (height, width) each, as many.
    """
    fitted = _SIZE(height, width)
    size = _EVEN(fitted.height, fitted.width)
    shape = (size.pad_height, size.pad_width)
    grounds = (np.full((*shape, 3), _GREEN, np.uint8), checkerboard(*shape, _SQUARE))
    spool = Spool()
    encoder = VideoEncoder(shape[0], 2 * shape[1], rate, _CRF, spool.file)
    for frame, alpha in zip(frames, alphas, strict=True):
        picture, share = scale(frame, size), scale(alpha, size)
        colours = foreground(picture, share)
        encoder.write(np.hstack([on_ground(colours, share, ground) for ground in grounds]))
    encoder.close()
    return spool.blob()
