"""A stored sample read frame by frame: pictures, masks and alpha of the masklets picked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mav_pipeline.dataset.reader import StoredSample
from mav_pipeline.dataset.sample import read_document, rgb_frames
from mav_pipeline.media.decode import alpha_rate, video_frames
from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.schema import AlphaFrame, Members, read_content

_PICTURE = re.compile(r"rgb\.(\d{5,})\.(?:jpg|png)")


@dataclass(frozen=True, slots=True)
class StoredClip(StoredSample):
    """One sample, and those of its masklets that are exported.

    Attributes:
        picked: their names, in the sample's order.
    """

    picked: Sequence[str]

    @classmethod
    def open(cls, members: Members, picked: Sequence[str]) -> StoredClip:
        """Raises ValueError where the json is none of a sample, or lacks one of ``picked``."""
        document = read_document(members)
        for name in picked:
            document.masklet(name)
        return cls(document, members, picked)

    @property
    def indices(self) -> Sequence[int]:
        """Source frame number of each annotated frame."""
        return self.document.frame_indices

    @property
    def rate(self) -> Fraction:
        """Annotated frames a second."""
        return alpha_rate(self.document.fps, self.document.step)

    def jpegs(self, *, every: bool) -> Iterator[tuple[int, bytes]]:
        """(frame number, file) of the annotated frames, or of every one that is stored.

        A stored JPEG keeps its bytes.
        """
        video = self.members.get("rgb.mp4")
        if every and video is not None:
            for number, frame in enumerate(video_frames(video)):
                yield number, encode_jpeg(frame)
        elif video is not None:
            for number, frame in zip(self.indices, self.frames(), strict=True):
                yield number, encode_jpeg(frame)
        else:
            found = (_PICTURE.fullmatch(name) for name in self.members)
            stored = sorted(int(match[1]) for match in found if match)
            for number in stored if every else self.indices:
                data = self.members.get(f"rgb.{number:05d}.jpg")
                yield (
                    number,
                    read_content(data)
                    if data
                    else encode_jpeg(next(rgb_frames(self.members, [number]))),
                )

    def mask_images(self, masklet: str) -> Iterator[AlphaFrame]:
        """(H, W) of each annotated frame: 255 in the mask the matte was made from, else 0."""
        for mask in self.masks(masklet):
            yield mask.view(np.uint8) * np.uint8(255)

    def kind_of(self, masklet: str) -> str:
        """Who made its mask: ``manual``, ``auto`` or another."""
        return self.document.masklet(masklet).kind

    def object_of(self, masklet: str) -> int:
        """Its number in the source."""
        return self.document.masklet(masklet).id
