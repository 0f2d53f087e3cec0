"""The groups that say how a command works, and never change a byte of a shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mav_pipeline.config.checks import require
from mav_pipeline.schema.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """Who does the work; never changes a byte.

    Attributes:
        num_workers: actors under ``ray``; ``auto`` means as many as the cluster has slots for.
        address: of a running Ray cluster; null starts one in this process's machine, or uses
            RAY_ADDRESS as ``ray job submit`` sets it.
        gpus_per_worker: GPUs an actor asks Ray for; 0 means a CPU slot of ``matting.threads``;
            ``auto`` is 1 for a model where the cluster has GPUs, or must have them, else 0.
        max_attempts: of one shard in one run, for errors that may pass.
        shard_timeout_s: a shard that takes longer is taken from its worker; null means never.
        start_timeout_s: how long the first actor may take to start (an autoscaler needs minutes).
        encode_threads: threads that score and encode finished mattes, in each worker.
        progress_s: seconds between progress lines where there is no terminal.
    """

    name: Literal["local", "ray"]
    num_workers: int | Literal["auto"]
    address: str | None
    gpus_per_worker: float | Literal["auto"]
    max_attempts: int
    shard_timeout_s: float | None
    start_timeout_s: float
    retry_wait_s: float
    encode_threads: int
    progress_s: float

    def __post_init__(self) -> None:
        ok = self.num_workers == "auto" or self.num_workers >= 1
        require(ok, "runtime.num_workers", "auto or at least 1", self.num_workers)
        if self.name == "local" and self.num_workers not in ("auto", 1):
            raise ConfigError(
                f"runtime.num_workers={self.num_workers} needs runtime=ray; runtime=local is this "
                "process alone, one worker"
            )
        for key in ("max_attempts", "encode_threads"):
            require(getattr(self, key) >= 1, f"runtime.{key}", "at least 1", getattr(self, key))
        for key in ("gpus_per_worker", "retry_wait_s"):
            value = getattr(self, key)
            require(value == "auto" or value >= 0, f"runtime.{key}", "at least 0", value)
        for key in ("shard_timeout_s", "start_timeout_s", "progress_s"):
            value = getattr(self, key)
            require(value is None or value > 0, f"runtime.{key}", "above 0", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """``endpoint_url`` of an S3-compatible server; credentials come from the AWS chain alone."""

    endpoint_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeConfig:
    """``rebuild``: ``none``, or ``failed_clips`` for published shards that hold failed rows."""

    rebuild: Literal["none", "failed_clips"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyConfig:
    """``deep`` also decodes every sample; ``clean`` removes what is stray."""

    deep: bool
    clean: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """The synthetic corpus: ``frames`` are video frames at 24 fps, every 4th one annotated."""

    root: str | None
    clips: int
    frames: int
    width: int
    height: int
    seed: int

    def __post_init__(self) -> None:
        for key, least in (("clips", 1), ("frames", 1), ("width", 64), ("height", 64)):
            value = getattr(self, key)
            require(value >= least, f"sample.{key}", f"at least {least}", value)
        for key in ("width", "height"):
            value = getattr(self, key)
            require(value % 2 == 0, f"sample.{key}", "even (the video is yuv420p)", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanConfig:
    """``mav plan``: what its estimates rest on.

    Attributes:
        probe_clips: clips whose annotations are read.
        frames_per_s: the rate of one worker to assume; null takes a measured one.
        measure: clips that are matted here, for the rate; 0 takes it from receipts, if any.
    """

    probe_clips: int
    frames_per_s: float | None
    measure: int

    def __post_init__(self) -> None:
        require(self.probe_clips >= 1, "plan.probe_clips", "at least 1", self.probe_clips)
        require(self.measure >= 0, "plan.measure", "at least 0", self.measure)
        ok = self.frames_per_s is None or self.frames_per_s > 0
        require(ok, "plan.frames_per_s", "null or above 0", self.frames_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """``mav report``: masklets pictured, frames of each; the gate to report by, null as built."""

    masklets: int
    frames: int
    gate: str | None

    def __post_init__(self) -> None:
        ok = 0 <= self.masklets <= 200  # a masklet is about 0.1 MB of the page
        require(ok, "report.masklets", "from 0 to 200", self.masklets)
        require(1 <= self.frames <= 12, "report.frames", "from 1 to 12", self.frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class GtConfig:
    """``mav evaluate``: where the truth lies, and how its files are named."""

    root: str | None
    layout: Literal["alpha_gt", "vhim60", "youtubematte"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """``mav export``: where to, in which layout, and what.

    Attributes:
        include: clip ids or globs; empty means all.
        gate: name of the gate whose accepted masklets are exported; null means as built.
        limit: the first N clips; null means all.
    """

    root: str | None
    format: Literal["videomama", "sav_val", "preview"]
    include: tuple[str, ...]
    gate: str | None
    limit: int | None

    def __post_init__(self) -> None:
        require(self.limit is None or self.limit >= 1, "export.limit", "null or >= 1", self.limit)
