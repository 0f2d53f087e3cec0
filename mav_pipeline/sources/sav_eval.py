"""SA-V val and test, DAVIS, YouTube-VOS: frames as JPEG or PNG, masks as PNG or JPEG.

Which files are a clip's says ``image_layout``, what masks mean ``media.label_rule``. A frame's
number is its file's name. What ``mav export`` says of a clip beside its files
(``about/{id}.json``) is taken up. Pass one reads the masks to run lengths, pass two the frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config import Rgb
from mav_pipeline.config.types import STRICT, Positive
from mav_pipeline.media.labels import MaskObjects, read_objects, seeming_objects
from mav_pipeline.media.mask_images import MaskImage, read_mask
from mav_pipeline.schema import (
    Clip,
    ClipMeasure,
    ClipRef,
    FileRef,
    LoadedClip,
    Masklet,
    Plan,
    Problem,
)
from mav_pipeline.schema.about import ClipAbout
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.interfaces import Discovery, Sizing
from mav_pipeline.sources import sav, sav_layouts
from mav_pipeline.sources.about import read_about
from mav_pipeline.sources.annotated import clip_frames, image_masklet, looked_for, thinned
from mav_pipeline.sources.image_frames import image_frames, image_shape
from mav_pipeline.sources.image_layout import image_clips, number_of, owner_of
from mav_pipeline.sources.kind import SourceKind
from mav_pipeline.sources.listing import (
    guard_bytes,
    guard_frames,
    list_source,
    screened,
    with_torn,
)
from mav_pipeline.sources.mask_images import MaskImagesConfig
from mav_pipeline.sources.rgb import RgbImages
from mav_pipeline.storage import Storage, read_ref


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SavEvalConfig(MaskImagesConfig):
    """``fps``: where ``about/{id}.json`` says none; see ``MaskImagesConfig`` for the rest."""

    masklets: Literal["gt"]
    fps: Positive


@plain_dataclass(frozen=True, slots=True)
class _Numbered:
    """A clip's files by the numbers in their names.

    Attributes:
        frames: by frame number.
        masks: by object and frame number; of label images the object is None.
        indices: frame numbers of the clip, ascending.
    """

    frames: dict[int, FileRef]
    masks: dict[int | None, dict[int, FileRef]]
    indices: tuple[int, ...]


class SavEval:
    """The ``sav_eval`` source."""

    def __init__(self, storage: Storage, config: SavEvalConfig, rgb: Rgb) -> None:
        self._storage, self._config, self._rgb = storage, config, rgb

    def discover(self, plan: Plan | None = None) -> Discovery:
        """Pairs frame and annotation folders of the same place; see ``Source.discover``."""
        listing = list_source(self._storage, plan)
        clips = with_torn(image_clips(listing), listing)
        return Discovery(clips, listing.tars, listing.passing.result())

    def measure(self, ref: ClipRef) -> ClipMeasure:
        """See ``Source.measure``; counts mask images, so an empty one counts as shown.

        Where an image holds the labels of all, those of the first stand for the clip.
        """
        files = self._numbered(ref, read_about(self._storage, ref))
        refs = next(refs for refs in files.masks.values() if refs)
        image = self._mask(refs[min(refs)])
        height, width = image.shape
        count = sum(map(len, files.masks.values()))
        objects = len(files.masks)
        if None in files.masks:
            objects = seeming_objects(image, self._config.rule)
            count *= objects
        return ClipMeasure(objects, len(files.indices), count, height * width)

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        """See ``Source.load``."""
        about, config = read_about(self._storage, ref), self._config
        files = self._numbered(ref, about)
        height, width = image_shape(
            self._storage, files.frames[files.indices[0]], config.max_pixels
        )
        clip = Clip(
            video_id=ref.video_id,
            width=width,
            height=height,
            fps=about.fps if about else config.fps,
            frame_indices=files.indices,
            environment=about.environment if about else None,
            masklets=tuple(self._masklets(files, (height, width))),
            size=sizing(height, width),
        )
        images = RgbImages()
        frames = image_frames(
            self._storage,
            files.frames,
            files.indices,
            shape=(height, width),
            size=clip.size,
            max_pixels=config.max_pixels,
            rgb=self._rgb,
            images=images,
        )
        return LoadedClip(clip, frames, images.members)

    def _numbered(self, ref: ClipRef, about: ClipAbout | None) -> _Numbered:
        """The files of a clip that has no problem. Raises InputError: too large, too many."""
        guard_bytes(ref.files, self._config)
        frames = {number_of(file): file for file in ref.role("frame")}
        masks: dict[int | None, dict[int, FileRef]] = defaultdict(dict)
        for file in ref.role("mask"):
            masks[owner_of(file, ref.role("frame")[0])][number_of(file)] = file
        numbers = sorted(set[int]().union(*masks.values()))
        indices = self._indices(numbers, frames, about)
        guard_frames(len(indices), self._config, "mask")
        chosen = frozenset(indices)
        kept = {
            owner: {number: file for number, file in refs.items() if number in chosen}
            for owner, refs in masks.items()
        }
        return _Numbered(frames, kept, indices)

    def _indices(
        self, masks: Sequence[int], frames: Collection[int], about: ClipAbout | None
    ) -> tuple[int, ...]:
        """The clip's frames, of ascending numbers of masks; the first annotated one is taken."""
        missing = [number for number in masks if number not in frames]
        if missing and missing != [masks[-1]]:
            cause = f"annotated frames {missing[:5]} have no image"
            raise InputError("frame_count", cause, role="mask", stage="masks")
        if missing == masks:
            return ()
        if about is not None and {*masks} <= {*about.frame_indices}:
            indices = tuple(number for number in about.frame_indices if number in frames)
        else:
            indices = clip_frames(masks, frames)
        return thinned(indices, masks[0], self._config.stride)

    def _mask(self, file: FileRef) -> MaskImage:
        data = read_ref(self._storage, file)
        return read_mask(data, label=file.label, max_pixels=self._config.max_pixels)

    def _masklets(self, files: _Numbered, shape: tuple[int, int]) -> list[Masklet]:
        """All objects, in the order of their ids."""
        found: list[Masklet] = []
        for owner, refs in files.masks.items():
            looked = [number in refs for number in files.indices]
            try:
                objects = self._objects(files, owner, shape)
            except InputError as error:
                if owner is None:  # its images hold every object's mask
                    raise
                problem = Problem(error.status, error.reason, str(error))
                found.append(image_masklet("gt", owner, {}, looked, problem=problem))
                continue
            by_id = objects.rles if owner is None else {owner: objects.rles.get(1, {})}
            for item, rles in by_id.items():
                annotated = looked_for(looked, rles) if owner is None else looked
                found.append(
                    image_masklet("gt", item, rles, annotated, void_pixels=objects.void_pixels)
                )
        return [screened(masklet, self._config) for masklet in sorted(found, key=lambda m: m.id)]

    def _objects(self, files: _Numbered, owner: int | None, shape: tuple[int, int]) -> MaskObjects:
        """What the masks of one folder show. Raises InputError."""
        places = {number: place for place, number in enumerate(files.indices)}

        def pictures() -> Iterator[tuple[int, MaskImage]]:
            for number, file in sorted(files.masks[owner].items()):
                image = self._mask(file)
                if image.shape != shape:
                    cause = f"{file.label} is {image.shape[1]}x{image.shape[0]}, its frame "
                    cause += f"{shape[1]}x{shape[0]}"
                    raise InputError("mask_size", cause, role="mask", stage="masks")
                yield places[number], image

        return read_objects(pictures, self._config.rule, one=owner is not None, role="mask")


KIND = SourceKind(
    name="sav_eval",
    about="`JPEGImages*/` and `Annotations*/` as in SA-V val and test, DAVIS, YouTube-VOS",
    config=SavEvalConfig,
    open=SavEval,
    revision=2,
    licence=sav.LICENCE,
    credit=sav.CREDIT,
    cites=sav.CITES,
    tags=sav.TAGS,
    layouts=sav_layouts.EVAL,
)
