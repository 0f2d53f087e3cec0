"""The files of a planned clip of footage: which numbers its frames have, which object a mask is of.

Follows from names alone, so that a plan need not hold it. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mav_pipeline.schema import ClipRef, FileRef
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.endings import is_video
from mav_pipeline.sources.footage.names import frame_numbers, natural_key, stem
from mav_pipeline.sources.footage.pairs import split_mask
from mav_pipeline.sources.footage.tree import MASK


@dataclass(frozen=True, slots=True)
class MaskGroup:
    """The masks of one folder, or one mask video.

    Attributes:
        owner: number of the object that they are of; None where they may be of several.
        files: in natural order.
        numbers: one a file, where names tell it.
    """

    owner: int | None
    files: tuple[FileRef, ...]
    numbers: tuple[int, ...] | None

    @property
    def is_video(self) -> bool:
        return is_video(self.files[0].name)


def numbered(refs: Sequence[FileRef]) -> tuple[int, ...] | None:
    """The numbers of the frames that the files of one folder are; None where names do not tell.

    Raises:
        InputError: two of them are the same frame, or one has no number and others have.
    """
    role = refs[0].role
    try:
        numbers = frame_numbers([stem(ref.name) for ref in refs])
    except ValueError as error:
        raise InputError("frame_name", str(error), role=role, stage="plan") from error
    keys: Sequence[int | str] = numbers or [stem(ref.name) for ref in refs]
    seen: dict[int | str, FileRef] = {}
    for key, ref in zip(keys, refs, strict=True):
        if (other := seen.setdefault(key, ref)) is not ref:
            cause = f"{other.label} and {ref.label} are both frame {key}; remove one"
            raise InputError("two_files", cause, role=role, stage="plan")
    return numbers


def mask_groups(ref: ClipRef) -> list[MaskGroup]:
    """The masks of a clip that has no problem, by their object, in the order of the numbers.

    Objects whose folders have no numbers count from 1, in natural order.

    Raises:
        InputError: as ``numbered``.
    """
    picture = (ref.role("video") or ref.role("frame"))[0]
    depth = picture.name.count("/") + bool(ref.role("video"))  # of a sequence of the clip's own
    groups: dict[str, list[FileRef]] = defaultdict(list)
    for file in ref.role("mask"):
        groups[file.name if is_video(file.name) else file.name.rpartition("/")[0]].append(file)
    owners = _owners(list(groups), depth, ref.own)
    found = [
        MaskGroup(owners[name], tuple(files), None if is_video(name) else numbered(files))
        for name, files in groups.items()
    ]
    return sorted(found, key=lambda group: group.owner or 0)


def _owners(groups: Sequence[str], depth: int, clip: str) -> Mapping[str, int | None]:
    """The object of each folder or video of masks."""
    last = [name.rpartition("/")[2] for name in groups]
    is_masks = len(groups) == 1 and last[0] in MASK  # the folder ``masks`` in the clip's own
    if not is_video(groups[0]) and groups[0].count("/") >= depth and not is_masks:  # of objects
        whole = all(name.isascii() and name.isdecimal() for name in last)
        if whole and len({int(name) for name in last}) == len(last):
            return {group: int(name) for group, name in zip(groups, last, strict=True)}
        ordered = sorted(groups, key=natural_key)
        return {group: number for number, group in enumerate(ordered, 1)}
    numbers = [split_mask(stem(name) if is_video(name) else name) for name in last]
    if len(groups) == 1:
        split = numbers[0] if last[0] != clip else None
        return {groups[0]: split and split[1]}
    return {
        group: 1 if split is None or split[1] is None else split[1]
        for group, split in zip(groups, numbers, strict=True)
    }
