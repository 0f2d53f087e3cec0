"""The folders of a collection of videos and pictures, as pairing looks at them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mav_pipeline.sources.endings import is_video
from mav_pipeline.sources.footage.names import natural_key, stem
from mav_pipeline.sources.listing import Found

#: Names of folders of frames, masks and mattes, as VideoMaMa and others have them.
IMAGE, MASK, ALPHA = ("image", "images"), ("mask", "masks"), ("alpha", "alphas")


@dataclass(slots=True)
class Folder:
    """What lies in one folder.

    Attributes:
        videos: by their names without ending; of one name there may be several.
        pictures: in natural order.
        folders: by name, in natural order.
    """

    name: str = ""
    videos: dict[str, list[Found]] = field(default_factory=dict)
    pictures: list[Found] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)

    @property
    def filled(self) -> list[Folder]:
        """Its folders that hold pictures."""
        return [one for one in self.folders.values() if one.pictures]

    @property
    def objects(self) -> list[Folder]:
        """Of these the ones that may hold an object's masks: not frames, not mattes."""
        return [one for one in self.filled if one.name not in (*IMAGE, *ALPHA)]

    @property
    def holds_masks(self) -> bool:
        """Whether it could: a sequence, or one folder an object."""
        found = child(self.folders, MASK)
        return bool(self.pictures or self.objects or (found is not None and found.objects))

    @property
    def inner(self) -> Folder:
        """Where its masks lie: in a folder ``masks`` in it, if that is all there is of masks."""
        found = child(self.folders, MASK)
        alone = found is not None and found.holds_masks and not self.pictures
        return found if found and alone and self.objects in ([], [found]) else self

    def masks(self) -> list[Found]:
        """The pictures of its sequence, or of its objects."""
        here = self.inner
        return here.pictures or [picture for one in here.objects for picture in one.pictures]


def child(folders: Mapping[str, Folder], names: Iterable[str]) -> Folder | None:
    """The folder of one of these names."""
    return next((folders[name] for name in names if name in folders), None)


def tree(files: Iterable[Found]) -> Folder:
    """The root's folder, of videos and pictures however listed."""
    root = Folder()
    for file in sorted(files, key=lambda file: natural_key(file.path)):
        *parts, name = file.path.split("/")
        at = root
        for part in parts:
            at = at.folders.setdefault(part, Folder(part))
        if is_video(name):
            at.videos.setdefault(stem(name), []).append(file)
        else:
            at.pictures.append(file)
    for folder in _all(root):
        folder.folders = dict(sorted(folder.folders.items(), key=lambda item: natural_key(item[0])))
    return root


def _all(folder: Folder) -> Iterator[Folder]:
    yield folder
    for one in folder.folders.values():
        yield from _all(one)
