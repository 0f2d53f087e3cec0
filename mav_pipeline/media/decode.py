"""Video in and out through PyAV: annotated frames of an mp4, FFV1 alpha in bit-exact Matroska.

One thread each way, so that neither bytes nor a worker's share of the CPU depend on the machine.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.media.sizing import pad
from mav_pipeline.schema import AlphaFrame, Frame, Frames, WorkingSize
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.interfaces import Sizing

MIN_SIDE = 16  # pixels; FFV1 in four slices, and every backend, want an area


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """The wanted frames of a video.

    Attributes:
        height, width: as displayed, rotation applied.
        fps: average rate of the stream.
        indices: source frame number of each frame kept.
        frames: (T, pad_height, pad_width, 3) RGB at ``size``.
        jpegs: the same frames at source resolution as JPEG files, where asked for.
    """

    height: int
    width: int
    fps: float
    indices: tuple[int, ...]
    size: WorkingSize
    frames: Frames
    jpegs: tuple[bytes, ...]


def decode_video(
    data: bytes,
    *,
    step: int,
    annotated: int,
    sizing: Sizing,
    max_pixels: int,
    jpegs: bool,
) -> DecodedVideo:
    """Decodes every ``step``-th frame of an mp4 for a json that annotates ``annotated`` frames.

    The video may hold one annotated frame less or more than the json (SA-V's last one is not
    always there); the frames that both have are kept.

    Raises:
        InputError: empty, corrupt, without a video stream, too large, or of another length.
    """
    if not data:
        raise _bad("empty", "the file has 0 bytes")
    try:
        with av.open(io.BytesIO(data), mode="r", metadata_errors="ignore") as container:
            if not container.streams.video:
                raise _bad("no_video", "the file has no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise _bad("corrupt", "the video's codec is not known")
            stream.codec_context.thread_count = 1
            _guard(stream.codec_context.width, stream.codec_context.height, max_pixels)
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            kept = _Kept(annotated, sizing, jpegs)
            count = 0
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise _bad("corrupt", f"frame {count} is corrupt")
                if count % step == 0:
                    kept.add(frame, count)
                count += 1
                if count > step * (annotated + 1):
                    break
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise _bad("corrupt", f"the video cannot be decoded: {_short(error)}") from error
    have = -(-count // step)
    if have == 0 or abs(have - annotated) > 1:
        more = "or more " if count > step * (annotated + 1) else ""
        cause = (
            f"the video has {count} {more}frames, {have} {more}annotated ones at every {step}; "
            f"the json annotates {annotated}"
        )
        raise _bad("frame_count", cause)
    return kept.video(fps if fps > 0 else 24.0)


class _Kept:
    """Collects wanted frames straight into one array at the working size."""

    def __init__(self, annotated: int, sizing: Sizing, jpegs: bool) -> None:
        self._annotated, self._sizing, self._want_jpegs = annotated, sizing, jpegs
        self._shape: tuple[int, int] | None = None
        self._indices: list[int] = []
        self._jpegs: list[bytes] = []

    def add(self, frame: av.VideoFrame, index: int) -> None:
        turns = (frame.rotation // 90) % 4
        height, width = (frame.height, frame.width)[:: -1 if turns % 2 else 1]
        if self._shape is None:
            self._shape, self._size = (height, width), self._sizing(height, width)
            size = self._size
            shape = (self._annotated, size.pad_height, size.pad_width, 3)
            self._frames: Frames = np.empty(shape, np.uint8)
        if (height, width) != self._shape:
            cause = (
                f"frame {index} is {width}x{height}, the first {self._shape[1]}x{self._shape[0]}"
            )
            raise _bad("size_changes", cause)
        if len(self._indices) == self._annotated:
            return
        size = self._size
        scaled = _rgb(frame, *(size.height, size.width)[:: -1 if turns % 2 else 1])
        self._frames[len(self._indices)] = pad(np.rot90(scaled, turns), size)
        if self._want_jpegs:
            self._jpegs.append(encode_jpeg(upright(frame)))
        self._indices.append(index)

    def video(self, fps: float) -> DecodedVideo:
        assert self._shape is not None
        frames = self._frames[: len(self._indices)]
        return DecodedVideo(
            *self._shape, fps, tuple(self._indices), self._size, frames, tuple(self._jpegs)
        )


def video_frames(data: bytes) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of a stored video, as displayed, one by one.

    Raises:
        ValueError: it cannot be decoded.
    """
    try:
        with av.open(io.BytesIO(data), mode="r", metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            yield from map(upright, container.decode(stream))
    except (av.FFmpegError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not a video: {_short(error)}") from error


def upright(frame: av.VideoFrame) -> Frame:
    """(H, W, 3) RGB at source resolution, as displayed."""
    return np.rot90(_rgb(frame, frame.height, frame.width), frame.rotation // 90 % 4)


def _rgb(frame: av.VideoFrame, height: int, width: int) -> Frame:
    same = (height, width) == (frame.height, frame.width)
    out = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        interpolation="BICUBIC" if same else "AREA",
        threads=1,
    )
    return np.asarray(out.to_ndarray(), dtype=np.uint8)


def decode_alpha(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[AlphaFrame]:
    """The (H, W) frames ``start`` to ``stop`` of a file that ``AlphaEncoder`` wrote.

    The others are passed over: each frame is a packet of its own.

    Raises:
        ValueError: it is no such file.
    """
    try:
        with av.open(io.BytesIO(data), mode="r", format="matroska") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            packets = itertools.islice(container.demux(stream), start, stop)
            for frame in itertools.chain.from_iterable(p.decode() for p in packets):
                if frame.format.name != "gray" or frame.is_corrupt:
                    raise ValueError(f"not whole 8-bit gray frames but {frame.format.name}")
                yield np.asarray(frame.to_ndarray(), dtype=np.uint8)
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"not an FFV1 Matroska file: {error}") from error


def alpha_rate(fps: float, step: int) -> Fraction:
    """Frames a second of an alpha stream whose frames are ``step`` source frames apart."""
    return Fraction(fps / step).limit_denominator(1001)


def _guard(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        cause = f"{width}x{height} is {width * height} pixels, source.max_pixels is {max_pixels}"
        raise _bad("max_pixels", cause, status="skipped")
    if min(width, height) < MIN_SIDE:
        raise _bad("too_small", f"{width}x{height}, a side must have {MIN_SIDE} pixels")


def _bad(reason: str, cause: str, **status: Any) -> InputError:
    return InputError(reason, cause, role="video", stage="decode", **status)


def _short(error: BaseException) -> str:
    """An FFmpeg error without the file name it ends with, which differs from run to run."""
    return str(getattr(error, "strerror", None) or error)
