"""Which files belong to a clip of images and masks: by their folders, and refused where in doubt.

    JPEGImages*/<any>/{id}/00000.jpg
    Annotations*/<any>/{id}/{object}/00000.png    one image an object (objects overlap), or
    Annotations*/<any>/{id}/00000.png             one image with the labels of all

``<any>`` is the clip's place: frames and masks of the same place are one clip's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mav_pipeline.schema import ClipRef, FileRef, Problem
from mav_pipeline.sources.about import about_place
from mav_pipeline.sources.endings import kind_of
from mav_pipeline.sources.listing import Listing, Tear, torn

_IMAGES = (".jpg", ".jpeg", ".png")

#: (path with the JPEGImages or Annotations part taken out, id)
_Place = tuple[str, str]


@dataclass(slots=True)
class _Files:
    frames: list[FileRef] = field(default_factory=list)
    masks: list[FileRef] = field(default_factory=list)
    about: list[FileRef] = field(default_factory=list)


def image_clips(listing: Listing) -> list[ClipRef]:
    """The clips of a collection, those with a problem included, in id order.

    What belongs to none is counted as passed over.
    """
    found: dict[_Place, _Files] = defaultdict(_Files)
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
    ordered = sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    return [_clip(video_id, parts, listing.tears) for (_, video_id), parts in ordered]


def number_of(ref: FileRef) -> int:
    """The frame that an image is of, from its name."""
    return int(_stem(ref))


def owner_of(mask: FileRef, frame: FileRef) -> int | None:
    """The object that a mask is of, from its folder; None where it lies in the clip's own.

    Args:
        frame: any of the clip's, which lies in the clip's own folder.
    """
    folders = mask.name.split("/")[:-1]
    return int(folders[-1]) if len(folders) > frame.name.count("/") else None


def _frame_place(path: str) -> _Place | None:
    parts = path.split("/")
    if not path.lower().endswith(_IMAGES):
        return None
    for index, part in enumerate(parts[:-2]):
        if part.startswith("JPEGImages"):
            return "/".join(parts[:index] + parts[index + 1 : -1]), parts[-2]
    return None


def _mask_place(path: str, clips: set[_Place]) -> _Place | None:
    """The frame folder that an annotation belongs to, or its own without one."""
    parts = path.split("/")
    if not path.lower().endswith(_IMAGES):
        return None
    for index, part in enumerate(parts[:-2]):
        if part.startswith("Annotations"):
            inner = parts[:index] + parts[index + 1 : -1]
            own = "/".join(inner), inner[-1]
            above = "/".join(inner[:-1]), (inner[-2:-1] or [""])[0]
            return above if above in clips else own
    return None


def _clip(video_id: str, files: _Files, tears: Mapping[str, Tear]) -> ClipRef:
    refs = (*files.frames, *files.masks)
    tear = tears.get(refs[0].uri)
    at_end = tear is not None and any(ref.name == tear.last for ref in refs)
    if tear is not None and (at_end or not files.frames or not files.masks):
        return ClipRef(video_id, refs, torn(tear, f"{video_id} is not whole"))
    return ClipRef(video_id, (*refs, *files.about), next(_problems(files), None))


def _problems(files: _Files) -> Iterator[Problem]:
    """What is wrong with a clip by its files' names, the worst first."""
    if not files.frames:
        cause = f"{files.masks[0].label} lies without its frames"
        yield Problem("failed", "no_video", f"plan of frame: {cause}")
    if not files.masks:
        cause = "there is no annotation image for these frames"
        yield Problem("skipped", "no_annotation", f"plan of masklets: {cause}")
    for ref in (*files.frames, *files.masks):
        if not _is_numbered(ref, files.frames[0]):
            cause = f"{ref.label} is not named by frame and object number"
            yield Problem("failed", "frame_name", f"plan of {ref.role}: {cause}")
    for refs in (files.frames, files.masks):
        if doubt := _doubt(refs, files.frames[0]):
            yield Problem("failed", "two_files", f"plan of {refs[0].role}: {doubt}")
    if shift := _shift(files):
        yield Problem("failed", "frame_shift", f"plan of mask: {shift}")


def _is_numbered(ref: FileRef, frame: FileRef) -> bool:
    folders = ref.name.split("/")[:-1]
    of_an_object = len(folders) > frame.name.count("/")
    return _is_number(_stem(ref)) and (not of_an_object or _is_number(folders[-1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _doubt(refs: Sequence[FileRef], frame: FileRef) -> str | None:
    """Why it is not plain which of the files count, if it is not."""
    seen: dict[tuple[int | None, int], FileRef] = {}
    folders: dict[int | None, FileRef] = {}
    for ref in refs:
        owner = owner_of(ref, frame)
        other = folders.setdefault(owner, ref)
        if _folder(other) != _folder(ref):
            return f"{_folder(other)} and {_folder(ref)} are both there; move one away"
        other = seen.setdefault((owner, number_of(ref)), ref)
        if other is not ref:
            return f"{other.label} and {ref.label} are both frame {number_of(ref)}; remove one"
    if None in folders and len(folders) > 1:
        other = next(ref for owner, ref in folders.items() if owner is not None)
        return f"{folders[None].label} holds labels and {other.label} one object; remove one kind"
    return None


def _shift(files: _Files) -> str | None:
    """Whether there are as many masks as frames, all numbered off by the same."""
    frames = sorted({number_of(ref) for ref in files.frames})
    masks = sorted({number_of(ref) for ref in files.masks})
    off = masks[0] - frames[0]
    if not off or len(masks) != len(frames):
        return None
    if any(mask - frame != off for mask, frame in zip(masks, frames, strict=True)):
        return None
    return f"masks {masks[0]} to {masks[-1]} stand beside frames {frames[0]} to {frames[-1]}"


def _folder(ref: FileRef) -> str:
    return ref.name.rpartition("/")[0]


def _stem(ref: FileRef) -> str:
    return ref.name.rpartition("/")[2].split(".")[0]
