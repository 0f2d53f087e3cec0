"""All frames of a stored video as they are shown, and alpha of an FFV1 stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from mav_pipeline.media.streams import open_video
from mav_pipeline.schema import AlphaFrame, Frame
from mav_pipeline.schema.content import Content
from mav_pipeline.schema.errors import VideoError

MIN_SIDE = 16  # pixels; FFV1 in four slices, and every backend, want an area


def video_frames(content: Content) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of a stored video, as displayed, one by one.

    Raises:
        ValueError: it cannot be decoded.
        OSError: it cannot be read.
    """
    with open_video(content) as video:
        yield from map(video.rgb, video.frames())


def decode_alpha(content: Content, start: int = 0, stop: int | None = None) -> Iterator[AlphaFrame]:
    """The (H, W) frames ``start`` to ``stop`` of a file that ``AlphaEncoder`` wrote.

    The others are passed over: each frame is a packet of its own.

    Raises:
        ValueError: it is no such file.
        OSError: it cannot be read.
    """
    try:
        with open_video(content, format="matroska") as video:
            packets = itertools.islice(video.packets(), start, stop)
            for frame in itertools.chain.from_iterable(p.decode() for p in packets):
                if frame.format.name != "gray" or frame.is_corrupt:
                    raise ValueError(f"not whole 8-bit gray frames but {frame.format.name}")
                yield np.asarray(frame.to_ndarray(), dtype=np.uint8)
    except VideoError as error:
        raise ValueError(f"not an FFV1 Matroska file: {error}") from error


def alpha_rate(fps: float, step: int) -> Fraction:
    """Frames a second of an alpha stream whose frames are ``step`` source frames apart."""
    return Fraction(fps / step).limit_denominator(1001)
