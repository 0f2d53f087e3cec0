"""A build of MA-V's size on so many GPUs, as a small discrete-event simulation.

    plan -> queue -> workers (a shard each, the next one held ready) -> receipts

Pure: what a plan holds, how fast a GPU is and how often a spot node goes come in as numbers. It
schedules as ``runtime/`` does: one worker starts before the others, a shard goes to the worker that
has the least, and what a lost node had goes to the end of the queue. No worker waits for data here;
``traffic`` says what data and requests there are.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

CLIPS = 50_541
_MASKLETS, _SECONDS, _FPS = 3.8, 14.0, 6.0  # manual masklets a clip, mean length, annotated rate
_SPREAD = 0.5  # sigma of the lognormal clip lengths
_VIDEO_BYTES, _ALPHA_BYTES = 9e6, 13.4e3  # a video (8 GB a tar of 900), an alpha frame in FFV1
_PART = 8 << 20  # bytes of a part of an upload


@dataclass(frozen=True, slots=True)
class Rates:
    """What is assumed or measured.

    Attributes:
        frames_per_s: alpha frames that a worker makes in a second.
        start_s: until a worker has its weights; all but the first begin when that one is up.
        losses_per_hour: of one spot node.
        back_s: until the autoscaler has another node in its place.
        node: GPUs of a node, which go together.
        ahead: shards that a worker holds beside the one it builds.
    """

    frames_per_s: float
    start_s: float = 120.0
    losses_per_hour: float = 0.02
    back_s: float = 300.0
    node: int = 8
    ahead: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it; hours of wall time, and GPU-hours of nodes that were there.

    Attributes:
        wall_h: until the last receipt.
        work_h: of shards that were published.
        lost_h: of shards that went with their node.
        start_h: of workers that were not up yet.
        idle_h: of workers with nothing left to do.
        losses: nodes lost; the mean of several runs is no whole number.
    """

    wall_h: float
    work_h: float
    lost_h: float
    start_h: float
    idle_h: float
    losses: float

    @property
    def held_h(self) -> float:
        """GPU-hours paid for."""
        return self.work_h + self.lost_h + self.start_h + self.idle_h


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests and bytes of the workers of a whole build from S3 into S3; weights apart."""

    puts: int
    gets: int
    bytes_in: float
    bytes_out: float


def shard_frames(clips_per_shard: int = 32, seed: int = 0) -> list[float]:
    """Alpha frames of each shard, by SA-V's means; 1,580 shards of 32 clips."""
    draw = random.Random(seed)
    mean = _MASKLETS * _SECONDS * _FPS
    clips = [mean * draw.lognormvariate(-(_SPREAD**2) / 2, _SPREAD) for _ in range(CLIPS)]
    return [sum(clips[at : at + clips_per_shard]) for at in range(0, CLIPS, clips_per_shard)]


def traffic(frames: Sequence[float]) -> Traffic:
    """What ``ShardBuilder`` and ``commit`` ask for; a HEAD counts as a GET.

    A clip: its video and its json. A shard: a look for its receipt, two looks before and two after
    the upload; the tar's parts with their begin and end, the parquet, the receipt.
    """
    bytes_in = CLIPS * _VIDEO_BYTES
    bytes_out = bytes_in + sum(frames) * _ALPHA_BYTES
    parts = math.ceil(bytes_out / len(frames) / _PART)
    puts, gets = len(frames) * (parts + 4), 2 * CLIPS + 5 * len(frames)
    return Traffic(puts, gets, bytes_in, bytes_out)


def simulate(frames: Sequence[float], gpus: int, rates: Rates, seed: int = 0) -> Run:
    """Builds shards of so many alpha frames; returns what it took."""
    return _Simulation(frames, gpus, rates, seed).run()


_State = Literal["starting", "idle", "at work", "lost", "gone"]


@dataclass(slots=True)
class _Worker:
    """One GPU: what it does since when, and its shards in seconds, the one at hand first."""

    state: _State = "starting"
    since: float = 0.0
    tasks: deque[float] = field(default_factory=deque)
    life: int = 0  # what was to come in an earlier one is void


class _Simulation:
    def __init__(self, frames: Sequence[float], gpus: int, rates: Rates, seed: int) -> None:
        self._rates, self._draw = rates, random.Random(seed)
        self._waiting = deque(shard / rates.frames_per_s for shard in frames)
        self._left, self._losses, self._now = len(frames), 0, 0.0
        self._workers = [_Worker() for _ in range(gpus)]
        self._spent: Counter[_State] = Counter()  # type: ignore[type-var]  # seconds
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def run(self) -> Run:
        for number, worker in enumerate(self._workers):
            self._after(self._rates.start_s * (2 if number else 1), self._up, worker, worker.life)
        for first in range(0, len(self._workers), self._rates.node):
            self._expect_loss(self._workers[first : first + self._rates.node])
        while self._left:
            self._now, _, happens = heapq.heappop(self._events)
            happens()
            self._hand_out()
        for worker in self._workers:
            self._turn(worker, "gone")
        hours = {state: seconds / 3600 for state, seconds in self._spent.items()}
        states: tuple[_State, ...] = ("at work", "lost", "starting", "idle")
        return Run(self._now / 3600, *(hours.get(state, 0.0) for state in states), self._losses)

    def _after(self, seconds: float, what: Callable[..., None], *who: object) -> None:
        event = (self._now + seconds, next(self._order), partial(what, *who))
        heapq.heappush(self._events, event)

    def _turn(self, worker: _Worker, state: _State) -> None:
        """Books what a worker did until now."""
        self._spent[worker.state] += self._now - worker.since
        worker.state, worker.since = state, self._now

    def _up(self, worker: _Worker, life: int) -> None:
        if worker.life == life:
            self._turn(worker, "idle")

    def _begin(self, worker: _Worker) -> None:
        self._turn(worker, "at work" if worker.tasks else "idle")
        if worker.tasks:
            self._after(worker.tasks[0], self._done, worker, worker.life)

    def _done(self, worker: _Worker, life: int) -> None:
        if worker.life == life:
            worker.tasks.popleft()
            self._left -= 1
            self._begin(worker)

    def _hand_out(self) -> None:
        """Each shard to whoever has the least, while there is room."""
        while self._waiting:
            room = [
                worker
                for worker in self._workers
                if worker.state in ("idle", "at work") and len(worker.tasks) <= self._rates.ahead
            ]
            if not room:
                return
            worker = min(room, key=lambda worker: len(worker.tasks))
            worker.tasks.append(self._waiting.popleft())
            if worker.state == "idle":
                self._begin(worker)

    def _expect_loss(self, node: Sequence[_Worker]) -> None:
        if self._rates.losses_per_hour:
            wait = self._draw.expovariate(self._rates.losses_per_hour / 3600)
            self._after(wait, self._lose, node)

    def _lose(self, node: Sequence[_Worker]) -> None:
        self._losses += 1
        for worker in node:
            if worker.state == "at work":
                worker.state = "lost"
            self._turn(worker, "gone")
            self._waiting += worker.tasks
            worker.tasks.clear()
            worker.life += 1
        self._after(self._rates.back_s, self._come_back, node)

    def _come_back(self, node: Sequence[_Worker]) -> None:
        for worker in node:
            self._turn(worker, "starting")
            self._after(self._rates.start_s, self._up, worker, worker.life)
        self._expect_loss(node)
