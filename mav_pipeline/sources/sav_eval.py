"""SA-V val and test, DAVIS, YouTube-VOS: frames as JPEG or PNG, masks as PNG.

    JPEGImages*/<any>/{id}/00000.jpg
    Annotations*/<any>/{id}/{object}/00000.png    one binary PNG an object (objects overlap), or
    Annotations*/<any>/{id}/00000.png             one palette PNG; or gray 0 and 255, one object

A frame's number is its file's name; annotated frames are those with an annotation. What an export
of ``mav export`` says of a clip beside its files (``about/{id}.json``) is taken up.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic.dataclasses import dataclass

from mav_pipeline.config import Rgb, SourceConfig
from mav_pipeline.config.types import STRICT, Positive
from mav_pipeline.media.decode import MIN_SIDE
from mav_pipeline.media.images import encode_jpeg
from mav_pipeline.media.masks import encode_rle, read_png
from mav_pipeline.media.sizing import scale
from mav_pipeline.schema import (
    Clip,
    ClipMeasure,
    ClipRef,
    FileRef,
    Frame,
    LoadedClip,
    Masklet,
    Plan,
    Problem,
    Rle,
)
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.interfaces import Discovery, Sizing
from mav_pipeline.sources import sav
from mav_pipeline.sources.about import about_place, read_about
from mav_pipeline.sources.endings import kind_of
from mav_pipeline.sources.kind import SourceKind
from mav_pipeline.sources.listing import (
    Tear,
    guard_bytes,
    guard_frames,
    guard_pixels,
    list_source,
    screened,
    torn,
    with_torn,
)
from mav_pipeline.storage import Storage, read_ref

_VOID = 255  # palette label of pixels that no object owns


@plain_dataclass(slots=True)
class _Files:
    frames: list[FileRef] = field(default_factory=list)
    masks: list[FileRef] = field(default_factory=list)
    about: list[FileRef] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SavEvalConfig(SourceConfig):
    """``fps``: the rate where ``about/{id}.json`` says none; see ``SourceConfig`` for the rest."""

    masklets: Literal["gt"]
    fps: Positive


class SavEval:
    """The ``sav_eval`` source."""

    def __init__(self, storage: Storage, config: SavEvalConfig, rgb: Rgb) -> None:
        self._storage, self._config, self._rgb = storage, config, rgb

    def discover(self, plan: Plan | None = None) -> Discovery:
        """Pairs frame and annotation folders of the same place; see ``Source.discover``."""
        listing = list_source(self._storage, plan)
        found: dict[tuple[str, str], _Files] = defaultdict(_Files)
        clips = {place for file in listing.files if (place := _frame_place(file.path))}
        for file in listing.files:
            if place := _frame_place(file.path):
                found[place].frames.append(file.ref("frame"))
            elif place := _mask_place(file.path, clips):
                found[place].masks.append(file.ref("mask"))
            elif (place := about_place(file.path)) in clips:
                found[place].about.append(file.ref("about"))
            else:
                listing.passing.add(kind_of(file.name), file.path)
        ordered = sorted(found.items(), key=_by_id)
        refs = [_ref(place[1], files, listing.tears) for place, files in ordered]
        return Discovery(with_torn(refs, listing), listing.tars, listing.passing.result())

    def measure(self, ref: ClipRef) -> ClipMeasure:
        """See ``Source.measure``; counts PNGs, so an empty one counts as shown.

        Where a PNG holds every object, the first one's number stands for all.
        """
        guard_bytes(ref.files, self._config)
        kept = {*sorted({_number(file) for file in ref.role("mask")})[:: self._config.stride]}
        masks, count = [f for f in ref.role("mask") if _number(f) in kept], len(kept)
        guard_frames(count, self._config, "mask")
        first = read_png(read_ref(self._storage, masks[0]), role="mask")
        height, width = first.shape
        guard_pixels(height, width, self._config, "mask")
        owners = {_object(file, ref.video_id) for file in masks}
        if owners == {None}:
            objects = max(1, len({label for label, _ in _objects(first, None)} - {_VOID}))
            return ClipMeasure(objects, count, objects * count, first.size)
        return ClipMeasure(len(owners), count, len(masks), first.size)

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        """See ``Source.load``."""
        guard_bytes(ref.files, self._config)
        frames = {_number(file): file for file in ref.role("frame")}
        masks = sorted({_number(file) for file in ref.role("mask")})
        missing = [number for number in masks if number not in frames]
        if missing and missing != masks[-1:]:
            cause = f"annotated frames {missing[:5]} have no image"
            raise InputError("frame_count", cause, role="mask", stage="masks")
        indices = tuple(number for number in masks if number in frames)[:: self._config.stride]
        guard_frames(len(indices), self._config, "mask")
        images: list[Frame] = []
        rgb: list[tuple[str, bytes]] = []
        shape: tuple[int, int] | None = None
        for number in sorted(frames) if self._rgb == "source" else indices:
            data = read_ref(self._storage, frames[number])
            kind = "png" if frames[number].name.lower().endswith(".png") else "jpg"
            if number in indices:
                image = self._image(data, frames[number])
                shape = shape or (image.shape[0], image.shape[1])
                if image.shape[:2] != shape:
                    cause = f"frame {number} is {image.shape[1]}x{image.shape[0]}, the first "
                    cause += f"{shape[1]}x{shape[0]}"
                    raise InputError("size_changes", cause, role="frame", stage="decode")
                images.append(scale(image, sizing(*shape)))
                if self._rgb == "jpeg" and kind == "png":
                    data, kind = encode_jpeg(image), "jpg"
            rgb.append((f"rgb.{number:05d}.{kind}", data))
        assert shape is not None
        about = read_about(self._storage, ref)
        clip = Clip(
            video_id=ref.video_id,
            width=shape[1],
            height=shape[0],
            fps=about.fps if about else self._config.fps,
            frame_indices=indices,
            environment=about.environment if about else None,
            masklets=tuple(self._masklets(ref, indices, shape)),
            size=sizing(*shape),
        )
        return LoadedClip(clip, images, lambda: () if self._rgb == "none" else tuple(rgb))

    def _image(self, data: bytes, ref: FileRef) -> Frame:
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                if image.width * image.height > self._config.max_pixels:
                    cause = f"{image.width}x{image.height} is above source.max_pixels"
                    cause += f"={self._config.max_pixels}"
                    raise InputError(
                        "max_pixels", cause, role="frame", stage="decode", status="skipped"
                    )
                if min(image.width, image.height) < MIN_SIDE:
                    cause = f"{image.width}x{image.height}, a side must have {MIN_SIDE} pixels"
                    raise InputError("too_small", cause, role="frame", stage="decode")
                return np.array(image.convert("RGB"), dtype=np.uint8)
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            cause = f"{ref.label} cannot be decoded"
            raise InputError("corrupt", cause, role="frame", stage="decode") from error

    def _masklets(
        self, clip: ClipRef, indices: tuple[int, ...], shape: tuple[int, int]
    ) -> Iterator[Masklet]:
        rows: dict[int, list[Rle | None]] = {}
        problems: dict[int, Problem] = {}
        for ref in clip.role("mask"):
            if (number := _number(ref)) not in indices:
                continue
            owner = _object(ref, clip.video_id)
            try:
                labels = read_png(read_ref(self._storage, ref), role="mask")
                if labels.shape != shape:
                    cause = f"{ref.label} is {labels.shape[1]}x{labels.shape[0]}, its frame "
                    cause += f"{shape[1]}x{shape[0]}"
                    raise InputError("mask_size", cause, role="mask", stage="masks")
            except InputError as error:
                if owner is None:  # a palette PNG holds every object's mask
                    raise
                problems[owner] = Problem(error.status, error.reason, str(error))
                continue
            for label, mask in _objects(labels, owner):
                rles = rows.setdefault(label, [None] * len(indices))
                rles[indices.index(number)] = encode_rle(mask)
        if set(rows) == {_VOID}:  # DAVIS 2016 style: gray, the one object is 255
            rows = {1: rows[_VOID]}
        for label in sorted(set(rows) - {_VOID} | set(problems)):
            rles = rows.get(label, [None] * len(indices))
            problem = problems.get(label)
            masklet = Masklet(f"gt_{label:03d}", label, "gt", tuple(rles), None, problem)
            yield screened(masklet, self._config)


def _frame_place(name: str) -> tuple[str, str] | None:
    """(place, id) of a frame file, place = the path with the JPEGImages part taken out."""
    parts = name.split("/")
    if not parts[-1].lower().endswith((".jpg", ".jpeg", ".png")):
        return None
    for index, part in enumerate(parts[:-2]):
        if part.startswith("JPEGImages"):
            return "/".join(parts[:index] + parts[index + 1 : -1]), parts[-2]
    return None


def _mask_place(name: str, clips: set[tuple[str, str]]) -> tuple[str, str] | None:
    """(place, id) of an annotation: the frame folder it belongs to, or its own without one."""
    parts = name.split("/")
    if not parts[-1].lower().endswith(".png"):
        return None
    for index, part in enumerate(parts[:-2]):
        if part.startswith("Annotations"):
            inner = parts[:index] + parts[index + 1 : -1]
            own, above = (
                ("/".join(inner), inner[-1]),
                ("/".join(inner[:-1]), (inner[-2:-1] or [""])[0]),
            )
            return above if above in clips else own
    return None


def _by_id(item: tuple[tuple[str, str], _Files]) -> tuple[str, str]:
    (place, video_id), _ = item
    return video_id, place


def _ref(video_id: str, files: _Files, tears: Mapping[str, Tear]) -> ClipRef:
    refs = (*files.frames, *files.masks)
    problem = None
    tear = tears.get(refs[0].uri)
    at_end = tear is not None and any(ref.name == tear.last for ref in refs)
    odd = next((ref for ref in refs if not _numbered(ref, video_id)), None)
    if tear is not None and (at_end or not files.frames or not files.masks):
        problem = torn(tear, f"{video_id} is not whole")
    elif not files.frames:
        cause = f"plan of frame: {files.masks[0].label} lies without its frames"
        problem = Problem("failed", "no_video", cause)
    elif not files.masks:
        cause = "plan of masklets: there is no annotation PNG for these frames"
        problem = Problem("skipped", "no_annotation", cause)
    elif odd is not None:
        cause = f"plan of {odd.role}: {odd.label} is not named by frame and object number"
        problem = Problem("failed", "frame_name", cause)
    return ClipRef(video_id, (*refs, *files.about), problem)


def _numbered(ref: FileRef, video_id: str) -> bool:
    folder, name = ref.name.split("/")[-2:]
    return name.split(".")[0].isdecimal() and (folder == video_id or folder.isdecimal())


def _number(ref: FileRef) -> int:
    return int(ref.name.rpartition("/")[2].split(".")[0])


def _object(ref: FileRef, video_id: str) -> int | None:
    """The object id of a one-object PNG, from its folder; None for a palette PNG."""
    folder = ref.name.split("/")[-2]
    return None if folder == video_id else int(folder)


def _objects(
    labels: NDArray[np.uint8], owner: int | None
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    if owner is not None:
        yield owner, labels > 0
    else:
        for label in np.unique(labels[labels > 0]).tolist():
            yield label, labels == label


KIND = SourceKind(
    name="sav_eval",
    about="`JPEGImages*/` and `Annotations*/` as in SA-V val and test, DAVIS, YouTube-VOS",
    config=SavEvalConfig,
    revision=2,
    open=SavEval,
    licence=sav.LICENCE,
    credit=sav.CREDIT,
    cites=sav.CITES,
    tags=sav.TAGS,
)
