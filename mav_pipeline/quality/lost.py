"""Frames on which an object is in the picture and not in its mask: a tracker lost it. Pure.

    gaps in the masks -> what it looks like before -> is that still there? -> and after?

An object that another covers, or that left, looks different where it should be. What cannot be
told counts as no loss: absence is common, and a true absence must not cost a good matte.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mav_pipeline.quality.gaps import Gap, find_gaps
from mav_pipeline.quality.likeness import Appearance, Likeness, Point, appearance, find, middle
from mav_pipeline.schema import Frame, Masklet, Rle

#: What must be found in a gap; measured in docs/lost_frames.md.
_COLOUR, _DISTANCE, _PATTERN = 0.75, 0.45, 0.3
#: Where the object does not come back, so that nothing confirms it.
_ALONE_COLOUR, _ALONE_DISTANCE, _ALONE_PATTERN = 0.8, 0.35, 0.5
#: Where colours tell little of object from background, the pattern must tell more.
_APART, _LITTLE_PATTERN, _LITTLE_ALONE = 0.4, 0.6, 0.7
#: A gap's frame must look like the object as much as the frame after does: a cover of like colour
#: looks like it less.
_AS_AFTER, _FURTHER = 0.75, 1.5
_SURE_DISTANCE = 0.15  # below this a frame need not be compared with the one after
_MISSES = 2  # frames in a row without the object after which a gap is given up


@dataclass(slots=True)
class LostFrames:
    """Goes through the pictures of one masklet in time order; holds one appearance of it.

    Attributes:
        gone: indices into ``Clip.frame_indices`` of frames without a mask that show the object.
        crumbs: of those that show it whole while the mask is a crumb.
    """

    gone: set[int] = field(default_factory=set)
    crumbs: set[int] = field(default_factory=set)
    _rles: tuple[Rle | None, ...] = ()
    _gaps: deque[Gap] = field(default_factory=deque)
    _wanted: frozenset[int] = frozenset()
    _known: Appearance | None = None
    _at: Point = (0.0, 0.0)
    _misses: int = 0
    _found: dict[int, Likeness] = field(default_factory=dict)

    @classmethod
    def of(cls, masklet: Masklet) -> LostFrames:
        """Plans where to look, by the masks alone."""
        gaps = find_gaps(masklet.rles, masklet.looked_for)
        wanted = frozenset(
            index
            for gap in gaps
            for index in (gap.before, *gap.frames, gap.after)
            if index is not None
        )
        return cls(_rles=masklet.rles, _gaps=deque(gaps), _wanted=wanted)

    def wants(self, index: int) -> bool:
        """Whether there is anything to see on a frame."""
        return index in self._wanted

    def see(self, index: int, frame: Frame) -> None:
        """Looks at one frame; frames ascend, and those that are not wanted may be left out.

        Args:
            frame: (h, w, 3), the whole picture at any size.
        """
        if self._gaps and index == self._gaps[0].after:
            self._confirm(self._gaps.popleft(), index, frame)
        if not self._gaps:
            return
        gap, rle = self._gaps[0], self._rles[index]
        if index == gap.before and rle is not None:
            self._known, self._at, self._misses = appearance(frame, rle), middle(rle), 0
        elif self._known is not None and index in self._wanted:
            self._search(self._known, gap, index, frame)

    def _search(self, known: Appearance, gap: Gap, index: int, frame: Frame) -> None:
        if self._misses == _MISSES:
            return
        before = self._rles[gap.before]
        assert before is not None
        at, scale = self._at, 1.0
        if gap.after is not None and (after := self._rles[gap.after]) is not None:
            share = (index - gap.before) / (gap.after - gap.before)
            ends = zip(middle(before), middle(after), strict=True)
            y, x = ((1 - share) * start + share * end for start, end in ends)
            at, scale = (y, x), 1 - share + share * (after.area / before.area) ** 0.5
        found = find(known, frame, (before.height, before.width), at, scale)
        if not _alike(found, known, alone=gap.after is None):
            self._misses += 1
            return
        self._misses, self._at = 0, found.at
        if gap.after is None:
            self._lose(index)
        else:
            self._found[index] = found

    def _confirm(self, gap: Gap, index: int, frame: Frame) -> None:
        """Keeps what was found in a gap where the object looks so after it, too."""
        before, after = self._rles[gap.before], self._rles[index]
        if self._found and self._known is not None and before is not None and after is not None:
            scale = (after.area / before.area) ** 0.5
            again = find(self._known, frame, (after.height, after.width), middle(after), scale)
            for lost, found in self._found.items():
                if _as_after(found, again):
                    self._lose(lost)
        self._found.clear()
        self._known = None

    def _lose(self, index: int) -> None:
        (self.gone if self._rles[index] is None else self.crumbs).add(index)


def _alike(found: Likeness, known: Appearance, *, alone: bool) -> bool:
    if alone:
        colour, distance, pattern, little = (
            *(_ALONE_COLOUR, _ALONE_DISTANCE),
            *(_ALONE_PATTERN, _LITTLE_ALONE),
        )
    else:
        colour, distance, pattern, little = _COLOUR, _DISTANCE, _PATTERN, _LITTLE_PATTERN
    least = pattern if known.apart >= _APART else little
    return found.colour >= colour and found.distance <= distance and found.pattern >= least


def _as_after(found: Likeness, after: Likeness) -> bool:
    return after.colour >= _COLOUR and (
        found.distance <= _SURE_DISTANCE
        or (
            found.distance <= _FURTHER * after.distance
            and found.pattern >= _AS_AFTER * after.pattern
        )
    )
