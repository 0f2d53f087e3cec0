"""Where the truth of a masklet's frames lies, and reading it.

evaluate.root -> Truth: which clips and objects there are -> TruthClip -> one frame at a time
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mav_pipeline.config import EvaluateConfig
from mav_pipeline.evaluate.truth_file import decode_truth
from mav_pipeline.schema import AlphaFrame
from mav_pipeline.schema.errors import ConfigError, TruthError
from mav_pipeline.schema.keys import safe_key
from mav_pipeline.schema.registry import Registry
from mav_pipeline.storage import Storage, open_storage

#: A frame's number. Not \d, which has digits of other scripts too.
_FRAME = "(?P<frame>[0-9]{1,18})"


@dataclass(frozen=True, slots=True)
class TruthLayout:
    """How truth files are named; frames are the numbers of a sample's ``frame_indices``.

    Attributes:
        name: value of ``evaluate.layout``.
        form: for people; ``pattern`` says the same.
        pattern: of a whole path. Groups: ``folder``, all files of one clip's truth lie below it;
            ``clip``; ``frame``; ``object`` or ``id``; ``above``, folders above the clip's own.
        objects: whether they are told apart by the masklet's name or its id, or there is one.
    """

    name: str
    form: str
    pattern: re.Pattern[str]
    objects: Literal["name", "id", "one"]

    def object_of(self, masklet: str) -> str:
        """What the truth calls a masklet of the set."""
        return self._object({"object": masklet, "id": masklet.rpartition("_")[2]})

    def parse(self, path: str) -> TruthFile | None:
        """What the path of a file says; None where it is none of this layout's."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        parts = match.groupdict()
        *above, own = f"{parts.get('above') or ''}{parts['clip']}".split("/")
        # A set's keys are unique, so clips of two folders may have got these in front.
        full = [(*above[at:], own) for at in range(len(above) + 1)]
        keys = dict.fromkeys(safe_key(by.join(name)) for name in full for by in "_/")
        before, after = path[: match.start("frame")], path[match.end("frame") :]
        item = self._object(parts)
        return TruthFile(parts["folder"], tuple(keys), item, before, parts["frame"], after)

    def _object(self, parts: Mapping[str, str]) -> str:
        if self.objects == "id":
            return str(int(parts["id"]))
        return parts["object"] if self.objects == "name" else ""


@dataclass(frozen=True, slots=True)
class TruthFile:
    """One file of truth, ``before + frame + after``.

    Attributes:
        folder: of its clip.
        keys: that its clip may have in a set.
    """

    folder: str
    keys: Sequence[str]
    object: str
    before: str
    frame: str
    after: str


#: alpha_gt is what ``mav sample`` writes. vhim60 is a split of V-HIM60 (MaGGIe's; its comp_easy,
#: comp_medium or comp_hard): instance 00 is the masklet with id 0. youtubematte has one object a
#: clip, as VideoMatte240K-Test in Robust Video Matting's form has, so the set must store one
#: masklet of it. Its scorer opens {root}/{motion or static}/{clip}/pha; evaluate.root may be any
#: folder from the one above youtubematte_1920x1080 down to one of clips.
TRUTH_LAYOUTS: Registry[TruthLayout] = Registry(
    "evaluate.layout",
    (
        TruthLayout(
            "alpha_gt",
            "{video_id}/{masklet}/{frame}.png",
            re.compile(rf"(?P<folder>(?P<clip>[^/]+))/(?P<object>[^/]+)/{_FRAME}\.png"),
            "name",
        ),
        TruthLayout(
            "vhim60",
            "pha/{video_id}/{frame}/{instance}.png",
            re.compile(rf"(?P<folder>pha/(?P<clip>[^/]+))/{_FRAME}/(?P<id>[0-9]+)\.png"),
            "id",
        ),
        TruthLayout(
            "youtubematte",
            "{video_id}/pha/{frame}.jpg or .png, also below youtubematte_1920x1080/{subset}/",
            re.compile(
                r"(?P<folder>(?P<above>(?:[^/]+/){0,2})(?P<clip>[^/]+)/pha)/"
                rf"{_FRAME}\.(?i:png|jpe?g)"
            ),
            "one",
        ),
    ),
)


@dataclass(slots=True)
class FrameFiles:
    """The paths of one object's frames, by number: eight bytes a frame.

    Names of one object's files differ in nothing but the number, so that is all that is kept.
    """

    _frames: dict[tuple[str, int, str], array[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(frames) for frames in self._frames.values())

    def add(self, file: TruthFile) -> None:
        """Takes a file in."""
        style = file.before, len(file.frame), file.after
        self._frames.setdefault(style, array("q")).append(int(file.frame))

    def sort(self) -> None:
        """To be called when all are in, and before one is asked for."""
        for frames in self._frames.values():
            np.frombuffer(frames, np.int64).sort()

    def path(self, frame: int) -> str | None:
        """Of one frame; None where it has no truth.

        Raises:
            TruthError: it has several, such as 7.png and 00007.png.
        """
        found = [
            f"{before}{frame:0{digits}d}{after}"
            for (before, digits, after), frames in self._frames.items()
            if _holds(frames, frame)
        ]
        if len(found) > 1:
            what = f"frame {frame} has {len(found)} files: {', '.join(sorted(found))}; keep one"
            raise TruthError("truth_ambiguous", what)
        return found[0] if found else None


def _holds(frames: array[int], frame: int) -> bool:
    numbers = np.frombuffer(frames, np.int64)
    place = int(np.searchsorted(numbers, frame))
    return place < len(numbers) and int(numbers[place]) == frame


class Truth:
    """The truth under ``evaluate.root``; keeps names of clips and objects, but not of frames."""

    def __init__(self, storage: Storage, layout: TruthLayout) -> None:
        self._storage, self.layout = storage, layout
        self._objects: dict[str, set[str]] = defaultdict(set)
        self._folders: dict[str, list[str]] = defaultdict(list)
        for file in self._files(""):
            if file.folder not in self._objects:
                for key in file.keys:
                    self._folders[key].append(file.folder)
            self._objects[file.folder].add(file.object)

    @classmethod
    def open(cls, config: EvaluateConfig, endpoint_url: str | None) -> Truth:
        """Raises ConfigError where ``evaluate.root`` is unset or has no file of its form."""
        storage = open_storage(config.root, "evaluate.root", endpoint_url)
        layout = TRUTH_LAYOUTS.get(config.layout)
        try:
            truth = cls(storage, layout)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(
                f"evaluate.root={storage} is not a folder; name the truth's"
            ) from error
        if not truth.objects():
            what = f"holds no file {layout.form}, which is evaluate.layout={config.layout}"
            others = ", ".join(name for name in TRUTH_LAYOUTS.names() if name != config.layout)
            raise ConfigError(
                f"evaluate.root={storage} {what}; name another folder, or layout ({others})"
            )
        return truth

    def objects(self) -> set[tuple[str, str]]:
        """(folder, object) of all that has truth; a folder is one clip's."""
        return {(folder, item) for folder, items in self._objects.items() for item in items}

    def folders(self, key: str) -> Sequence[str]:
        """Where the truth of a clip of the set may lie: one folder, none, or more than one."""
        return tuple(self._folders.get(key, ()))

    def frames(self, folder: str) -> Mapping[str, FrameFiles]:
        """By object the files of one clip's truth."""
        found: dict[str, FrameFiles] = defaultdict(FrameFiles)
        try:
            for file in self._files(folder):
                found[file.object].add(file)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        for files in found.values():
            files.sort()
        return found

    def read(self, path: str, shape: tuple[int, int]) -> AlphaFrame:
        """(H, W) of one frame, which must have that shape.

        Raises:
            TruthError: of another size or depth, or no whole picture.
        """
        try:
            data = self._storage.read(path)
        except (FileNotFoundError, PermissionError) as error:
            raise TruthError("truth_unreadable", f"{path} cannot be read") from error
        return decode_truth(data, path, shape)

    def _files(self, folder: str) -> Iterator[TruthFile]:
        for entry in self._storage.entries(folder):
            if (file := self.layout.parse(entry.name)) is not None:
                yield file
