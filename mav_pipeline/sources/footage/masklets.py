"""From the masks of a clip of footage to its masklets: each mask on its frame, by its object.

groups of files -> sequences of masks -> the frame of each -> the clip's frames -> run lengths
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mav_pipeline.media.label_rule import LabelRule
from mav_pipeline.schema import ClipRef, Masklet, Problem
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.annotated import clip_frames, image_masklet, looked_for, thinned
from mav_pipeline.sources.footage.files import MaskGroup, mask_groups
from mav_pipeline.sources.footage.frames import Frames
from mav_pipeline.sources.footage.masks import (
    FrameMasks,
    ImageMasks,
    Masks,
    Size,
    VideoMasks,
    read_masks,
)
from mav_pipeline.sources.footage.match import Match, by_names, by_order, by_time
from mav_pipeline.storage import Storage

KIND = "user"
SCALED = "mask_scaled"


@dataclass(frozen=True, slots=True)
class Matched:
    """A sequence of masks, and the frame of each; or why they have none.

    Attributes:
        owner: number of the object, None where the masks may be of several.
    """

    owner: int | None
    masks: Masks
    match: Match | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class MaskReader:
    """Reads the masks of clips.

    Attributes:
        frame_step: masks belong to every so many frames.
        stride: every so many of a clip's frames are taken.
    """

    storage: Storage
    rule: LabelRule
    max_pixels: int
    frame_step: int
    stride: int

    def sequences(self, ref: ClipRef) -> list[tuple[MaskGroup, Masks]]:
        """The sequences of masks of a clip; nothing is read yet."""
        found = []
        for group in mask_groups(ref):
            if group.is_video and group.owner is None and self.rule.labels != "ids":
                group = replace(group, owner=1)  # videos are binary unless somebody says labels
            found.append((group, self._masks(group)))
        return found

    def match(self, ref: ClipRef, frames: Frames) -> list[Matched]:
        """Each sequence with the frames of its masks.

        Raises:
            InputError: pictures cannot be matched, or none of the videos.
        """
        found, numbers = self.sequences(ref), frames.numbers[:: self.frame_step]
        if not found[0][0].is_video:
            return self._by_names(found, numbers, is_video=frames.is_video)
        matched, error = list[Matched](), None
        for group, masks in found:
            try:
                assert isinstance(masks, VideoMasks)
                facts, fps = masks.facts, frames.fps / self.frame_step
                match = by_time(len(facts.indices), facts.fps, numbers, fps)
                matched.append(Matched(group.owner, masks, match))
            except InputError as wrong:
                error = wrong
                matched.append(Matched(group.owner, masks, None, _problem(wrong)))
        if error is not None and all(one.match is None for one in matched):
            raise error
        return matched

    def indices(self, matched: Sequence[Matched], frames: Frames) -> tuple[int, ...]:
        """Numbers of the frames that the clip has."""
        masks = {number for one in matched if one.match for number in one.match.frames.values()}
        return thinned(clip_frames(masks, frames.numbers), min(masks), self.stride)

    def masklets(
        self, matched: Sequence[Matched], indices: Sequence[int], size: Size
    ) -> list[Masklet]:
        """All objects, in the order of their ids.

        Raises:
            InputError: masks that may be of several objects cannot be read.
        """
        found = [masklet for one in matched for masklet in self._read(one, indices, size)]
        return sorted(found, key=lambda masklet: masklet.id)

    def _masks(self, group: MaskGroup) -> Masks:
        if group.is_video:
            return VideoMasks(self.storage, group, self.max_pixels, self.rule.labels)
        return ImageMasks(self.storage, group, self.max_pixels)

    def _by_names(
        self, found: Sequence[tuple[MaskGroup, Masks]], numbers: Sequence[int], *, is_video: bool
    ) -> list[Matched]:
        """One rule for all objects: else one could be a frame off against another."""
        if any(group.numbers is None for group, _ in found):
            notes = [by_order(len(masks.keys), numbers).notes for _, masks in found]
            matches = [
                Match(dict(zip(masks.keys, numbers, strict=True)), note)
                for (_, masks), note in zip(found, notes, strict=True)
            ]
        else:
            every = {key for _, masks in found for key in masks.keys}
            if self.frame_step == 1:
                match = by_names(every, numbers, is_video=is_video)
            else:
                counted = by_names(every, range(len(numbers)), is_video=True)
                frames = {key: numbers[place] for key, place in counted.frames.items()}
                match = Match(frames, counted.notes)
            matches = [match] * len(found)
        return [
            Matched(group.owner, masks, match)
            for (group, masks), match in zip(found, matches, strict=True)
        ]

    def _read(self, one: Matched, indices: Sequence[int], size: Size) -> Iterator[Masklet]:
        """The masklets of a sequence."""
        if one.match is None:
            yield image_masklet(
                KIND, one.owner or 0, {}, [True] * len(indices), problem=one.problem
            )
            return
        at = {number: place for place, number in enumerate(indices)}
        places = {key: at[n] for key in one.masks.keys if (n := one.match.frames.get(key)) in at}
        looked = [place in {*places.values()} for place in range(len(indices))]
        try:
            found = self._objects(one, places, size)
        except InputError as error:
            if one.owner is None:
                raise
            yield image_masklet(KIND, one.owner, {}, looked, problem=_problem(error))
            return
        notes = (*one.match.notes, *((SCALED,) if found.is_scaled else ()))
        rles = found.rles if one.owner is None else {one.owner: found.rles.get(1, {})}
        for item, seen in rles.items():
            annotated = looked_for(looked, seen) if one.owner is None else looked
            yield image_masklet(
                KIND, item, seen, annotated, void_pixels=found.void_pixels, rules=notes
            )

    def _objects(self, one: Matched, places: Mapping[int, int], size: Size) -> FrameMasks:
        several = one.owner is None
        return read_masks(one.masks, places, self.rule, size, one=not several)


def _problem(error: InputError) -> Problem:
    return Problem(error.status, error.reason, str(error))
