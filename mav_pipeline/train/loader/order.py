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


def crop_start(visible: NDArray[np.bool_], count: int, random: np.random.Generator | None) -> int:
    """The first of ``count`` consecutive frames: 0, or a random one.

    A random run shows the object on one frame at least, as long as it is ``visible`` on any; all
    such runs are equally likely. Where there are fewer frames than ``count``, it is 0.

    Args:
        visible: (T,) whether the object is seen on each frame.
    """
    if random is None or len(visible) <= count:
        return 0
    runs = np.lib.stride_tricks.sliding_window_view(visible, count)
    starts = np.flatnonzero(runs.any(axis=1))
    return int(random.choice(starts)) if starts.size else int(random.integers(len(runs)))


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
