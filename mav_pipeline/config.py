"""The typed configuration: what ``conf/`` may say, checked when it is built.

Knows nothing of Hydra: ``RunConfig.from_mapping`` takes plain dicts. Defaults stand in ``conf/``
with their reasons, so a field without a value there is an error here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from mav_pipeline.errors import ConfigError
from mav_pipeline.sizing import SizeRule
from mav_pipeline.typed import build, flatten

#: Keys of fingerprinted groups that never reach a byte of a shard: locations, and the loss budget.
LOCATIONS = ("source.root", "output.root", "matting.base_model", "matting.unet")
NO_BYTES = (*LOCATIONS, "quality.max_failed_fraction")
FINGERPRINTED = ("source", "matting", "quality", "output")


def _require(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise ConfigError(f"{key} must be {rule}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Where clips come from and which are taken.

    Attributes:
        name: ``sav_train`` or ``sav_eval``.
        root: folder that holds the clips, however deep.
        masklets: ``manual``, ``auto`` or ``both`` (sav_train), ``gt`` (sav_eval).
        include: clip ids or globs; empty means all.
        limit: the first N clips in id order; null means all.
        max_pixels: a frame with more pixels is skipped, before it is decoded.
        max_frames: a clip with more annotated frames is skipped.
        max_bytes: an input file with more bytes is skipped.
        min_area: a masklet that never covers this many pixels is skipped.
        frame_step: annotated frame i is video frame i * frame_step (sav_train).
        fps: frame rate of image sources, which do not record one (sav_eval).
    """

    name: Literal["sav_train", "sav_eval"]
    root: str | None
    masklets: Literal["manual", "auto", "both", "gt"]
    include: tuple[str, ...]
    limit: int | None
    max_pixels: int
    max_frames: int
    max_bytes: int
    min_area: int
    frame_step: int
    fps: float

    def __post_init__(self) -> None:
        kinds = ("gt",) if self.name == "sav_eval" else ("manual", "auto", "both")
        _require(self.masklets in kinds, "source.masklets", " or ".join(kinds), self.masklets)
        for key in ("max_pixels", "max_frames", "max_bytes", "frame_step"):
            _require(getattr(self, key) >= 1, f"source.{key}", "at least 1", getattr(self, key))
        _require(self.min_area >= 0, "source.min_area", "at least 0", self.min_area)
        _require(self.limit is None or self.limit >= 1, "source.limit", "null or >= 1", self.limit)
        _require(self.fps > 0, "source.fps", "above 0", self.fps)


@dataclass(frozen=True, slots=True, kw_only=True)
class MattingConfig:
    """Which backend makes the mattes, and on what pixels.

    Attributes:
        name: ``binary``, ``closed_form`` or ``videomama``.
        window, overlap: frames a window, and how many it shares with the next (temporal backends).
        seed: of the noise (diffusion backends).
        threads: CPU threads a worker computes with; part of the fingerprint, as it moves floats.
        size, max_pixels, width, height: see ``SizeRule``.
        band: half width of the trimap's unknown band, as a fraction of sqrt(object area).
        band_min, band_max: bounds of that half width, in working pixels.
        base_model, unet: where ``vae/`` and ``unet/`` lie: folder or hub id.
        device, dtype: what the model runs on and in; ``auto`` asks the machine.
        decode_chunk, decode_overlap: frames decoded at once, and of context on each side.
        max_batch: windows, frames or chunks through the model at once.
        compile: torch.compile the model.
    """

    name: Literal["binary", "closed_form", "videomama"]
    window: int
    overlap: int
    seed: int
    threads: int
    size: Literal["fit", "native", "stretch"]
    max_pixels: int
    width: int
    height: int
    band: float = 0.0
    band_min: int = 1
    band_max: int = 1
    base_model: str | None = None
    unet: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    decode_chunk: int = 8
    decode_overlap: int = 0
    max_batch: int = 4
    compile: bool = False

    def __post_init__(self) -> None:
        _require(self.window >= 1, "matting.window", "at least 1", self.window)
        ok = 0 <= self.overlap < self.window
        _require(ok, "matting.overlap", "at least 0 and below matting.window", self.overlap)
        least_one = ("threads", "max_pixels", "width", "height", "band_min", "decode_chunk")
        for key in (*least_one, "max_batch"):
            _require(getattr(self, key) >= 1, f"matting.{key}", "at least 1", getattr(self, key))
        for key in ("band", "decode_overlap"):
            _require(getattr(self, key) >= 0, f"matting.{key}", "at least 0", getattr(self, key))
        ok = self.band_max >= self.band_min
        _require(ok, "matting.band_max", "at least matting.band_min", self.band_max)

    def size_rule(self, multiple: int) -> SizeRule:
        """The rule for a backend whose sides are multiples of ``multiple``."""
        return SizeRule(
            mode=self.size,
            max_pixels=self.max_pixels,
            width=self.width,
            height=self.height,
            multiple=multiple,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConfig:
    """What a sample holds and where the set goes."""

    root: str | None
    clips_per_shard: int
    rgb: Literal["source", "jpeg", "none"]
    alpha: Literal["ffv1", "png"]

    def __post_init__(self) -> None:
        ok = 1 <= self.clips_per_shard <= 10_000
        _require(ok, "output.clips_per_shard", "from 1 to 10000", self.clips_per_shard)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityConfig:
    """Scores and gates; null switches a gate off. Units and grounds: ``conf/config.yaml``."""

    enabled: bool
    scores: Literal["full", "basic"]
    keep_rejected: bool
    max_failed_fraction: float
    max_outside_mass: float | None
    max_core_loss: float | None
    min_area_ratio: float | None
    max_area_ratio: float | None
    max_flicker: float | None

    def __post_init__(self) -> None:
        ok = 0 <= self.max_failed_fraction <= 1
        _require(ok, "quality.max_failed_fraction", "from 0 to 1", self.max_failed_fraction)


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
        _require(ok, "runtime.num_workers", "auto or at least 1", self.num_workers)
        if self.name == "local" and self.num_workers not in ("auto", 1):
            raise ConfigError(
                f"runtime.num_workers={self.num_workers} needs runtime=ray; runtime=local is this "
                "process alone, one worker"
            )
        for key in ("max_attempts", "encode_threads"):
            _require(getattr(self, key) >= 1, f"runtime.{key}", "at least 1", getattr(self, key))
        for key in ("gpus_per_worker", "retry_wait_s"):
            value = getattr(self, key)
            _require(value == "auto" or value >= 0, f"runtime.{key}", "at least 0", value)
        for key in ("shard_timeout_s", "start_timeout_s", "progress_s"):
            value = getattr(self, key)
            _require(value is None or value > 0, f"runtime.{key}", "above 0", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """``endpoint_url`` of an S3-compatible server; credentials come from the AWS chain alone."""

    endpoint_url: str | None


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
            _require(value >= least, f"sample.{key}", f"at least {least}", value)
        for key in ("width", "height"):
            value = getattr(self, key)
            _require(value % 2 == 0, f"sample.{key}", "even (the video is yuv420p)", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanConfig:
    """``mav plan``: clips whose annotations are read for the estimate, and the rate to assume."""

    probe_clips: int
    frames_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """``mav report``: masklets shown, and frames of each."""

    masklets: int
    frames: int

    def __post_init__(self) -> None:
        ok = 0 <= self.masklets <= 200  # a masklet is about 0.1 MB of the page
        _require(ok, "report.masklets", "from 0 to 200", self.masklets)
        _require(1 <= self.frames <= 12, "report.frames", "from 1 to 12", self.frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything one command may need."""

    source: SourceConfig
    matting: MattingConfig
    output: OutputConfig
    quality: QualityConfig
    runtime: RuntimeConfig
    storage: StorageConfig
    verify: VerifyConfig
    sample: SampleConfig
    plan: PlanConfig
    report: ReportConfig

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """Builds the typed config from plain dicts and lists.

        Raises:
            ConfigError: an unknown key (naming the nearest), a missing one, or a bad value.
        """
        return build(cls, data)

    def to_mapping(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars."""
        return asdict(self)

    def fingerprinted(self) -> dict[str, Any]:
        """The flat keys that reach pixels or rows, with their values."""
        flat = flatten({group: asdict(getattr(self, group)) for group in FINGERPRINTED})
        return {key: value for key, value in flat.items() if key not in NO_BYTES}
