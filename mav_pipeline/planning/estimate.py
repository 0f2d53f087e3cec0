"""What a build would do, before anything is spent: counts, and estimates from some annotations."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.matting.registry import BACKENDS, open_backend
from mav_pipeline.planning.begin import Prepared
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.schema import ClipMeasure, ClipRef, Matte, RunReport
from mav_pipeline.schema.errors import BackendError, ConfigError, InputError
from mav_pipeline.schema.passed_over import PassedOver
from mav_pipeline.sources.registry import open_source

_log = logging.getLogger(__name__)

#: FFV1 on real mattes: 13.4 KB a frame of 1024 x 576; PNG takes about twice that.
_ALPHA_BYTES_PER_PIXEL = {"ffv1": 0.023, "png": 0.046}
_JPEG_BYTES_PER_PIXEL = 0.24  # four clips of footage, quality 95: 0.16 to 0.35


@dataclass(frozen=True, slots=True)
class Estimate:
    """The dry run that ``mav plan --json`` prints; estimates are scaled up from ``probed`` clips.

    Attributes:
        clips: planned; failed and skipped by what the listing tells.
        pending: shards and clips that a build would still do.
        reasons: of the clips that the listing turns away.
        passed_over: files that became no clip, by reason.
        probe_reasons: of the probed clips that their annotations turn away, and of masklets of
            the others; not scaled.
        masklets, alpha_frames, output_bytes: of the whole set.
        frames_per_s: of one worker; None where nothing says it.
        rate_of: what says it: ``plan.frames_per_s``, clips matted here, or the set's receipts.
        gpu_hours: for the pending clips, at that rate; hours of workers where those have no GPU,
            or where ``runtime.gpus_per_worker`` is ``auto``.
        max_batch: the largest that fits this machine's GPU, None without one.
        fingerprint: None where only a worker can say what ``auto`` comes to.
    """

    clips: dict[str, int]
    shards: int
    pending: dict[str, int]
    reasons: dict[str, int]
    passed_over: PassedOver
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
    fingerprint: str | None

    def to_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "passed_over": self.passed_over.to_json()}


def estimate(config: RunConfig) -> Estimate:
    """Plans without writing. Raises SetupError as a build would."""
    prepared = prepare(config, writes=False)
    clips = [*prepared.plan.clips()]
    good = [clip for clip in clips if clip.problem is None]
    probe = _spaced(good, config.plan.probe_clips)
    measures, turned_away = _measure(config, probe)
    scale = len(good) / max(1, len(probe))
    frames = round(scale * sum(measure.alpha_frames for measure in measures))
    rate_of, rate = _rate(config, prepared, good)
    gpus = config.runtime.gpus_per_worker
    gpus = 1.0 if gpus == "auto" or not gpus else gpus
    left = [clip for shard in prepared.pending for clip in shard.clips]
    share = sum(clip.problem is None for clip in left) / max(1, len(good))
    problems = [clip.problem for clip in clips if clip.problem is not None]
    return Estimate(
        clips={
            "planned": len(clips),
            **{key: sum(p.status == key for p in problems) for key in ("failed", "skipped")},
        },
        shards=len(prepared.plan.shards),
        pending={"shards": len(prepared.pending), "clips": len(left)},
        reasons=_sorted(Counter(problem.reason for problem in problems)),
        passed_over=prepared.passed_over,
        probed=len(probe),
        probe_reasons=_sorted(turned_away),
        masklets=round(scale * sum(measure.masklets for measure in measures)),
        alpha_frames=frames,
        input_bytes=sum(ref.size for clip in clips for ref in clip.files),
        output_bytes=_output_bytes(config, good, measures, scale),
        frames_per_s=round(rate, 3) if rate else None,
        rate_of=rate_of,
        gpu_hours=round(frames * share / rate / 3600 * gpus, 3) if rate else None,
        max_batch=_largest_batch(config),
        resumes=prepared.held_run is not None,
        fingerprint=prepared.fingerprint,
    )


def _output_bytes(
    config: RunConfig, clips: Sequence[ClipRef], measures: Sequence[ClipMeasure], scale: float
) -> int:
    """What the tars will weigh, scaled up from ``measures``."""
    alpha = scale * sum(measure.alpha_frames * measure.pixels for measure in measures)
    rgb = {
        "source": sum(r.size for clip in clips for r in clip.files if r.role in ("video", "frame")),
        "jpeg": scale * sum(m.frames * m.pixels for m in measures) * _JPEG_BYTES_PER_PIXEL,
        "none": 0,
    }
    return round(rgb[config.output.rgb] + alpha * _ALPHA_BYTES_PER_PIXEL[config.output.alpha])


def _largest_batch(config: RunConfig) -> int | None:
    measure = BACKENDS.get(config.matting.name).largest_batch
    return None if measure is None else measure(config.matting, config.storage.endpoint_url)


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
            turned_away.update(measure.turned_away)
    return measures, turned_away


def _rate(
    config: RunConfig, prepared: Prepared, clips: Sequence[ClipRef]
) -> tuple[Literal["given", "measured", "receipts"] | None, float]:
    """Alpha frames/s of one worker, and who says so."""
    if config.plan.frames_per_s is not None:
        return "given", config.plan.frames_per_s
    if config.plan.measure:
        return "measured", _matted(config, _spaced(clips, config.plan.measure))
    if prepared.held_run is not None:
        report = BuiltSet(prepared.output, prepared.held_run, prepared.plan).report()
        if report.frames and (seconds := _worker_s(report, config.runtime.encode_threads)):
            return "receipts", report.frames / seconds
    return None, 0.0


def _worker_s(report: RunReport, encode_threads: int) -> float:
    """Seconds of one worker for all shards: of what it does side by side, what takes longest."""
    stages = report.stages_s
    finishing = (stages["score"] + stages["encode"]) / encode_threads  # in turn, in each thread
    return max(stages["decode"], stages["matting"], finishing)


def _matted(config: RunConfig, clips: Sequence[ClipRef]) -> float:
    """Mattes clips, in this process, and keeps nothing; the backend's bare rate.

    Raises:
        ConfigError: none of them can be matted.
    """
    source = open_source(config)
    frames, seconds = 0, 0.0
    backend = open_backend(config.matting, config.storage.endpoint_url)
    with contextlib.closing(backend):
        BACKENDS.check_installed(config.matting.name)
        backend.setup()
        rule = config.matting.size_rule(backend.multiple)
        for ref in clips:
            try:
                loaded = source.load(ref, rule)
                clip, frames_of = loaded.clip, iter([*loaded.frames])
                wanted = [masklet for masklet in clip.masklets if masklet.problem is None]
                start, made = time.perf_counter(), 0
                for block in backend.matte(clip, frames_of, wanted) if wanted else ():
                    if isinstance(block, Matte):
                        stop = block.start + len(block.alpha)
                        made += sum(block.masklet.visible[block.start : stop])
            except (InputError, BackendError) as error:
                _log.warning("plan.measure: %s is left out: %s", ref.video_id, error)
            else:
                frames, seconds = frames + made, seconds + time.perf_counter() - start
    if not frames:
        raise ConfigError(
            f"plan.measure={config.plan.measure}: none of {len(clips)} clips could be matted; "
            "raise it, or give the rate as plan.frames_per_s"
        )
    return frames / seconds


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
