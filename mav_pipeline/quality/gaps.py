"""Where a masklet has no mask, or a crumb of one, though it was seen just before. Pure.

Masks alone say where to look; whether the object is there is for the pictures to say: ``lost``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from mav_pipeline.media.masks import rle_box
from mav_pipeline.quality.region import Box
from mav_pipeline.schema import Rle

_CRUMB = 0.2  # a mask below this share of the one before and after is a crumb of it
_WHOLE = 0.5  # an object is whole at this share of its area on the frames next to it
_NEAR = 3  # that many of them
_LEAST = 100  # pixels: a smaller object shows too little of itself to be known again
_BORDER = 0.01  # within this share of the frame's side from its border an object may be leaving
_SAME = 0.5  # IoU of boxes: an object at the border before and after is still there


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames on which an object is missing, or its mask is a crumb.

    Attributes:
        before: the last frame on which it is whole.
        frames: those of the gap that somebody looked for it on, in order; at least one.
        after: the next frame on which it is whole; None where there is none.
    """

    before: int
    frames: tuple[int, ...]
    after: int | None


def find_gaps(rles: Sequence[Rle | None], looked_for: Sequence[bool]) -> tuple[Gap, ...]:
    """The gaps in which a tracker may have lost its object, in order; they share borders at most.

    Left out are those of objects that shrink before or grow after (another covers them, or they
    go), that are tiny, or that may have left through the frame's border.
    """
    areas = [0 if rle is None else rle.area for rle in rles]
    whole = _whole(areas)
    found = []
    for place, (before, after) in enumerate(itertools.zip_longest(whole, whole[1:])):
        stop = len(rles) if after is None else after
        frames = tuple(n for n in range(before + 1, stop) if looked_for[n])
        # One that never comes back must be as it was: what shrank may be a crumb of another.
        first = 0 if after is None else max(0, place - _NEAR)
        if not frames or not _sudden(areas, whole[first : place + 1], before):
            continue
        then = whole[place + 1 : place + 2 + _NEAR]
        if after is not None and not _sudden(areas, then, after):
            continue
        if _stays(rles[before], None if after is None else rles[after]):
            found.append(Gap(before, frames, after))
    return tuple(found)


def _whole(areas: Sequence[int]) -> list[int]:
    """Frames whose mask is no crumb of the last such one, or is never more again."""
    best = [*itertools.accumulate(reversed(areas), max)][::-1]  # from each frame on
    found: list[int] = []
    for index, area in enumerate(areas):
        least = _CRUMB * areas[found[-1]] if found else 0
        if area and (area >= least or best[index] < least):
            found.append(index)
    return found


def _sudden(areas: Sequence[int], near: Sequence[int], at: int) -> bool:
    """Whether an object is whole at the edge of its gap."""
    return areas[at] >= max(_LEAST, _WHOLE * max(areas[n] for n in near))


def _stays(before: Rle | None, after: Rle | None) -> bool:
    """Whether an object cannot have left through the border."""
    rims = [(rle_box(rle), rle) for rle in (before, after) if rle is not None]
    if not any(_at_border(box, rle) for box, rle in rims):
        return True
    return len(rims) == 2 and _overlap(rims[0][0], rims[1][0]) >= _SAME


def _at_border(box: Box, rle: Rle) -> bool:
    top, left, bottom, right = box
    down, across = _BORDER * rle.height, _BORDER * rle.width
    inside = top > down and left > across
    return not (inside and bottom < rle.height - down and right < rle.width - across)


def _overlap(one: Box, two: Box) -> float:
    """Intersection over union."""
    height = max(0, min(one[2], two[2]) - max(one[0], two[0]))
    width = max(0, min(one[3], two[3]) - max(one[1], two[1]))
    total = sum((b - t) * (r - w) for t, w, b, r in (one, two))
    return height * width / (total - height * width)
