"""Windows over time and the cross-fade that joins them. Pure; knows nothing of models."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """First frame of each window over ``frames`` frames.

    Neighbours share ``overlap`` frames; the last window is shifted back to end with the span, not
    shrunk, so it may share more. A span shorter than ``window`` is one short window.

    Args:
        frames: length of the span, at least 1.
        window: frames a window, above ``overlap``.
        overlap: frames shared with the next, at least 0.
    """
    assert frames >= 1
    assert 0 <= overlap < window
    last = max(0, frames - window)
    starts = list(range(0, last, window - overlap))
    return [*starts, last]


def fade_weights(starts: Sequence[int], window: int, frames: int) -> NDArray[np.float64]:
    """(windows, frames) weights of each window on each frame; every column sums to 1.

    Over the frames that two neighbours really share, k of them, the later one's weight rises
    linearly: 1/(k+1), 2/(k+1), ... Where more than two share a frame (a last window shifted back
    over two others, or an overlap above half a window), ramps are multiplied and normalised.
    """
    weights = np.zeros((len(starts), frames))
    for row, start in enumerate(starts):
        weights[row, start : start + window] = 1.0
    for row in range(1, len(starts)):
        begin, end = starts[row], min(starts[row - 1] + window, frames)
        shared = end - begin
        ramp = np.arange(1, shared + 1) / (shared + 1)
        weights[row, begin:end] *= ramp
        weights[row - 1, begin:end] *= 1 - ramp
    return np.asarray(weights / weights.sum(axis=0), dtype=np.float64)


def weights_of(row: int, starts: Sequence[int], window: int) -> NDArray[np.float64]:
    """(window,) weights of one window on its own frames.

    Row ``row`` of ``fade_weights``, but from the windows that share frames with it alone: the whole
    table grows with the square of a span's length.
    """
    start = starts[row]
    near = slice(bisect_right(starts, start - window), bisect_left(starts, start + window))
    first = starts[near.start]
    shifted = [other - first for other in starts[near]]
    table = fade_weights(shifted, window, shifted[-1] + window)
    return table[row - near.start, start - first : start - first + window]


def window_borders(starts: Sequence[int], window: int) -> list[int]:
    """The frame at which each later window comes to weigh as much as the one before, or more."""
    return [
        later + (earlier + window - later) // 2 for earlier, later in itertools.pairwise(starts)
    ]
