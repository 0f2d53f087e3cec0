"""The wanted frames of a stored video, and few others decoded than they need.

A first pass over the packets notes their times; then each wanted frame is decoded from the key
frame before it on. No more than one packet is in memory.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.packets import read_timing
from mav_pipeline.media.streams import OpenVideo, open_video
from mav_pipeline.schema import Frame
from mav_pipeline.schema.content import Content
from mav_pipeline.schema.errors import VideoError


def decode_frames(content: Content, numbers: Sequence[int]) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of ascending ``numbers``: those of ``video_frames``.

    Decodes from the last key frame before each of them, and on the way leaves out what is neither
    wanted nor needed to predict another frame.

    Raises:
        ValueError: the video cannot be decoded, or ends before.
        OSError: it cannot be read.
    """
    if not numbers:
        return
    with open_video(content) as video:
        index = _Index.of(video)
        if index is not None and len(index.times) > numbers[-1]:
            reader = _Reader(content, video, index, frozenset(numbers))
            for number in numbers:
                yield video.rgb(reader.frame(number))
            return
    left = deque(numbers)
    with open_video(content) as video:
        for number, frame in enumerate(video.frames()):
            if number == left[0]:
                yield video.rgb(frame)
                left.popleft()
                if not left:
                    return
    raise VideoError("frame_count", f"the video has no frame {left[0]}")


def key_frames(content: Content) -> tuple[int, ...]:
    """The numbers of a video's key frames, where decoding can begin; (0,) where times tell none.

    Raises:
        ValueError: the video cannot be read.
        OSError: it cannot be read.
    """
    with open_video(content) as video:
        index = _Index.of(video)
    return (0,) if index is None else tuple(sorted(index.numbers[index.keys].tolist()))


@dataclass(frozen=True, slots=True)
class _Index:
    """The packets of a stream whose times tell the numbers of their frames.

    Attributes:
        times: when each packet's frame is shown, in the order of the file.
        numbers: of each packet's frame.
        places: of each frame's packet: the inverse of ``numbers``.
        keys: places of the packets of key frames.
    """

    times: NDArray[np.int64]
    numbers: NDArray[np.int64]
    places: NDArray[np.int64]
    keys: NDArray[np.int64]

    @classmethod
    def of(cls, video: OpenVideo) -> _Index | None:
        """None where the packets do not tell the numbers of frames."""
        timing = read_timing(video)
        if timing is None:
            return None
        places = np.argsort(timing.times)
        return cls(timing.times, np.argsort(places), places, timing.keys)

    def start(self, number: int) -> int:
        """Place of the last packet of a key frame that is shown no later than frame ``number``."""
        return int(self.keys[self.numbers[self.keys] <= number].max())

    def number(self, time: int | None) -> int:
        """The number of the frame that is shown at ``time``, -1 where there is none."""
        if time is None:
            return -1
        found = int(np.searchsorted(self.times, time, sorter=self.places))
        return found if found < len(self.times) and self.times[self.places[found]] == time else -1

    def place(self, time: int | None) -> int:
        """The place of the packet whose frame is shown at ``time``, -1 where there is none."""
        number = self.number(time)
        return -1 if number < 0 else int(self.places[number])


class _Reader:
    """Decodes the frames of ascending numbers.

    Args:
        video: open; at its end, since the index was read.
        needed: all the numbers that will be asked for.
    """

    def __init__(
        self, content: Content, video: OpenVideo, index: _Index, needed: frozenset[int]
    ) -> None:
        self._content, self._video, self._index, self._needed = content, video, index, needed
        self._packets: Iterator[Any] = iter(())
        self._place = -1  # of the packet that comes next; none yet
        self._decoded = deque[av.VideoFrame]()

    def frame(self, number: int) -> av.VideoFrame:
        """The frame of that number."""
        start = self._index.start(number)
        if start > self._place:
            self._packets, self._place = self._from(start), start
            self._decoded.clear()
        while True:
            while self._decoded:
                frame = self._decoded.popleft()
                if self._index.number(frame.pts) == number:
                    return frame
            packet = next(self._packets, None)
            if packet is None:
                raise VideoError("frame_count", f"the video has no frame {number}")
            wanted = self._index.number(packet.pts) in self._needed
            packet.stream.codec_context.skip_frame = "DEFAULT" if wanted else "NONREF"
            self._decoded.extend(packet.decode())
            self._place += 1

    def _from(self, start: int) -> Iterator[Any]:
        """The packets from that place on, for a decoder that has seen none before."""
        video = self._video
        try:
            video.container.seek(int(self._index.times[start]), stream=video.stream)
            packets = video.packets()
            first = next(packets)
        except av.FFmpegError:
            return self._read_up_to(start)
        place = self._index.place(first.pts)
        if not 0 <= place <= start:
            return self._read_up_to(start)
        return itertools.islice(itertools.chain((first,), packets), start - place, None)

    def _read_up_to(self, start: int) -> Iterator[Any]:
        """The same where a seek lands elsewhere: read from the beginning."""
        with open_video(self._content) as video:
            yield from itertools.islice(video.packets(), start, None)
