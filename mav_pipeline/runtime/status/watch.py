"""``mav status --watch``: a build that runs elsewhere, seen from its output alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.runtime.status.progress import open_display
from mav_pipeline.runtime.status.tally import FAILURES, View
from mav_pipeline.schema import RunReport, ShardReceipt

_log = logging.getLogger(__name__)

_RECENT = 33  # receipts over which a rate is taken, or two of each worker, which come in waves


def watch(built: BuiltSet, every_s: float, wait: Callable[[float], None] = time.sleep) -> RunReport:
    """Shows where the build stands until no shard is pending; says so every ``every_s`` seconds.

    A read that fails is told and tried again: a watcher outlives a storage's bad minute.
    """
    with open_display(f"mav status {built.storage}", every_s) as show:
        while True:
            try:
                report, view = _look(built, datetime.now(UTC))
            except OSError as error:
                _log.warning("%s cannot be read: %s", built.storage, error)
            else:
                show(view)
                if not report.shards["pending"]:
                    return report
            wait(every_s)


def _look(built: BuiltSet, now: datetime) -> tuple[RunReport, View]:
    report, failures = built.report(), built.failures()
    receipts = sorted(built.receipts().values(), key=lambda receipt: receipt.published_at)
    workers = {(receipt.worker["host"], receipt.worker["pid"]) for receipt in receipts}
    frames_per_s, clips_per_s = _rates(receipts[-max(_RECENT, 2 * len(workers)) :], now)
    clips = {
        "planned": report.clips["planned"],
        "done": report.clips["planned"] - report.clips["pending"],
        "failed": report.clips["failed"],
    }
    pending = report.shards["pending"]
    last_s = _seconds(receipts[-1], now) if receipts else None
    return report, View(
        elapsed_s=report.wall_s,
        shards={**report.shards, "waiting": pending},
        clips=clips,
        frames=report.frames,
        frames_per_s=frames_per_s if pending else report.frames_per_s,
        eta_s=report.clips["pending"] / clips_per_s if clips_per_s and pending else None,
        last_s=last_s,
        masklets=report.masklets,
        reasons=report.reasons,
        failures=tuple(
            f"{failure.shard}: {failure.stage}: {failure.type}: {failure.message}"
            for failure in [*failures.values()][-FAILURES:]
        ),
    )


def _rates(receipts: Sequence[ShardReceipt], now: datetime) -> tuple[float, float]:
    """Alpha frames/s and clips/s since the first of some receipts, up to now."""
    if len(receipts) < 2 or not (seconds := _seconds(receipts[0], now)):
        return 0.0, 0.0
    later = receipts[1:]
    frames = sum(receipt.frames for receipt in later)
    clips = sum(receipt.clips["planned"] for receipt in later)
    return frames / seconds, clips / seconds


def _seconds(receipt: ShardReceipt, now: datetime) -> float:
    """Since it was published; its worker's clock may be ahead of this one."""
    return max(0.0, (now - datetime.fromisoformat(receipt.published_at)).total_seconds())
