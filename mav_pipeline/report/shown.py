"""Which frames of a masklet a report shows: over the whole clip, as far as that is cheap. Pure.

A frame of a video costs what lies between it and the key frame before it. Where all of a clip is
more than its share of what a report may decode, frames are taken from near its key frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Of video that is decoded for all pictures of a report: two seconds of one core. 24 clips with a
#: key frame every ten seconds, as encoders make them, would take ten times as long whole.
VIDEO_PIXELS = 700 * 1280 * 720

Places = NDArray[np.int64]  # (N,) indices into a clip's annotated frames


def costs(numbers: Sequence[int], keys: Sequence[int]) -> Places:
    """How many frames of a video lie before each annotated one, since the last key frame.

    Args:
        numbers: of the annotated frames, ascending.
        keys: numbers of the video's key frames, ascending from 0.
    """
    at, starts = np.asarray(numbers, np.int64), np.asarray(keys, np.int64)
    return at - starts[np.searchsorted(starts, at, side="right") - 1]


def limit(
    visible: Sequence[Sequence[int]],
    numbers: Sequence[int],
    cost: Places,
    count: int,
    frames: float,
) -> int:
    """How far behind a key frame the frames shown of a clip may lie.

    Args:
        visible: places that each of the clip's chosen masklets is seen on.
        numbers, cost: of each place.
        count: frames to show of each masklet.
        frames: of the clip's video that may be decoded.
    """
    keys = {numbers[place] - int(cost[place]) for places in visible for place in places}
    return int(frames / max(1, min(len(keys), count * len(visible))))


def shown(visible: Sequence[int], cost: Places, count: int, most: int) -> list[int]:
    """At most ``count`` of the places that a masklet is seen on, spread over those in reach.

    In reach is what costs up to ``most``; where that is not enough, the cheapest ones.
    """
    if not visible:
        return []
    count = min(count, len(visible))
    most = max(most, int(np.sort(cost[list(visible)])[count - 1]))
    near = [place for place in visible if cost[place] <= most]
    return [near[int((i + 0.5) * len(near) / count)] for i in range(count)]
