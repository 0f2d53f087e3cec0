"""What a build would do, before anything is spent: counts, and estimates from some annotations."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.errors import BackendError, InputError
from mav_pipeline.matting import largest_batch, open_backend
from mav_pipeline.runtime.preflight import Prepared, prepare
from mav_pipeline.schema import ClipMeasure, ClipRef, Matte
from mav_pipeline.sources import open_source

_ALPHA_BYTES_PER_PIXEL = 0.023  # FFV1 on real mattes: 13.4 KB a frame of 1024 x 576 (FACTS)


@dataclass(frozen=True, slots=True)
class Preview:
    """The dry run that ``mav plan --json`` prints; estimates are scaled up from ``probed`` clips.

    Attributes:
        clips: planned; failed and skipped by what the listing tells.
        pending: shards and clips that a build would still do.
        reasons: of the clips that the listing turns away.
        probe_reasons: of clips and masklets that the probed annotations turn away; not scaled.
        masklets, alpha_frames, output_bytes: of the whole set.
        frames_per_s: of one worker; None where nothing says it.
        rate_of: what says it: ``plan.frames_per_s``, clips matted here, or the set's receipts.
        gpu_hours: for the pending clips, at that rate; hours of workers where those have no GPU.
        max_batch: the largest that fits this machine's GPU, None without one.
    """

    clips: dict[str, int]
    shards: int
    pending: dict[str, int]
    reasons: dict[str, int]
    probed: int
    probe_reasons: dict[str, int]
    masklets: int
    alpha_frames: int
    input_bytes: int
    output_bytes: int
    frames_per_s: float | None
    rate_of: Literal["given", "measured", "receipts"] | None
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
    probe = _spaced(good, config.plan.probe_clips)
    measures, turned_away = _measure(config, probe)
    scale = len(good) / max(1, len(probe))
    frames = round(scale * sum(measure.alpha_frames for measure in measures))
    pixels = scale * sum(measure.alpha_frames * measure.pixels for measure in measures)
    stored = sum(ref.size for clip in good for ref in clip.files if ref.role in ("video", "frame"))
    rgb = stored if config.output.rgb == "source" else 0
    rate_of, rate = _rate(config, prepared, good)
    left = [clip for task in prepared.pending for clip in task.spec.clips]
    share = sum(clip.problem is None for clip in left) / max(1, len(good))
    problems = [clip.problem for clip in clips if clip.problem is not None]
    return Preview(
        clips={
            "planned": len(clips),
            **{key: sum(p.status == key for p in problems) for key in ("failed", "skipped")},
        },
        shards=len(prepared.plan.shards),
        pending={"shards": len(prepared.pending), "clips": len(left)},
        reasons=_sorted(Counter(problem.reason for problem in problems)),
        probed=len(probe),
        probe_reasons=_sorted(turned_away),
        masklets=round(scale * sum(measure.masklets for measure in measures)),
        alpha_frames=frames,
        input_bytes=sum(ref.size for clip in clips for ref in clip.files),
        output_bytes=round(rgb + pixels * _ALPHA_BYTES_PER_PIXEL),
        frames_per_s=round(rate, 3) if rate else None,
        rate_of=rate_of,
        gpu_hours=round(frames * share / rate / 3600, 3) if rate else None,
        max_batch=largest_batch(config.matting, config.storage.endpoint_url),
        resumes=prepared.resumes,
        fingerprint=prepared.fingerprint,
    )


def _spaced(clips: Sequence[ClipRef], count: int) -> Sequence[ClipRef]:
    """At most ``count`` clips, evenly spaced."""
    return clips[:: max(1, -(-len(clips) // count))]


def _measure(config: RunConfig, clips: Sequence[ClipRef]) -> tuple[list[ClipMeasure], Counter[str]]:
    """What clips will give; and why some, or masklets of others, will give nothing."""
    source = open_source(config)
    measures, turned_away = [], Counter[str]()
    for clip in clips:
        try:
            measure = source.measure(clip)
        except InputError as error:
            turned_away[error.reason] += 1
        else:
            measures.append(measure)
            turned_away.update(measure.skipped)
    return measures, turned_away


def _rate(
    config: RunConfig, prepared: Prepared, clips: Sequence[ClipRef]
) -> tuple[Literal["given", "measured", "receipts"] | None, float]:
    """Alpha frames/s of one worker, and who says so."""
    if config.plan.frames_per_s is not None:
        return "given", config.plan.frames_per_s
    if config.plan.measure and (rate := _matted(config, _spaced(clips, config.plan.measure))):
        return "measured", rate
    if prepared.resumes:
        report = BuiltSet(prepared.output, prepared.run, prepared.plan).report()
        # Stages overlap: the longest one is what a worker's time goes by.
        if report.frames and (longest := max(report.stages_s.values())):
            return "receipts", report.frames / longest
    return None, 0.0


def _matted(config: RunConfig, clips: Sequence[ClipRef]) -> float:
    """Mattes clips, in this process, and keeps nothing; the backend's bare rate."""
    source = open_source(config)
    frames, seconds = 0, 0.0
    backend = open_backend(config.matting, config.storage.endpoint_url)
    with contextlib.closing(backend):
        backend.setup()
        rule = config.matting.size_rule(backend.multiple)
        for ref in clips:
            with contextlib.suppress(InputError, BackendError):
                clip = source.load(ref, rule)
                wanted = [masklet for masklet in clip.masklets if masklet.problem is None]
                start = time.perf_counter()
                for block in backend.matte(clip, wanted):
                    frames += len(block.alpha) if isinstance(block, Matte) else 0
                seconds += time.perf_counter() - start
    return frames / seconds if seconds else 0.0


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
