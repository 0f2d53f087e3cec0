"""What is written down: samples, data files, receipts, failures, and where a build stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mav_pipeline.schema.mattes import Member
from mav_pipeline.schema.passed_over import PassedOver
from mav_pipeline.schema.version import FORMAT, check_format

STAGES = ("decode", "matting", "score", "encode", "publish")


@dataclass(frozen=True, slots=True)
class Sample:
    """One WebDataset sample: its members in the order in which they are stored."""

    key: str
    members: tuple[Member, ...]


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
    skipped / failed, both of published clips. ``stages_s`` are busy seconds. ``reasons`` counts
    what the rows name.
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
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Format 1 does not say that it is one."""
        document = asdict(self)
        if self.format == 1:
            del document["format"]
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShardReceipt:
        """Raises KeyError, TypeError or ValueError where ``data`` is no receipt, or a later one."""
        fields = {**data, "format": check_format(data, "the receipt")}
        fields["tar"], fields["manifest"] = DataFile(**data["tar"]), DataFile(**data["manifest"])
        fields["notes"] = tuple(data.get("notes", ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """What a worker that has set its backend up knows, and a driver may not.

    Attributes:
        settings: what settings of the backend that were ``auto`` came to, by key: ``device``.
        weights: sha256 of what it loaded, by name.
        versions: of the packages that it computes with.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def same_bytes(self, other: BackendFacts) -> bool:
        """Whether both make the same bytes, as far as settings and weights say."""
        return (self.settings, self.weights) == (other.settings, other.weights)


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
    passed_over: PassedOver = field(default_factory=PassedOver)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed_over": self.passed_over.to_json()}
