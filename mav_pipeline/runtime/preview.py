"""What a build would do, before anything is spent: counts, and estimates from some annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mav_pipeline.config import RunConfig
from mav_pipeline.errors import InputError
from mav_pipeline.matting import largest_batch
from mav_pipeline.runtime.preflight import prepare
from mav_pipeline.schema import ClipMeasure, ClipRef
from mav_pipeline.sources import open_source

_ALPHA_BYTES_PER_PIXEL = 0.023  # FFV1 on real mattes: 13.4 KB a frame of 1024 x 576 (FACTS)


@dataclass(frozen=True, slots=True)
class Preview:
    """The dry run that ``mav plan --json`` prints; estimates are scaled up from ``probed`` clips.

    ``gpu_hours`` is None without a rate (``plan.frames_per_s``), and hours of workers where those
    have no GPU; ``max_batch`` is the largest that fits this machine's GPU, None without one.
    """

    clips: dict[str, int]
    shards: int
    reasons: dict[str, int]
    probed: int
    masklets: int
    alpha_frames: int
    input_bytes: int
    output_bytes: int
    gpu_hours: float | None
    max_batch: int | None
    resumes: bool
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def preview(config: RunConfig) -> Preview:
    """Plans without writing. Raises SetupError as a build would."""
    prepared = prepare(config, writes=False)
    clips = [*prepared.plan.clips()]
    good = [clip for clip in clips if clip.problem is None]
    measures, broken = _measure(config, good)
    scale = len(good) / max(1, len(measures) + broken)
    frames = round(scale * sum(measure.alpha_frames for measure in measures))
    pixels = scale * sum(measure.alpha_frames * measure.pixels for measure in measures)
    stored = sum(ref.size for clip in good for ref in clip.files if ref.role in ("video", "frame"))
    rgb = stored if config.output.rgb == "source" else 0
    rate = config.plan.frames_per_s
    problems = [clip.problem for clip in clips if clip.problem is not None]
    return Preview(
        clips={
            "planned": len(clips),
            **{key: sum(p.status == key for p in problems) for key in ("failed", "skipped")},
        },
        shards=len(prepared.plan.shards),
        reasons=dict(sorted(Counter(problem.reason for problem in problems).items())),
        probed=len(measures) + broken,
        masklets=round(scale * sum(measure.masklets for measure in measures)),
        alpha_frames=frames,
        input_bytes=sum(ref.size for clip in clips for ref in clip.files),
        output_bytes=round(rgb + pixels * _ALPHA_BYTES_PER_PIXEL),
        gpu_hours=round(frames / rate / 3600, 3) if rate else None,
        max_batch=largest_batch(config.matting, config.storage.endpoint_url),
        resumes=prepared.resumes,
        fingerprint=prepared.fingerprint,
    )


def _measure(config: RunConfig, clips: Sequence[ClipRef]) -> tuple[list[ClipMeasure], int]:
    """Measures evenly spaced clips; also how many could not be."""
    source = open_source(config)
    step = max(1, -(-len(clips) // config.plan.probe_clips))
    measures, broken = [], 0
    for clip in clips[::step]:
        try:
            measures.append(source.measure(clip))
        except InputError:
            broken += 1
    return measures, broken
