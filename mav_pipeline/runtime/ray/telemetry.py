"""A run in Ray's metrics: what ``jobs/grafana.json`` draws.

Ray exports each under ``ray_`` plus its name, on the metrics port of this node, some seconds late.
"""

from __future__ import annotations

import math

from ray.util.metrics import Counter, Gauge, Histogram

from mav_pipeline.runtime.status.tally import View
from mav_pipeline.schema import STAGES, ShardReceipt

_SECONDS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0]
_MEGABYTES = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0]


class Telemetry:
    """Sets the metrics of one run, in the process that has joined Ray.

    Args:
        fingerprint: of the run; its beginning is the tag ``run``, as several may share a cluster.
    """

    def __init__(self, fingerprint: str) -> None:
        self._run = {"run": fingerprint[:8]}
        self._frames_told = 0
        keys = ("run",)
        self._frames = Counter("mav_alpha_frames", "Alpha frames made", keys)
        self._clips = Counter(
            "mav_clips", "Clips of published shards: published, failed, skipped", ("run", "status")
        )
        self._masklets = Counter(
            "mav_masklets",
            "Masklets of published shards: accepted, rejected, skipped, failed",
            ("run", "status"),
        )
        self._reasons = Counter(
            "mav_reasons", "Why masklets and clips were turned away", ("run", "reason")
        )
        self._attempts = Counter(
            "mav_shard_attempts",
            "Attempts at a shard that ended: published, again, failed (for good)",
            ("run", "outcome"),
        )
        self._shards = Gauge(
            "mav_shards",
            "Shards of this run: published, failed, building, waiting",
            ("run", "state"),
        )
        self._workers = Gauge("mav_workers", "Workers: working, starting", ("run", "state"))
        self._rate = Gauge("mav_frames_per_s", "Alpha frames a second, over two minutes", keys)
        self._eta = Gauge("mav_eta_s", "Seconds to the end, at the last two minutes' rate", keys)
        self._busy = Gauge(
            "mav_stage_busy",
            "Share of a worker's time in a stage; threads add up",
            ("run", "stage"),
        )
        self._stage_s = Histogram(
            "mav_shard_stage_s", "Busy seconds of a shard in a stage", _SECONDS, ("run", "stage")
        )
        self._megabytes = Histogram("mav_shard_mb", "Size of a shard's tar, MB", _MEGABYTES, keys)

    def show(self, view: View) -> None:
        """Takes the next view; each must be given, as counters add up what they tell anew."""
        _add(self._frames, view.frames - self._frames_told, self._run)
        self._frames_told = max(self._frames_told, view.frames)
        for receipt in view.ended.published:
            self._shard(receipt)
        ended = {
            "published": len(view.ended.published),
            "failed": len(view.ended.failed),
            "again": view.ended.again,
        }
        for outcome, count in ended.items():
            _add(self._attempts, count, {**self._run, "outcome": outcome})
        for state in ("published", "failed", "building", "waiting"):
            self._shards.set(view.shards[state], {**self._run, "state": state})
        self._rate.set(view.frames_per_s, self._run)
        self._eta.set(math.nan if view.eta_s is None else view.eta_s, self._run)
        for stage, share in view.busy.items():
            self._busy.set(share, {**self._run, "stage": stage})
        if view.pool is not None:
            self._workers.set(view.pool.working, {**self._run, "state": "working"})
            self._workers.set(view.pool.starting, {**self._run, "state": "starting"})

    def _shard(self, receipt: ShardReceipt) -> None:
        for status in ("published", "failed", "skipped"):
            _add(self._clips, receipt.clips[status], {**self._run, "status": status})
        for status, count in receipt.masklets.items():
            _add(self._masklets, count, {**self._run, "status": status})
        for reason, count in receipt.reasons.items():
            _add(self._reasons, count, {**self._run, "reason": reason})
        for stage in STAGES:
            self._stage_s.observe(receipt.stages_s[stage], {**self._run, "stage": stage})
        self._megabytes.observe(receipt.tar.bytes / 1e6, self._run)


def _add(counter: Counter, count: int, tags: dict[str, str]) -> None:
    if count > 0:  # Ray refuses nought
        counter.inc(count, tags)
