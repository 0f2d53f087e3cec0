"""What is planned: files, clips and the shards they fall into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mav_pipeline.schema.statuses import ProblemStatus


@dataclass(frozen=True, slots=True)
class FileRef:
    """A range of bytes somewhere under the source root: a loose file, or a member of a tar.

    Attributes:
        role: ``video``, ``manual``, ``auto``, ``frame`` or ``mask``.
        uri: path relative to ``source.root``, with ``/``.
        offset: first byte inside the file at ``uri`` (0 for a loose file).
        size: bytes.
        version: what changes when the file does: mtime in nanoseconds, or an etag.
        name: its path in the collection: ``uri``, or that of the member in the tar.
    """

    role: str
    uri: str
    offset: int
    size: int
    version: str
    name: str

    @property
    def label(self) -> str:
        """What tells it in its clip: the same whether it lies loose or in a tar."""
        parts = 2 if self.role in ("frame", "mask") else 1
        return "/".join(self.name.split("/")[-parts:])


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a clip or a masklet is not matted: ``status``, a stable ``reason`` and a message."""

    status: ProblemStatus
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClipRef:
    """One planned clip: its id, its files, and a problem where planning already found one.

    Attributes:
        name: what its source calls it, where its id had to be made of that; see ``own``.
    """

    video_id: str
    files: tuple[FileRef, ...]
    problem: Problem | None = None
    name: str | None = None

    @property
    def own(self) -> str:
        """Its name in its source."""
        return self.video_id if self.name is None else self.name

    def role(self, role: str) -> tuple[FileRef, ...]:
        """The files of one role, in plan order."""
        return tuple(file for file in self.files if file.role == role)


@dataclass(frozen=True, slots=True)
class ClipMeasure:
    """What a clip will give.

    Attributes:
        masklets: those that will be matted.
        frames: annotated ones, of ``pixels`` each.
        alpha_frames: one masklet on one frame is one.
        turned_away: its other masklets, by the reason that their rows will have.
    """

    masklets: int
    frames: int
    alpha_frames: int
    pixels: int
    turned_away: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """What one worker builds at a time: shard number and its clips in plan order."""

    index: int
    clips: tuple[ClipRef, ...]

    @property
    def name(self) -> str:
        return f"mav-{self.index:06d}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is built: shards, and which tars were indexed to find their clips.

    Attributes:
        tars: version of each tar under the root, by its uri; those without a clip in the plan too.
    """

    shards: tuple[ShardSpec, ...]
    tars: Mapping[str, str]

    def clips(self) -> Iterator[ClipRef]:
        """All clips, in plan order."""
        for shard in self.shards:
            yield from shard.clips
