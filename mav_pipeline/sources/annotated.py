"""Which frames a clip has whose masks are files of their own, and where it is annotated. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence


def clip_frames(masks: Collection[int], frames: Collection[int]) -> tuple[int, ...]:
    """The frames of a clip: those that have a mask, and those that could have one.

    Masks that come at a steady step through the clip are all there is: SA-V annotates every fourth
    of its frames. Others stand on a few frames only, the first mostly, and every frame is the
    clip's, annotated or not.

    A step is steady where the distances between masks are multiples of the smallest one, masks
    stand on half of the places from the first to the last at the least, and there are three masks
    or no room for two more.

    Args:
        masks: numbers of the frames that have a mask for some object, at least one.
        frames: numbers of the frames there are.

    Returns:
        Numbers out of ``frames``, ascending.
    """
    step = _step(sorted(masks), max(frames, default=0))
    first = min(masks)
    return tuple(number for number in sorted(frames) if (number - first) % step == 0)


def _step(masks: Sequence[int], last: int) -> int:
    distances = [after - before for before, after in itertools.pairwise(masks)]
    if not distances:
        return 1
    step = min(distances)
    is_even = all(distance % step == 0 for distance in distances)
    is_dense = 2 * len(distances) >= (masks[-1] - masks[0]) // step
    is_long = len(masks) > 2 or masks[-1] + 2 * step > last
    return step if is_even and is_dense and is_long else 1
