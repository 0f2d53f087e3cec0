"""Which item comes when, and to whom; where crops begin. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def share(count: int, part: int, parts: int) -> range:
    """The places of ``count`` that fall to one of ``parts``: shares differ by one at the most."""
    return range(count * part // parts, count * (part + 1) // parts)


def epoch_order(
    shards: NDArray[np.int64], *, seed: int, epoch: int, shuffle: bool, draws: int | None
) -> NDArray[np.int64]:
    """The items of an epoch; those of one shard stand together, in its own order.

    Args:
        shards: (N,) the shard of each item, ascending.
        shuffle: whether shards change places from epoch to epoch.
        draws: how many items to draw with replacement; None takes each once.
    """
    random = np.random.default_rng((seed, epoch))
    picked = np.arange(len(shards))
    if draws is not None:
        picked = np.sort(random.integers(len(shards), size=draws))
    if not shuffle:
        return picked
    places = random.permutation(int(shards[-1]) + 1)
    return picked[np.argsort(places[shards[picked]], kind="stable")]


def crop_frames(
    visible: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    count: int | None,
    random: np.random.Generator | None,
    *,
    seen_first: bool = False,
) -> tuple[int, int]:
    """Start and end of ``count`` consecutive usable frames: the first such run, or a random one.

    A random run shows the object on one frame at least, as long as one does; all such runs are
    equally likely. Where none is long enough, or ``count`` is None, it is the longest there is.

    Args:
        visible: (T,) whether the object is seen on each frame.
        usable: (T,) whether each frame may be taken; one must.
        seen_first: whether the run must begin with the object, as long as it is seen on a usable
            frame; it may then be shorter than there is room for.
    """
    edges = np.flatnonzero(np.diff(np.r_[False, usable, False]))
    begins, ends = edges[::2], edges[1::2]
    if seen_first and (visible & usable).any():
        starts = np.flatnonzero(visible & usable)
        room = ends[np.searchsorted(begins, starts, side="right") - 1] - starts
        room = np.minimum(room, len(usable) if count is None else count)
        starts = starts[room == room.max()]
        start = int(starts[0] if random is None else random.choice(starts))
        return start, start + int(room.max())
    longest = int(np.argmax(ends - begins))
    if count is None or ends[longest] - begins[longest] <= count:
        return int(begins[longest]), int(ends[longest])
    windows = np.lib.stride_tricks.sliding_window_view
    starts = np.flatnonzero(windows(usable, count).all(axis=1))
    if random is None:
        return int(starts[0]), int(starts[0]) + count
    shown = starts[windows(visible, count)[starts].any(axis=1)]
    start = int(random.choice(shown if shown.size else starts))
    return start, start + count


def crop_window(
    shape: tuple[int, int], size: tuple[int, int], random: np.random.Generator | None
) -> tuple[slice, slice]:
    """Rows and columns of the largest part of ``shape`` with the sides' ratio of ``size``.

    It lies in the middle, or anywhere.
    """
    scale = min(shape[0] / size[0], shape[1] / size[1])
    sides = [max(1, round(side * scale)) for side in size]
    spare = [whole - side for whole, side in zip(shape, sides, strict=True)]
    starts = [rest // 2 if random is None else int(random.integers(rest + 1)) for rest in spare]
    rows, columns = (slice(at, at + side) for at, side in zip(starts, sides, strict=True))
    return rows, columns
