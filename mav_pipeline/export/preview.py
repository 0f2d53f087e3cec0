"""A masklet to look at: the object on green and on a checkerboard, side by side, as H.264. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.encode import VideoEncoder
from mav_pipeline.media.sizing import SizeRule, scale
from mav_pipeline.schema import AlphaFrame, Frame

# Each of the two is at most this large, and its sides are even, as yuv420p wants them.
_SIZE = SizeRule(mode="fit", max_pixels=960 * 540, width=1, height=1, multiple=2)
_CRF = 18  # so that what one sees at an edge is the matte, not the codec
_GREEN = (0, 177, 64)  # of chroma screens
_LIGHT, _DARK, _SQUARE = 225, 165, 16
# Of the mean side: how far colours are taken from, coarse to fine. The paper has the last two; the
# first halves the error of edges as wide as motion blur's.
_REACHES = (0.2, 0.05, 0.01)

Picture = NDArray[np.float32]  # (H, W, 3) in [0, 255], or a weight of (H, W, 1)


def preview(
    frames: Iterable[Frame],
    alphas: Iterable[AlphaFrame],
    height: int,
    width: int,
    rate: Fraction,
) -> bytes:
    """An mp4 of the frames' object, at ``rate`` frames a second.

    Args:
        frames: (height, width, 3) RGB each.
        alphas: (height, width) each, as many.
    """
    size = _SIZE(height, width)
    shape = (size.pad_height, size.pad_width)
    grounds = (np.full((*shape, 3), _GREEN, np.float32), _checkerboard(*shape))
    encoder = VideoEncoder(shape[0], 2 * shape[1], rate, _CRF)
    for frame, alpha in zip(frames, alphas, strict=True):
        picture, share = scale(frame, size), scale(alpha, size)
        colours = foreground(picture, share)
        opacity = share[..., None].astype(np.float32) / 255
        sides = [opacity * colours + (1 - opacity) * ground for ground in grounds]
        encoder.write(np.rint(np.hstack(sides)).astype(np.uint8))
    return encoder.close()


def foreground(frame: Frame, alpha: AlphaFrame) -> Picture:
    """The object's own colours, without what lies behind it: (H, W, 3) in [0, 255].

    Blur fusion (Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021): mean
    colours of object and background around a pixel, weighted by alpha, then what is left of the
    pixel's own colour I = a F + (1 - a) B goes to the object by its share; coarse to fine.
    """
    picture: Picture = frame.astype(np.float32)
    share: Picture = alpha[..., None].astype(np.float32) / np.float32(255)
    front = back = picture
    for reach in _REACHES:
        side = 2 * round(reach * (alpha.shape[0] + alpha.shape[1]) / 4) + 1
        front = _mean(front, share, side)
        back = _mean(back, np.float32(1) - share, side)
        front = front + share * (picture - share * front - (1 - share) * back)
    return np.clip(front, 0, 255)


def _mean(colours: Picture, weight: Picture, side: int) -> Picture:
    """Weighted mean in a square; where it has no weight, 0, which no composite shows."""
    size = (side, side)
    sums = cv2.blur(colours * weight, size)
    return np.asarray(sums / (cv2.blur(weight, size)[..., None] + 1e-5), np.float32)


def _checkerboard(height: int, width: int) -> Picture:
    y, x = np.indices((height, width)) // _SQUARE
    gray = np.where((y + x) % 2, _DARK, _LIGHT).astype(np.float32)
    return np.repeat(gray[..., None], 3, axis=2)
