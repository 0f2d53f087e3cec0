"""Which frames a clip has whose masks are files of their own, and where it is annotated. Pure."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

from mav_pipeline.schema import Masklet, Problem, Rle

_CLOSE = 8  # frames from mask to mask: SA-V has 4, YouTube-VOS with every frame 5
_MANY = 8  # masks: that so many stand at equal distances is no chance


def clip_frames(masks: Collection[int], frames: Collection[int]) -> tuple[int, ...]:
    """The frames of a clip: those that have a mask, and those that could have one.

    Masks that come at a steady step through the clip are all there is: SA-V annotates every fourth
    of its frames. Others stand on a few frames only, such as the first, and every frame is the
    clip's, annotated or not.

    A step is steady where the distances between masks are multiples of the smallest one, masks
    stand on half of the places from the first to the last at the least, they are close together or
    many, and of two the second is near the end.

    Args:
        masks: numbers of the frames that have a mask for some object, at least one.
        frames: numbers of the frames there are.

    Returns:
        Numbers out of ``frames``, ascending.
    """
    numbers, ordered = sorted(masks), sorted(frames)
    step = _step(numbers)
    between = bisect_right(ordered, numbers[0] + step) - bisect_right(ordered, numbers[0])
    is_long = len(numbers) > 2 or numbers[-1] + 2 * step > max(frames, default=0)
    if not (step and is_long and (between <= _CLOSE or len(numbers) >= _MANY)):
        return tuple(ordered)
    return tuple(number for number in ordered if (number - numbers[0]) % step == 0)


def thinned(indices: Sequence[int], first: int, stride: int) -> tuple[int, ...]:
    """Every ``stride``-th frame of a clip, such that the ``first`` annotated one is taken."""
    return tuple(indices[indices.index(first) % stride :: stride])


def looked_for(looked: Sequence[bool], seen: Collection[int]) -> Sequence[bool]:
    """Where somebody looked for an object of label images.

    Where those stand on some frames only, they need not show all objects: YouTube-VOS draws those
    of its validation set once each, when they appear.

    Args:
        looked: of each frame, whether it has a label image.
        seen: the places of frames on which the object is drawn.
    """
    return looked if all(looked) else [place in seen for place in range(len(looked))]


def image_masklet(
    kind: str,
    item: int,
    rles: Mapping[int, Rle],
    annotated: Sequence[bool],
    *,
    void_pixels: int | None = None,
    problem: Problem | None = None,
    rules: tuple[str, ...] = (),
) -> Masklet:
    """The masklet of object ``item``.

    Args:
        rles: its masks by the place of their frames in the clip.
        annotated: of each frame of the clip, whether somebody looked for it there.
    """
    return Masklet(
        name=f"{kind}_{item:03d}",
        id=item,
        kind=kind,
        rles=tuple(rles.get(place) for place in range(len(annotated))),
        problem=problem,
        annotated=None if all(annotated) else tuple(annotated),
        void_pixels=void_pixels,
        rules=rules,
    )


def _step(masks: Sequence[int]) -> int:
    """From mask to mask; 0 where that is uneven, or where masks are missing more often than not."""
    distances = [after - before for before, after in itertools.pairwise(masks)]
    step = min(distances, default=0)
    if any(distance % step for distance in distances):
        return 0
    return step if step and 2 * len(distances) >= (masks[-1] - masks[0]) // step else 0
