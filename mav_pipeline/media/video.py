"""The annotated frames of a video, in two passes that hold one frame at a time.

    probe_video         size, rate and which frames: by packets, or by decoding where they may lie
    annotated_frames    the frames, decoded in time order; holds the file to what pass one said

Whatever the first pass does not find wholly ordinary it decodes, so that a clip's fate never
depends on how it was counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np

from mav_pipeline.media.decode import MIN_SIDE
from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.media.packets import read_timing
from mav_pipeline.media.sizing import pad
from mav_pipeline.media.streams import OpenVideo, open_video
from mav_pipeline.schema import Frame, WorkingSize
from mav_pipeline.schema.content import Content, size_of
from mav_pipeline.schema.errors import InputError, VideoError
from mav_pipeline.schema.statuses import ProblemStatus

_RATE = 24.0  # frames a second where the file names none: SA-V's


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What pass one tells of a video.

    Attributes:
        height, width: as displayed, rotation applied.
        fps: average rate of the stream.
        indices: source frame number of each annotated frame that is there.
        step: how many source frames lie between two annotated ones.
        annotated: how many the annotation has; None where the video alone decides.
    """

    height: int
    width: int
    fps: float
    indices: tuple[int, ...]
    step: int
    annotated: int | None

    def thinned(self, stride: int) -> VideoFacts:
        """The same video with every ``stride``-th annotated frame alone."""
        annotated = None if self.annotated is None else -(-self.annotated // stride)
        indices, step = self.indices[::stride], self.step * stride
        return replace(self, indices=indices, step=step, annotated=annotated)


def probe_video(
    content: Content, *, step: int, annotated: int | None, max_pixels: int
) -> VideoFacts:
    """Counts and measures a video of which every ``step``-th frame is annotated.

    The video may hold one annotated frame less or more than ``annotated`` (SA-V's last one is not
    always there); the frames that both have are kept.

    Args:
        annotated: frames that the annotation has; None: as many as the video has.

    Raises:
        InputError: empty, corrupt, without a video stream, too large, or of another length.
        OSError: the content cannot be read.
    """
    tally = _Tally(step, annotated)
    with _input_errors():
        if not size_of(content):
            raise VideoError("empty", "the file has 0 bytes")
        with open_video(content) as video:
            _guard(video.context.width, video.context.height, max_pixels)
            rate = video.stream.average_rate or video.stream.guessed_rate
            found = _by_packets(video)
        if found is None or not tally.agrees(found.count):
            found = _by_frames(content, tally)
        tally.check(found.count)
    indices = tuple(range(0, step * tally.kept(found.count), step))
    fps = float(rate) if rate and rate > 0 else _RATE
    return VideoFacts(*found.shape, fps, indices, step, annotated)


def annotated_frames(
    content: Content,
    facts: VideoFacts,
    size: WorkingSize,
    *,
    only: Collection[int] | None = None,
    jpeg: Callable[[int, bytes], None] | None = None,
) -> Iterator[Frame]:
    """The frames of ``facts.indices`` in time order, one by one.

    Args:
        size: the working size of ``facts.height`` x ``facts.width``.
        only: numbers of those that are wanted; None: all.
        jpeg: called with (source frame number, JPEG file at source resolution) of each frame,
            before it is given.

    Yields:
        (pad_height, pad_width, 3) RGB, as displayed.

    Raises:
        InputError: as ``probe_video``; also where the file decodes to other frames than pass one
            counted. Where the last frame is at fault, all others have been given.
        OSError: the content cannot be read.
    """
    tally, count = _Tally(facts.step, facts.annotated), 0
    left = iter(facts.indices)
    with _input_errors():
        with open_video(content) as video:
            for count, frame in _counted(video, tally, (facts.height, facts.width)):
                if (count - 1) % facts.step or (index := next(left, None)) is None:
                    continue
                if only is None or index in only:
                    if jpeg is not None:
                        jpeg(index, encode_jpeg(video.rgb(frame)))
                    scaled = video.rgb(frame, (size.height, size.width))
                    yield np.ascontiguousarray(pad(scaled, size))
        tally.check(count)
        if (kept := tally.kept(count)) != len(facts.indices):
            cause = (
                f"the video has {count} frames, {kept} at every {facts.step}; its packets told of "
                f"{len(facts.indices)}"
            )
            raise VideoError("frame_count", cause)


@dataclass(frozen=True, slots=True)
class _Tally:
    """How many frames a video may have whose annotation has ``annotated`` frames."""

    step: int
    annotated: int | None

    @property
    def limit(self) -> int | None:
        """So many frames are looked at, and one more: then there are too many."""
        return None if self.annotated is None else self.step * (self.annotated + 1)

    def have(self, count: int) -> int:
        """Annotated frames among ``count``."""
        return -(-count // self.step)

    def kept(self, count: int) -> int:
        """Those that the annotation has too."""
        have = self.have(count)
        return have if self.annotated is None else min(have, self.annotated)

    def agrees(self, count: int) -> bool:
        """Whether so many will do."""
        have = self.have(count)
        return have > 0 and (self.annotated is None or abs(have - self.annotated) <= 1)

    def check(self, count: int) -> None:
        """Raises VideoError where ``count`` frames are too few or too many."""
        if self.agrees(count):
            return
        if self.annotated is None:
            raise VideoError("corrupt", "the video has no frame that can be decoded")
        more = "or more " if self.limit is not None and count > self.limit else ""
        raise VideoError(
            "frame_count",
            f"the video has {count} {more}frames, {self.have(count)} {more}annotated ones at every "
            f"{self.step}; the json annotates {self.annotated}",
        )


@dataclass(frozen=True, slots=True)
class _Found:
    shape: tuple[int, int]
    count: int


def _by_packets(video: OpenVideo) -> _Found | None:
    """Size and number of frames, of which the first is decoded; None where that is not sure."""
    first: list[av.VideoFrame] = []

    def look(packet: Any) -> bool:
        first.extend((*packet.decode(), *video.context.decode(None)))
        return bool(first) and not (first[0].is_corrupt or first[0].interlaced_frame)

    try:
        timing = read_timing(video, look)
        if timing is None or first[0].pts != timing.times[0]:
            return None
        return _Found(video.shape(first[0]), len(timing.times))
    except (av.FFmpegError, VideoError):
        return None


def _by_frames(content: Content, tally: _Tally) -> _Found:
    """Size and number of frames, of which all are decoded, up to one more than there may be."""
    shape, count = (0, 0), 0
    with open_video(content) as video:
        for count, frame in _counted(video, tally, None):
            if count == 1:
                shape = video.shape(frame)
    return _Found(shape, count)


def _counted(
    video: OpenVideo, tally: _Tally, shape: tuple[int, int] | None
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decoded frames, each with how many there are up to it; checks that they are whole.

    Args:
        shape: as displayed, that annotated frames must have; None: that of the first.
    """
    for number, frame in enumerate(video.frames()):
        if frame.is_corrupt:
            raise VideoError("corrupt", f"frame {number} is corrupt")
        if number % tally.step == 0:
            found = video.shape(frame)
            shape = shape or found
            if found != shape:
                cause = f"frame {number} is {found[1]}x{found[0]}, the first {shape[1]}x{shape[0]}"
                raise VideoError("size_changes", cause)
        yield number + 1, frame
        if tally.limit is not None and number + 1 > tally.limit:
            return


def _guard(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        cause = f"{width}x{height} is {width * height} pixels, source.max_pixels is {max_pixels}"
        raise VideoError("max_pixels", cause)
    if min(width, height) < MIN_SIDE:
        raise VideoError("too_small", f"{width}x{height}, a side must have {MIN_SIDE} pixels")


@contextlib.contextmanager
def _input_errors() -> Iterator[None]:
    """Turns a ``VideoError`` into the row's error."""
    try:
        yield
    except VideoError as error:
        status: ProblemStatus = "skipped" if error.reason == "max_pixels" else "failed"
        raise InputError(
            error.reason, error.cause, role="video", stage="decode", status=status
        ) from error
