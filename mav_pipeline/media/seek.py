"""The wanted frames of a stored video, and few others decoded than they need.

A first pass notes the time of each packet, a second one reads from the right key frame on: no more
than one packet is in memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.streams import OpenVideo, open_video
from mav_pipeline.schema import Frame
from mav_pipeline.schema.content import Content


def decode_frames(content: Content, numbers: Sequence[int]) -> Iterator[Frame]:
    """The (H, W, 3) RGB frames of ascending ``numbers``: those of ``video_frames``.

    Decodes from the last key frame before the first of them to the last of them, and on the way
    leaves out what is neither wanted nor needed to predict another frame.

    Raises:
        ValueError: the video cannot be decoded, or ends before.
        OSError: it cannot be read.
    """
    left = list(reversed(numbers))
    if not left:
        return
    with open_video(content) as video:
        index = _Index.of(video)
    with open_video(content) as video:
        for number, frame in (
            _from_key(video, index, numbers)
            if index is not None and len(index.times) > numbers[-1]
            else enumerate(video.frames())
        ):
            if number == left[-1]:
                yield video.rgb(frame)
                left.pop()
            if not left:
                return
    raise ValueError(f"the video has no frame {left[-1]}")


@dataclass(frozen=True, slots=True)
class _Index:
    """The packets of a stream whose times tell the numbers of their frames.

    Attributes:
        times: when each packet's frame is shown, in the order of the file.
        numbers: of each packet's frame.
        keys: places of the packets of key frames.
    """

    times: NDArray[np.int64]
    numbers: NDArray[np.int64]
    keys: NDArray[np.int64]

    @classmethod
    def of(cls, video: OpenVideo) -> _Index | None:
        """None where times do not tell.

        They do where the first packet is a key frame and the first one shown: else the decoder may
        drop what it cannot predict, and counts without it.
        """
        times, keys, ended = array("q"), array("q"), False
        for packet in video.packets():
            if not packet.size:
                ended = True
                continue
            if ended or packet.pts is None or packet.is_discard:
                return None
            if packet.is_keyframe:
                keys.append(len(times))
            times.append(packet.pts)
        at = np.asarray(times)
        ordered = np.unique(at)
        if not (len(at) and len(ordered) == len(at) and at[0] == ordered[0] and 0 in keys[:1]):
            return None
        return cls(at, np.searchsorted(ordered, at), np.asarray(keys))

    def start(self, number: int) -> int:
        """Place of the last packet of a key frame that is shown no later than frame ``number``."""
        return int(self.keys[self.numbers[self.keys] <= number].max())


def _from_key(
    video: OpenVideo, index: _Index, wanted: Sequence[int]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers, in order; all that are ``wanted``, and some more."""
    start, needed = index.start(wanted[0]), frozenset(wanted)
    ordered = np.sort(index.times)
    for place, packet in enumerate(video.packets()):
        if place < start:
            continue
        number = int(index.numbers[place]) if place < len(index.numbers) else -1
        video.context.skip_frame = "DEFAULT" if number in needed else "NONREF"
        for frame in packet.decode():
            yield _number_at(ordered, frame.pts), frame


def _number_at(ordered: NDArray[np.int64], time: Any) -> int:
    """The number of the frame that is shown at ``time``, -1 where there is none."""
    if time is None:
        return -1
    place = int(np.searchsorted(ordered, time))
    return place if place < len(ordered) and ordered[place] == time else -1
