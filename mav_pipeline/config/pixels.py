"""The groups that reach pixels or rows, and so the fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mav_pipeline.config.checks import require
from mav_pipeline.media.sizing import SizeRule


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
        require(self.masklets in kinds, "source.masklets", " or ".join(kinds), self.masklets)
        for key in ("max_pixels", "max_frames", "max_bytes", "frame_step"):
            require(getattr(self, key) >= 1, f"source.{key}", "at least 1", getattr(self, key))
        require(self.min_area >= 0, "source.min_area", "at least 0", self.min_area)
        require(self.limit is None or self.limit >= 1, "source.limit", "null or >= 1", self.limit)
        require(self.fps > 0, "source.fps", "above 0", self.fps)


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
        require(self.window >= 1, "matting.window", "at least 1", self.window)
        ok = 0 <= self.overlap < self.window
        require(ok, "matting.overlap", "at least 0 and below matting.window", self.overlap)
        least_one = ("threads", "max_pixels", "width", "height", "band_min", "decode_chunk")
        for key in (*least_one, "max_batch"):
            require(getattr(self, key) >= 1, f"matting.{key}", "at least 1", getattr(self, key))
        for key in ("band", "decode_overlap"):
            require(getattr(self, key) >= 0, f"matting.{key}", "at least 0", getattr(self, key))
        ok = self.band_max >= self.band_min
        require(ok, "matting.band_max", "at least matting.band_min", self.band_max)

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
        require(ok, "output.clips_per_shard", "from 1 to 10000", self.clips_per_shard)


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
    min_quality: float | None

    def __post_init__(self) -> None:
        ok = 0 <= self.max_failed_fraction <= 1
        require(ok, "quality.max_failed_fraction", "from 0 to 1", self.max_failed_fraction)
        ok = self.min_quality is None or 0 <= self.min_quality <= 1
        require(ok, "quality.min_quality", "null or from 0 to 1", self.min_quality)
        for key in ("max_flicker", "min_quality"):
            ok = self.scores == "full" or getattr(self, key) is None
            require(ok, f"quality.{key}", "null with quality.scores=basic", getattr(self, key))
