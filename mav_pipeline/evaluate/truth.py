"""Where the truth of a masklet's frames lies, and reading it; 8-bit gray PNGs and nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mav_pipeline.config import EvaluateConfig
from mav_pipeline.media.images import decode_png
from mav_pipeline.schema import AlphaFrame
from mav_pipeline.schema.errors import ConfigError, TruthError
from mav_pipeline.schema.registry import Registry
from mav_pipeline.storage import Storage, open_storage

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGBA"}


@dataclass(frozen=True, slots=True)
class TruthLayout:
    """How truth files are named; frames are the numbers of a sample's ``frame_indices``.

    Attributes:
        name: value of ``evaluate.layout``.
        form: for people; ``pattern`` says the same.
        folder: of one clip's files.
        objects: whether they are told apart by the masklet's name or its id, or there is one.
    """

    name: str
    form: str
    pattern: re.Pattern[str]
    folder: str
    objects: Literal["name", "id", "one"]

    def object_of(self, masklet: str) -> str:
        """What the truth calls a masklet of the set."""
        return self._object({"object": masklet, "id": masklet.rpartition("_")[2]})

    def parse(self, path: str) -> tuple[str, str, int] | None:
        """(clip, object, frame) of a file; None where it is none of this layout's."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        return match["clip"], self._object(match.groupdict()), int(match["frame"])

    def _object(self, parts: Mapping[str, str]) -> str:
        if self.objects == "id":
            return str(int(parts["id"]))
        return parts["object"] if self.objects == "name" else ""


#: alpha_gt is what ``mav sample`` writes. vhim60 is a split of V-HIM60 (MaGGIe's; its comp_easy,
#: comp_medium or comp_hard): instance 00 is the masklet with id 0. youtubematte has one object a
#: clip, as VideoMatte240K-Test in Robust Video Matting's form has, so the set must store one
#: masklet of it; evaluate.root is a folder of clips, such as youtubematte_1920x1080.
TRUTH_LAYOUTS: Registry[TruthLayout] = Registry(
    "evaluate.layout",
    (
        TruthLayout(
            "alpha_gt",
            "{video_id}/{masklet}/{frame}.png",
            re.compile(r"(?P<clip>[^/]+)/(?P<object>[^/]+)/(?P<frame>\d+)\.png"),
            "{clip}",
            "name",
        ),
        TruthLayout(
            "vhim60",
            "pha/{video_id}/{frame}/{instance}.png",
            re.compile(r"pha/(?P<clip>[^/]+)/(?P<frame>\d+)/(?P<id>\d+)\.png"),
            "pha/{clip}",
            "id",
        ),
        TruthLayout(
            "youtubematte",
            "{video_id}/pha/{frame}.png",
            re.compile(r"(?P<clip>[^/]+)/pha/(?P<frame>\d+)\.png"),
            "{clip}/pha",
            "one",
        ),
    ),
)


class Truth:
    """The truth under ``evaluate.root``; keeps names of objects in memory, but no more."""

    def __init__(self, storage: Storage, layout: TruthLayout) -> None:
        self._storage, self.layout = storage, layout

    @classmethod
    def open(cls, config: EvaluateConfig, endpoint_url: str | None) -> Truth:
        """Raises ConfigError where ``evaluate.root`` is unset or has no file of its form."""
        storage = open_storage(config.root, "evaluate.root", endpoint_url)
        layout = TRUTH_LAYOUTS.get(config.layout)
        truth = cls(storage, layout)
        try:
            found = next(truth._files(""), None)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(
                f"evaluate.root={storage} is not a folder; name the truth's"
            ) from error
        if found is None:
            what = f"holds no file {layout.form}, which is evaluate.layout={config.layout}"
            others = ", ".join(name for name in TRUTH_LAYOUTS.names() if name != config.layout)
            raise ConfigError(
                f"evaluate.root={storage} {what}; name another folder, or layout ({others})"
            )
        return truth

    def objects(self) -> set[tuple[str, str]]:
        """(clip, object) of all that has truth."""
        return {(clip, found) for clip, found, _, _ in self._files("")}

    def clip(self, clip: str) -> Mapping[str, Mapping[int, str]]:
        """By object the path of each frame of truth that one clip has."""
        found: dict[str, dict[int, str]] = defaultdict(dict)
        try:
            for name, item, frame, path in self._files(self.layout.folder.format(clip=clip)):
                if name == clip:
                    found[item][frame] = path
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return found

    def read(self, path: str, shape: tuple[int, int]) -> AlphaFrame:
        """(H, W) of one frame.

        Args:
            shape: that it must have, looked at before anything is decoded.

        Raises:
            TruthError: of another size or depth, or no whole PNG.
        """
        try:
            data = self._storage.read(path)
        except (FileNotFoundError, PermissionError) as error:
            raise TruthError("truth_unreadable", f"{path} cannot be read") from error
        if len(data) < 26 or not data.startswith(_SIGNATURE):
            raise TruthError("truth_unreadable", f"{path} is no PNG")
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        depth, colour = data[24], _COLOURS.get(data[25], "unknown")
        if (depth, colour) != (8, "gray"):
            raise TruthError("truth_depth", f"{path} is {depth}-bit {colour}; 8-bit gray is wanted")
        if (height, width) != shape:
            what = f"{path} is {width}x{height}, its clip {shape[1]}x{shape[0]}"
            raise TruthError("truth_size", what)
        try:
            return decode_png(data)
        except ValueError as error:
            raise TruthError("truth_unreadable", f"{path} cannot be decoded") from error

    def _files(self, folder: str) -> Iterator[tuple[str, str, int, str]]:
        for entry in self._storage.entries(folder):
            if (parts := self.layout.parse(entry.name)) is not None:
                yield *parts, entry.name
