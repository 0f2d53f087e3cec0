"""The values that flow through the pipeline, one way, frozen.

    FileRef -> ClipRef -> ShardSpec -> Clip + Masklet -> Matte -> Verdict
        -> Sample -> ShardReceipt -> RunReport

Knows nothing of files, clouds, Ray or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB
Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Alpha = NDArray[np.uint8]  # (T, H, W), 255 = opaque
AlphaFrame = NDArray[np.uint8]  # (H, W), 255 = opaque
Mask = NDArray[np.bool_]  # (H, W)
Masks = NDArray[np.bool_]  # (T, H, W)

MaskletStatus = Literal["accepted", "rejected", "skipped", "failed"]
STAGES = ("decode", "matting", "score", "encode", "publish")
SCORES = (
    "outside_mass",
    "core_loss",
    "area_ratio",
    "mask_iou",
    "softness",
    "flicker",
    "seam_ratio",
    "chunk_seam_ratio",
)


@dataclass(frozen=True, slots=True)
class FileRef:
    """A range of bytes somewhere under the source root: a loose file, or a member of a tar.

    Attributes:
        role: ``video``, ``manual``, ``auto``, ``frame`` or ``mask``.
        uri: path relative to ``source.root``, with ``/``.
        offset: first byte inside the file at ``uri`` (0 for a loose file).
        size: bytes.
        version: what changes when the file does: mtime in nanoseconds, or an etag.
    """

    role: str
    uri: str
    offset: int
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a clip or a masklet is not matted: ``status``, a stable ``reason`` and a message."""

    status: Literal["failed", "skipped"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClipRef:
    """One planned clip: its id, its files, and a problem where planning already found one."""

    video_id: str
    files: tuple[FileRef, ...]
    problem: Problem | None = None

    def role(self, role: str) -> tuple[FileRef, ...]:
        """The files of one role, in plan order."""
        return tuple(file for file in self.files if file.role == role)


@dataclass(frozen=True, slots=True)
class ClipMeasure:
    """What a clip will give: ``alpha_frames`` of ``pixels`` each, from ``masklets`` masklets."""

    masklets: int
    alpha_frames: int
    pixels: int


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """What one worker builds at a time: shard number and its clips in plan order."""

    index: int
    clips: tuple[ClipRef, ...]

    @property
    def name(self) -> str:
        return f"mav-{self.index:06d}"


@dataclass(frozen=True, slots=True)
class WorkingSize:
    """How a clip's pixels lie in the array that a backend sees.

    The source (H, W) is scaled to (``height``, ``width``) and edge-padded at the bottom and the
    right to (``pad_height``, ``pad_width``).
    """

    height: int
    width: int
    pad_height: int
    pad_width: int


@dataclass(frozen=True, slots=True)
class Rle:
    """A COCO run-length encoded mask at source resolution; ``counts`` is the compressed form."""

    height: int
    width: int
    counts: bytes
    area: int


@dataclass(frozen=True, slots=True)
class Masklet:
    """One object's masks through a clip.

    Attributes:
        name: ``manual_003``: kind and object id, unique in the clip.
        rles: one a frame of ``Clip.frame_indices``; None where the object is invisible.
        size_bucket: the annotators' small / medium / large, where they gave one.
        problem: why it must not be matted (empty, speck, broken RLE).
    """

    name: str
    id: int
    kind: str
    rles: tuple[Rle | None, ...]
    size_bucket: str | None = None
    problem: Problem | None = None

    @property
    def visible(self) -> tuple[bool, ...]:
        return tuple(rle is not None for rle in self.rles)


@dataclass(frozen=True, slots=True)
class Clip:
    """A decoded clip.

    Attributes:
        width, height: source resolution as displayed (rotation applied).
        fps: of the source video, not of the annotated frames.
        frame_indices: source frame number of each annotated frame.
        size: how ``frames`` relate to the source pixels.
        frames: (T, size.pad_height, size.pad_width, 3) RGB, annotated frames only.
        rgb: what the sample stores as RGB: (extension, bytes) members.
    """

    video_id: str
    width: int
    height: int
    fps: float
    frame_indices: tuple[int, ...]
    environment: str | None
    masklets: tuple[Masklet, ...]
    size: WorkingSize
    frames: Frames
    rgb: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Matte:
    """A block of consecutive alpha frames of one masklet; frames in no block are transparent.

    Attributes:
        start: index of the first frame into ``Clip.frame_indices``; blocks of a masklet ascend.
        alpha: (t, size.pad_height, size.pad_width).
        size: how ``alpha`` relates to the source pixels.
        note: a stable slug where a fallback was used, e.g. ``solver_fallback``.
    """

    masklet: Masklet
    start: int
    alpha: Alpha
    size: WorkingSize
    note: str | None = None


@dataclass(frozen=True, slots=True)
class MatteFailure:
    """A masklet that the backend could not matte, for a reason that a retry will not cure."""

    masklet: Masklet
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class Seams:
    """Where a temporal backend joins its pieces, as indices into ``Clip.frame_indices``.

    ``windows`` and ``chunks`` hold the first frame after each border; ``count`` is the number of
    windows run, 0 for a backend that looks at frames one by one.
    """

    windows: tuple[int, ...] = ()
    chunks: tuple[int, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates say of one matte: status, reasons and the scores they looked at."""

    status: MaskletStatus
    reasons: tuple[str, ...]
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One WebDataset sample: members are (extension, bytes) in the order they are stored."""

    key: str
    members: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A published, immutable file: its name in ``shards/``, size and content hash."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ShardReceipt:
    """The only pointer to a shard's files; the shard exists if and only if its receipt does.

    ``clips`` counts published / failed / skipped / samples, ``masklets`` accepted / rejected /
    skipped / failed, both of published clips. ``stages_s`` are busy seconds.
    """

    shard: str
    fingerprint: str
    tar: DataFile
    manifest: DataFile
    clips: Mapping[str, int]
    masklets: Mapping[str, int]
    frames: int
    stages_s: Mapping[str, float]
    worker: Mapping[str, Any]
    code_version: str
    attempts: int
    published_at: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShardReceipt:
        """Raises KeyError or TypeError where ``data`` is not a receipt."""
        fields = dict(data)
        fields["tar"], fields["manifest"] = DataFile(**data["tar"]), DataFile(**data["manifest"])
        fields["notes"] = tuple(data.get("notes", ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class ShardFailure:
    """The last error of a shard that could not be published."""

    shard: str
    stage: str
    type: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """Where a build stands; what ``mav build --json`` and ``mav status --json`` print."""

    state: Literal["complete", "incomplete"]
    shards: Mapping[str, int]
    clips: Mapping[str, int]
    masklets: Mapping[str, int]
    frames: int
    wall_s: float
    frames_per_s: float
    stages_s: Mapping[str, float]
    reasons: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
