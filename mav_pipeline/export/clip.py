"""A stored sample read frame by frame: pictures, masks and alpha of the masklets picked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mav_pipeline.dataset.reader import StoredSample
from mav_pipeline.dataset.sample import masks_in, read_document, rgb_frames
from mav_pipeline.media.decode import alpha_rate, video_frames
from mav_pipeline.media.images import encode_jpeg, upright_jpeg
from mav_pipeline.schema import AlphaFrame, Content, Frame, Members, read_content
from mav_pipeline.schema.about import ClipAbout

#: A file of an export: its path, and what it holds.
File = tuple[str, Content]

_PICTURE = re.compile(r"rgb\.(\d{5,})\.(?:jpg|png)").fullmatch


@dataclass(frozen=True, slots=True)
class StoredClip(StoredSample):
    """One sample, and those of its masklets that are exported.

    A place is an index into ``indices``.

    Attributes:
        picked: their names, in the sample's order.
        trim: ``export.trim``.
    """

    picked: Sequence[str]
    trim: bool = True

    @classmethod
    def open(cls, members: Members, picked: Sequence[str], trim: bool = True) -> StoredClip:
        """Raises ValueError where the json is none of a sample, or lacks one of ``picked``."""
        document = read_document(members)
        for name in picked:
            document.masklet(name)
        return cls(document, members, picked, trim)

    @property
    def indices(self) -> Sequence[int]:
        """Source frame number of each annotated frame."""
        return self.document.frame_indices

    @property
    def rate(self) -> Fraction:
        """Annotated frames a second."""
        return alpha_rate(self.document.fps, self.document.step)

    def about(self, places: Sequence[int] | None = None) -> ClipAbout:
        """What there is to say of the annotated frames at ``places``, or of all."""
        document = self.document
        numbers = self.indices if places is None else [self.indices[place] for place in places]
        return ClipAbout(
            video_id=document.video_id,
            fps=document.fps,
            environment=document.environment,
            frame_indices=tuple(numbers),
        )

    # frames

    def jpegs(self, numbers: Sequence[int] | None = None) -> Iterator[tuple[int, bytes]]:
        """(frame number, file) of the frames of ascending ``numbers``, or of every one stored.

        A stored JPEG keeps its bytes, unless readers would differ on how it is shown.
        """
        if "rgb.mp4" in self.members:
            video = self.members["rgb.mp4"]
            frames = (
                enumerate(video_frames(video))
                if numbers is None
                else zip(numbers, rgb_frames(self.members, numbers), strict=True)
            )
            for number, frame in frames:
                yield number, self._jpeg(frame)
            return
        stored = {int(match[1]): name for name in self.members if (match := _PICTURE(name))}
        for number in sorted(stored) if numbers is None else numbers:
            if number not in stored:
                raise ValueError(f"the sample has no RGB of frame {number}")
            yield number, upright_jpeg(read_content(self.members[stored[number]]))

    def mask_images(self, masklet: str) -> Iterator[AlphaFrame]:
        """(H, W) of each annotated frame: 255 in the mask the matte was made from, else 0."""
        for mask in self.masks(masklet):
            yield mask.view(np.uint8) * np.uint8(255)

    def _jpeg(self, frame: Frame) -> bytes:
        if frame.shape[:2] != self.document.shape:
            raise ValueError(f"a picture is {frame.shape}, not {self.document.shape}")
        return encode_jpeg(frame)

    # masklets

    def kind_of(self, masklet: str) -> str:
        """Who made its mask: ``manual``, ``auto`` or another."""
        return self.document.masklet(masklet).kind

    def object_of(self, masklet: str) -> int:
        """Its number in the source."""
        return self.document.masklet(masklet).id

    def visible(self, masklet: str) -> Sequence[bool]:
        """Whether it is seen on each annotated frame."""
        return self.document.masklet(masklet).visible

    def annotated(self, masklet: str) -> Sequence[bool]:
        """Whether anybody looked for it on each frame; most often they did on all."""
        return self.document.masklet(masklet).annotated

    def area(self, masklet: str) -> float:
        """Pixels of its mask, mean over the frames on which it is seen."""
        rles = masks_in(self.document, self.document.masklet(masklet))
        areas = [rle.area for rle in rles if rle is not None]
        return sum(areas) / max(1, len(areas))

    def places(self, *masklets: str) -> list[int]:
        """The frames of which we know where all of these are, also that they are not there."""
        known = zip(*map(self.annotated, masklets), strict=True)
        return [place for place, flags in enumerate(known) if all(flags)]

    def runs(self, masklet: str) -> list[list[int]]:
        """The frames that a sequence of it holds: as many sequences as times that it comes in view.

        Frames that nobody annotated are left out. Without ``trim`` it is one sequence.
        """
        places, visible = self.places(masklet), self.visible(masklet)
        return spans(places, visible) if self.trim else [places] * bool(places)


def spans(places: Sequence[int], shown: Sequence[bool]) -> list[list[int]]:
    """``places`` in runs, cut and shortened where ``shown`` is false."""
    found: list[list[int]] = [[]]
    for place in places:
        if shown[place]:
            found[-1].append(place)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]
