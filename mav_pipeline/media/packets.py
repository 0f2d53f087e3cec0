"""What a video's packets tell of its frames, if they do: how many, and when each is shown."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.streams import OpenVideo

# Containers that keep the times of frames, and codecs with one frame a packet. Not so: AVI (no
# times), MPEG-4 part 2 (two frames in a packet, and packets without one), VP8 (hidden frames).
_CONTAINERS = frozenset({"mov", "matroska"})
_PREDICTED = frozenset({"h264", "hevc", "vp9", "av1"})
_EACH_BY_ITSELF = frozenset(
    {"mjpeg", "prores", "dnxhd", "cfhd", "jpeg2000", "ffv1", "png", "dvvideo", "rawvideo", "v210"}
)


@dataclass(frozen=True, slots=True)
class Timing:
    """The packets of a stream, each of one frame.

    Attributes:
        times: when each packet's frame is shown, in the order of the file, in the stream's unit.
        keys: places of the packets of key frames.
    """

    times: NDArray[np.int64]
    keys: NDArray[np.int64]


def read_timing(video: OpenVideo, look: Callable[[Any], bool] = lambda _: True) -> Timing | None:
    """Reads all packets and keeps a few bytes of each; None where they do not tell.

    They do where each packet is one frame, whole, shown, and at a time of its own, and the first
    one is a key frame and the first to be shown: else the decoder may drop what it cannot predict,
    and counts without it.

    Args:
        look: called with the first packet; False from it means that they do not tell.
    """
    codec = video.context.codec.canonical_name
    if _CONTAINERS.isdisjoint(video.container.format.name.split(",")):
        return None
    if codec not in _PREDICTED | _EACH_BY_ITSELF:
        return None
    times, keys = array("q"), array("q")
    for packet in video.packets():
        if not packet.size:
            break
        if packet.pts is None or packet.is_corrupt or packet.is_discard:
            return None
        if codec == "vp9" and not _is_shown(packet):
            return None
        if packet.is_keyframe:
            keys.append(len(times))
        if not times and not (keys and look(packet)):
            return None
        times.append(packet.pts)
    at = np.asarray(times)
    whole = video.stream.frames in (0, len(at))
    if not (len(at) and whole and at[0] == at.min() and len(np.unique(at)) == len(at)):
        return None
    return Timing(at, np.asarray(keys))


def _is_shown(packet: Any) -> bool:
    """Whether a VP9 packet shows a frame: it is a superframe, or its header says so.

    Source: VP9 bitstream specification, section 6.2 and annex B.
    """
    data = memoryview(packet)
    if data[-1] & 0xE0 == 0xC0:
        return True
    is_profile_3 = data[0] & 0x30 == 0x30
    bits = int.from_bytes(bytes(data[:2]), "big") >> (0 if is_profile_3 else 1)
    show_existing_frame, show_frame = bits >> 10 & 1, bits >> 8 & 1
    return bool(show_existing_frame or show_frame)
