"""What a run has done and how fast it goes: events and totals in, a ``View`` out. Pure; no clock.

driver -> Tally -> View -> a terminal, a log, Ray's metrics
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mav_pipeline.build.record import Progress
from mav_pipeline.runtime.workers import PoolState
from mav_pipeline.schema import STAGES, ShardFailure, ShardReceipt, ShardSpec

WINDOW_S = 120.0  # over which rates are taken: a clip of a model takes a minute
_APART_S = 1.0  # between the samples of which a window is made
FAILURES = 5  # of the last ones, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Attempts that ended since the last view."""

    published: Sequence[ShardReceipt] = ()
    failed: Sequence[ShardFailure] = ()
    again: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where a run stands, for people and metrics; never for decisions.

    Attributes:
        shards: planned, published, failed, building, waiting (those to be tried again too).
        clips: planned, done, failed; of shards under way too.
        frames: alpha frames made.
        frames_per_s: over the last ``WINDOW_S``.
        last_s: since the last shard was published, for who only reads the output.
        eta_s: at the clips' rate over that window; None where that is nought.
        pool: None for who only reads the output.
        busy: of each stage, its share of a worker's time over that window; threads add up.
        masklets, reasons: counts, of published shards.
        again: attempts that failed and were, or will be, followed by another.
        failures: one line each, the newest last.
        ended: what a view before has not told.
    """

    elapsed_s: float
    shards: Mapping[str, int]
    clips: Mapping[str, int]
    frames: int
    frames_per_s: float
    eta_s: float | None
    pool: PoolState | None = None
    last_s: float | None = None
    busy: Mapping[str, float] = field(default_factory=dict)
    masklets: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    again: int = 0
    failures: Sequence[str] = ()
    ended: Ended = field(default_factory=Ended)

    @property
    def is_done(self) -> bool:
        """Whether each planned shard is published or failed."""
        return self.shards["published"] + self.shards["failed"] == self.shards["planned"]


class Tally:
    """Counts one run.

    Args:
        shards: those that this run is to build.
        now: seconds of the clock that ``view`` is given too.
    """

    def __init__(self, shards: Sequence[ShardSpec], now: float) -> None:
        self._shards, self._clips = len(shards), sum(len(shard.clips) for shard in shards)
        self._published = self._failed = self._again = 0
        self._receipts = Progress()  # of published shards
        self._given_up = 0  # clips that nobody will do
        self._masklets, self._reasons = Counter[str](), Counter[str]()
        self._failures: deque[str] = deque(maxlen=FAILURES)
        self._ended_receipts: list[ShardReceipt] = []
        self._ended_failures: list[ShardFailure] = []
        self._told_again = 0
        self._start = now
        #: Totals as they were; the oldest is the last one from before the window.
        self._window: deque[tuple[float, Progress, int]] = deque([(now, Progress(), 0)])

    def published(self, receipt: ShardReceipt) -> None:
        """A shard is done."""
        self._published += 1
        self._receipts += Progress.of(receipt)
        self._masklets.update(receipt.masklets)
        self._reasons.update(receipt.reasons)
        self._ended_receipts.append(receipt)

    def failed(self, failure: ShardFailure, clips: int) -> None:
        """A shard of so many clips will not be tried again in this run."""
        self._failed += 1
        self._given_up += clips
        what = f"{failure.stage}: {failure.type}: {failure.message}"
        self._failures.append(f"{failure.shard} given up, {what}")
        self._ended_failures.append(failure)

    def again(self, shard: str, why: str) -> None:
        """A shard goes back into the queue."""
        self._again += 1
        self._failures.append(f"{shard} to be tried again, {why}")

    def view(self, pool: PoolState, *, building: int, waiting: int, now: float) -> View:
        """Where the run stands; ``ended`` is told once."""
        totals = _more(pool.totals, self._receipts)  # workers have told seconds ago
        before, old, worked = self._sample(totals, pool.working, now)
        seconds = max(now - before, 1e-9)
        left = max(0, self._clips - self._given_up - totals.clips)
        clips_per_s = (totals.clips - old.clips) / seconds
        ended = Ended(
            published=self._ended_receipts,
            failed=self._ended_failures,
            again=self._again - self._told_again,
        )
        self._ended_receipts, self._ended_failures = [], []
        self._told_again = self._again
        return View(
            elapsed_s=now - self._start,
            shards={
                "planned": self._shards,
                "published": self._published,
                "failed": self._failed,
                "building": building,
                "waiting": waiting,
            },
            clips={
                "planned": self._clips,
                "done": min(totals.clips, self._clips),
                "failed": totals.failed,
            },
            frames=totals.frames,
            frames_per_s=(totals.frames - old.frames) / seconds,
            eta_s=_eta_s(left, clips_per_s),
            pool=pool,
            busy=_busy(totals, old, seconds * worked),
            masklets=dict(self._masklets),
            reasons=dict(self._reasons.most_common()),
            again=self._again,
            failures=tuple(self._failures),
            ended=ended,
        )

    def _sample(self, totals: Progress, workers: int, now: float) -> tuple[float, Progress, float]:
        """The time and totals at the window's beginning, and the mean of workers since."""
        if now - self._window[-1][0] >= _APART_S:
            self._window.append((now, totals, workers))
        while len(self._window) > 1 and now - self._window[1][0] >= WINDOW_S:
            self._window.popleft()
        counts = [count for _, _, count in self._window][1:] or [workers]
        return *self._window[0][:2], sum(counts) / len(counts)


def _more(one: Progress, other: Progress) -> Progress:
    """The larger of each total."""
    return Progress(
        clips=max(one.clips, other.clips),
        frames=max(one.frames, other.frames),
        failed=max(one.failed, other.failed),
        stages_s={stage: max(one.stages_s[stage], other.stages_s[stage]) for stage in STAGES},
    )


def _eta_s(left: int, clips_per_s: float) -> float | None:
    if left == 0:
        return 0.0
    return left / clips_per_s if clips_per_s > 0 else None


def _busy(now: Progress, before: Progress, worker_s: float) -> dict[str, float]:
    """Each stage's share of workers' seconds; nothing before a worker has told of any."""
    spent = {stage: now.stages_s[stage] - before.stages_s[stage] for stage in STAGES}
    if not worker_s or not any(spent.values()):
        return {}
    return {stage: seconds / worker_s for stage, seconds in spent.items()}
