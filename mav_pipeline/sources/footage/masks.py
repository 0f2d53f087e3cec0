"""The masks of one object of footage, from pictures or from a video, one at a time.

What they mean says ``media.label_rule``. Masks of another size than the frames are scaled by area
and cut at one half, if they have the frames' shape.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from mav_pipeline.media.label_rule import LabelRule
from mav_pipeline.media.labels import MaskObjects, read_objects
from mav_pipeline.media.mask_images import MaskImage, colour_image, luma_image, read_mask
from mav_pipeline.media.masks import at_size, decode_rle, encode_rle
from mav_pipeline.media.sizing import source_size
from mav_pipeline.media.streams import open_video
from mav_pipeline.media.video import VideoFacts, annotated_frames, probe_video
from mav_pipeline.schema import Content, Rle
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.footage.files import MaskGroup
from mav_pipeline.storage import Storage, fetch_ref, read_ref

#: Of videos that keep labels: pixels are stored as they were, and are no luma with chroma.
_EXACT_CODECS = frozenset({"ffv1", "png", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "qtrle"})
_EXACT_PIXELS = frozenset({"gray", "pal8", "rgb24", "bgr24", "gbrp", "bgr0", "rgb0", "0rgb"})

Size = tuple[int, int]  # (H, W)


class Masks(Protocol):
    """A sequence of masks, each known by a key: a number, or its place."""

    @property
    def keys(self) -> tuple[int, ...]: ...

    def pictures(self, places: Mapping[int, int]) -> Iterator[tuple[int, MaskImage]]:
        """The masks whose keys are in ``places``, with that place; all of one size.

        Raises:
            InputError: one is damaged, or of another size.
        """
        ...


@dataclass(frozen=True)
class ImageMasks:
    """Pictures in a folder; see ``Masks``."""

    storage: Storage
    group: MaskGroup
    max_pixels: int

    @cached_property
    def keys(self) -> tuple[int, ...]:
        return self.group.numbers or tuple(range(len(self.group.files)))

    def pictures(self, places: Mapping[int, int]) -> Iterator[tuple[int, MaskImage]]:
        size: Size | None = None
        for key, file in zip(self.keys, self.group.files, strict=True):
            if key not in places:
                continue
            data = read_ref(self.storage, file)
            image = read_mask(data, label=file.label, max_pixels=self.max_pixels)
            size = size or image.shape
            if image.shape != size:
                cause = f"{file.label} is {_by(image.shape)}, the first mask {_by(size)}"
                raise InputError("mask_size", cause, role="mask", stage="masks")
            yield places[key], image


@dataclass(frozen=True)
class VideoMasks:
    """A mask video; see ``Masks``. Its keys are places, from 0."""

    storage: Storage
    group: MaskGroup
    max_pixels: int
    labels: str

    @cached_property
    def content(self) -> Content:
        return fetch_ref(self.storage, self.group.files[0])

    @cached_property
    def facts(self) -> VideoFacts:
        """Raises InputError."""
        with self._named():
            return probe_video(self.content, step=1, annotated=None, max_pixels=self.max_pixels)

    @property
    def keys(self) -> tuple[int, ...]:
        return self.facts.indices

    def pictures(self, places: Mapping[int, int]) -> Iterator[tuple[int, MaskImage]]:
        facts = self.facts
        exact = self.labels == "ids" and self._keeps_labels()
        size = source_size(facts.height, facts.width)
        with self._named():
            frames = annotated_frames(self.content, facts, size, only=places.keys())
            for key, frame in zip(sorted(places), frames, strict=True):
                yield places[key], colour_image(frame) if exact else luma_image(frame)

    def _keeps_labels(self) -> bool:
        with open_video(self.content) as video:
            codec, pixels = video.context.codec.canonical_name, video.context.pix_fmt
        return codec in _EXACT_CODECS and pixels in _EXACT_PIXELS

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Says of an error that it is the mask's."""
        try:
            yield
        except InputError as error:
            cause = f"{self.group.files[0].label}: {error.cause}"
            raise InputError(
                error.reason, cause, role="mask", stage="masks", status=error.status
            ) from error


@dataclass(frozen=True, slots=True)
class FrameMasks:
    """The objects of a sequence at the frames' size.

    Attributes:
        rles: by object id, then by place.
        is_scaled: whether the masks had another size.
    """

    rles: Mapping[int, Mapping[int, Rle]]
    void_pixels: int
    is_scaled: bool = field(default=False)


def read_masks(
    masks: Masks, places: Mapping[int, int], rule: LabelRule, size: Size, *, one: bool
) -> FrameMasks:
    """The objects that a sequence shows.

    Args:
        places: where each mask belongs, by its key; others are not read.
        size: of the frames.
        one: whether all masks are of one object, whose id is then 1.

    Raises:
        InputError: a mask is damaged, or not of the frames' shape; or what it holds cannot be told.
    """
    seen: Size | None = None

    def pictures() -> Iterator[tuple[int, MaskImage]]:
        nonlocal seen
        for place, image in masks.pictures(places):
            if seen is None:
                seen = image.shape
                _check_shape(seen, size)
            yield place, image

    found: MaskObjects = read_objects(pictures, rule, one=one, role="mask")
    if seen in (None, size):
        return FrameMasks(found.rles, found.void_pixels)
    scaled = {
        item: {place: rle for place, one in rles.items() if (rle := _scaled(one, size))}
        for item, rles in found.rles.items()
    }
    return FrameMasks(scaled, found.void_pixels, is_scaled=True)


def _check_shape(masks: Size, frames: Size) -> None:
    """Raises InputError unless scaling to the frames' size stretches by less than a pixel."""
    (height, width), (high, wide) = masks, frames
    if min(abs(width * high - wide * height) / high, abs(height * wide - high * width) / wide) > 1:
        cause = f"masks are {_by(masks)}, the frames {_by(frames)}, which is another shape"
        raise InputError("mask_size", cause, role="mask", stage="masks")


def _scaled(rle: Rle, size: Size) -> Rle | None:
    return encode_rle(at_size(decode_rle(rle), source_size(*size)))


def _by(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
