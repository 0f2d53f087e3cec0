"""A stored sample read frame by frame: pictures, masks and alpha of the masklets picked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mav_pipeline.dataset.sample import alpha_frames, masks_in, read_document, rgb_frames
from mav_pipeline.media.decode import alpha_rate, video_frames
from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.schema import AlphaFrame, Frame
from mav_pipeline.schema.document import MaskletDocument, SampleDocument

_PICTURE = re.compile(r"rgb\.(\d{5,})\.(?:jpg|png)")


@dataclass(frozen=True, slots=True)
class StoredClip:
    """One sample; nothing is decoded until asked for, and whatever is wrong is a ValueError.

    Attributes:
        masklets: names of those picked, in the sample's order.
    """

    key: str
    masklets: Sequence[str]
    document: SampleDocument
    rate: Fraction
    _picked: Mapping[str, MaskletDocument]
    _members: Mapping[str, bytes]

    @classmethod
    def open(cls, key: str, members: Mapping[str, bytes], masklets: Sequence[str]) -> StoredClip:
        """Raises ValueError where the json is none of a sample, or lacks one of ``masklets``."""
        document = read_document(members)
        picked = {name: document.masklet(name) for name in masklets}
        rate = alpha_rate(document.fps, document.step)
        return cls(key, masklets, document, rate, picked, members)

    @property
    def indices(self) -> Sequence[int]:
        """Source frame number of each annotated frame."""
        return self.document.frame_indices

    def frames(self) -> Iterator[Frame]:
        """(H, W, 3) RGB of each annotated frame."""
        for frame in rgb_frames(self._members, self.indices):
            if frame.shape[:2] != self.document.shape:
                raise ValueError(f"a picture is {frame.shape}, not {self.document.shape}")
            yield frame

    def jpegs(self, *, every: bool) -> Iterator[tuple[int, bytes]]:
        """(frame number, file) of the annotated frames, or of every one that is stored.

        A stored JPEG keeps its bytes.
        """
        video = self._members.get("rgb.mp4")
        if every and video is not None:
            for number, frame in enumerate(video_frames(video)):
                yield number, encode_jpeg(frame)
        elif video is not None:
            for number, frame in zip(self.indices, self.frames(), strict=True):
                yield number, encode_jpeg(frame)
        else:
            found = (_PICTURE.fullmatch(name) for name in self._members)
            stored = sorted(int(match[1]) for match in found if match)
            for number in stored if every else self.indices:
                data = self._members.get(f"rgb.{number:05d}.jpg")
                yield number, data or encode_jpeg(next(rgb_frames(self._members, [number])))

    def alpha(self, masklet: str) -> Iterator[AlphaFrame]:
        """(H, W) of each annotated frame."""
        frames = alpha_frames(self._members, masklet, self.indices)
        for _, alpha in zip(self.indices, frames, strict=True):
            if alpha.shape != self.document.shape:
                raise ValueError(f"alpha of {masklet} is {alpha.shape}")
            yield alpha

    def masks(self, masklet: str) -> Iterator[AlphaFrame]:
        """(H, W) of each annotated frame: 255 in the mask the matte was made from, else 0."""
        for rle in masks_in(self.document, self._picked[masklet]):
            if rle is None:
                yield np.zeros(self.document.shape, np.uint8)
            else:
                yield np.ascontiguousarray(decode_rle(rle).view(np.uint8) * np.uint8(255))

    def kind_of(self, masklet: str) -> str:
        """Who made its mask: ``manual``, ``auto`` or another."""
        return self._picked[masklet].kind

    def object_of(self, masklet: str) -> int:
        """Its number in the source."""
        return self._picked[masklet].id
