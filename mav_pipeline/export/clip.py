"""A stored sample read frame by frame: pictures, masks and alpha of the masklets picked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mav_pipeline.dataset.sample import alpha_frames, rgb_frames
from mav_pipeline.media.decode import alpha_rate, video_frames
from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.media.masks import decode_rle, parse_rle
from mav_pipeline.schema import AlphaFrame, Frame

_PICTURE = re.compile(r"rgb\.(\d{5,})\.(?:jpg|png)")


@dataclass(frozen=True, slots=True)
class StoredClip:
    """One sample; nothing is decoded until asked for, and whatever is wrong is a ValueError.

    Attributes:
        masklets: names of those picked, in the sample's order.
        indices: source frame number of each annotated frame.
    """

    key: str
    masklets: Sequence[str]
    indices: Sequence[int]
    height: int
    width: int
    rate: Fraction
    _entries: Mapping[str, Mapping[str, Any]]
    _members: Mapping[str, bytes]

    @classmethod
    def open(cls, key: str, members: Mapping[str, bytes], masklets: Sequence[str]) -> StoredClip:
        """Raises ValueError where the json is none of ours, or lacks one of ``masklets``."""
        try:
            document = json.loads(members["json"])
            indices = [int(index) for index in document["frame_indices"]]
            height, width, fps = (document[name] for name in ("height", "width", "fps"))
            entries = {entry["name"]: entry for entry in document["masklets"]}
            picked = {name: entries[name] for name in masklets}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the json member is not ours: {error!r}") from error
        rate = alpha_rate(fps, indices[1] - indices[0] if len(indices) > 1 else 1)
        return cls(key, masklets, indices, height, width, rate, picked, members)

    def frames(self) -> Iterator[Frame]:
        """(H, W, 3) RGB of each annotated frame."""
        for frame in rgb_frames(self._members, self.indices):
            if frame.shape[:2] != (self.height, self.width):
                raise ValueError(f"a picture is {frame.shape}, not {(self.height, self.width)}")
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
            if alpha.shape != (self.height, self.width):
                raise ValueError(f"alpha of {masklet} is {alpha.shape}")
            yield alpha

    def masks(self, masklet: str) -> Iterator[AlphaFrame]:
        """(H, W) of each annotated frame: 255 in the mask the matte was made from, else 0."""
        for _, mask in zip(self.indices, self._entries[masklet]["mask"], strict=True):
            rle = parse_rle(mask, self.height, self.width, role="mask")
            if rle is None:
                yield np.zeros((self.height, self.width), np.uint8)
            else:
                yield np.ascontiguousarray(decode_rle(rle).view(np.uint8) * np.uint8(255))

    def object_of(self, masklet: str) -> int:
        """Its number in the source."""
        return int(self._entries[masklet]["id"])
