"""Which files make a clip of one's own footage: videos and frame folders, and the masks beside.

    {id}.mp4, .mov ...   or   {id}/ with frames                 the picture
    {id}/   {id}_mask/   {id}_mask.mp4   {id}_mask_2.mp4 ...    its masks, in the same folder
    image/{id}/   mask/{id}/                                    both, as VideoMaMa has them
    {id}/images/   {id}/masks/                                  both, in a folder of their own

A folder of masks holds one sequence, or one folder an object. Where two could be meant the clip is
refused. Names alone decide, however the files were listed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from mav_pipeline.sources.footage.names import natural_key
from mav_pipeline.sources.footage.tree import ALPHA, IMAGE, MASK, Folder, child, tree
from mav_pipeline.sources.listing import Found

#: ``a_mask``, ``a.mask``, ``a-masks``, ``a_mask_2``: the clip's name, and the object's number.
_MASK = re.compile(r"(.+?)[._-]masks?(?:[._-]?([0-9]+))?", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class Pair:
    """The files of one clip.

    Attributes:
        name: the clip's own.
        pictures: the videos of that name, or the frames of a folder.
        masks: in natural order.
        doubt: why it is not plain which files count, where it is not.
    """

    name: str
    pictures: list[Found]
    masks: list[Found] = field(default_factory=list)
    doubt: str | None = None

    @property
    def is_mask(self) -> bool:
        """Whether its name says that it is the mask of a clip which is not there."""
        return not self.masks and split_mask(self.name) is not None


def split_mask(name: str) -> tuple[str, int | None] | None:
    """The clip that a mask's file or folder names, and its object's number; None for other names.

    The number is None where there is none: all objects, or the only one.
    """
    match = _MASK.fullmatch(name)
    return match and (match[1], None if match[2] is None else int(match[2]))


def pairs(files: Iterable[Found]) -> tuple[list[Pair], list[Found]]:
    """The clips among videos and pictures, and the mattes of an export, which are no masks.

    What is in neither belongs to no clip.
    """
    pairing = _Pairing()
    return [*pairing.of(tree(files))], pairing.mattes


class _Pairing:
    def __init__(self) -> None:
        self.mattes: list[Found] = []

    def of(self, here: Folder) -> Iterator[Pair]:
        """The clips in a folder and below."""
        left = dict(here.folders)
        image, masks, alpha = (child(left, names) for names in (IMAGE, MASK, ALPHA))
        if image and masks and masks.holds_masks and (image.pictures or image.filled):
            yield from self._image_and_mask(here, image, masks, alpha)
            for one in (image, masks, alpha):
                left.pop(one.name if one else "", None)
        claimed = set[str]()
        clips = {*here.videos, *(name for name, one in left.items() if one.pictures)}
        owners = _owners({*clips, *(n for n, one in left.items() if one.holds_masks)}, clips)
        for name in sorted(clips - owners.keys(), key=natural_key):
            beside = sorted((m for m, owner in owners.items() if owner == name), key=natural_key)
            own = left.get(name) if name in here.videos else None
            if own is not None and own.holds_masks:
                claimed.add(name)
            claimed.update(beside)
            yield _pair(name, here, left, beside)
        for name, folder in left.items():
            if name not in claimed:
                yield from self.of(folder)

    def _image_and_mask(
        self, here: Folder, image: Folder, masks: Folder, alpha: Folder | None
    ) -> Iterator[Pair]:
        """The clip of a folder that holds its frames and masks, or of each pair of folders."""
        if alpha is not None:
            self.mattes += [picture for one in (alpha, *alpha.filled) for picture in one.pictures]
        if image.pictures:
            yield Pair(here.name or image.name, image.pictures, masks.masks(), _mixed(masks))
            return
        names = {one.name for one in image.filled}
        names |= {name for name, one in masks.folders.items() if one.holds_masks}
        for name in sorted(names, key=natural_key):
            frames = image.folders[name].pictures if name in image.folders else []
            found = masks.folders.get(name)
            doubt = None if found is None else _mixed(found)
            yield Pair(name, frames, [] if found is None else found.masks(), doubt)


def _owners(names: Collection[str], clips: Collection[str]) -> dict[str, str]:
    """The clip of each name that is one of masks; a mask has no masks of its own."""
    owners: dict[str, str] = {}
    for name in sorted(names, key=len):
        split = split_mask(name)
        if split is not None and split[0] in clips and split[0] not in owners:
            owners[name] = split[0]
    return owners


def _pair(name: str, here: Folder, folders: dict[str, Folder], beside: list[str]) -> Pair:
    """The clip of a video or frame folder.

    Args:
        beside: names of its masks, but for a folder of the clip's own name.
    """
    videos, own = here.videos.get(name, []), folders.get(name)
    if not videos:
        assert own is not None
        return _with_masks(Pair(name, own.pictures), here, folders, beside)
    pair = Pair(name, videos)
    if len(videos) > 1:
        names = " and ".join(video.name.rpartition("/")[2] for video in videos)
        pair.doubt = f"{names} are both there; remove one"
    if own is None or not own.holds_masks:
        return _with_masks(pair, here, folders, beside)
    pair.masks = own.masks()
    if beside:
        pair.doubt = f"{name}/ and {beside[0]} could both be its masks; move one away"
    pair.doubt = pair.doubt or _mixed(own)
    return pair


def _with_masks(pair: Pair, here: Folder, folders: dict[str, Folder], beside: list[str]) -> Pair:
    """The clip with its masks of ``beside``: videos or folders, one an object or one for all."""
    taken: dict[int, str] = {}
    for name in beside:
        videos, folder = here.videos.get(name, []), folders.get(name)
        pair.masks += videos or (folder.masks() if folder else [])
        number = (split_mask(name) or ("", None))[1]
        other = taken.setdefault(1 if number is None else number, name)
        if other != name:
            pair.doubt = pair.doubt or f"{other} and {name} are both object 1; rename one"
        if len(videos) > 1 or (videos and folder and folder.holds_masks):
            pair.doubt = pair.doubt or f"there are two {name}; remove one"
        if folder is not None and not videos:
            many = len(beside) > 1 and bool(folder.objects)
            pair.doubt = pair.doubt or _mixed(folder, several=many)
    if len({name in here.videos for name in beside}) > 1:
        pair.doubt = pair.doubt or "its masks are videos and folders; move one kind away"
    return pair


def _mixed(folder: Folder, *, several: bool = False) -> str | None:
    """Whether a folder of masks holds both masks and folders of objects."""
    folder = folder.inner
    if folder.pictures and folder.objects:
        return f"{folder.name}/ holds masks and {folder.name}/{folder.objects[0].name}/; move one"
    return f"{folder.name}/ is one of several, and holds folders of objects" if several else None
