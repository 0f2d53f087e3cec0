"""Which shard next: attempts, waits, quarantine, giving up. Pure policy; knows no clock, no Ray."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from mav_pipeline.schema import ClipRef, Problem, ShardFailure, ShardSpec
from mav_pipeline.schema.errors import ShardError

_MAX_WAIT_S = 60.0
_DEATHS = 2  # of workers that had a clip alone, before it is quarantined
_CROWDED = 2  # deaths for lack of memory beside others, before a shard gets a node to itself


@dataclass(frozen=True, slots=True)
class Task:
    """A shard to build now.

    Attributes:
        attempt: counts from 1 in this run.
        rebuild: replaces the shard that is published already.
        alone: in a fresh process, one clip at a time: a worker died of it, or with it.
        deaths: ids of the clips that a worker had alone when it died, one for each death.
        short: how often its worker was killed for lack of memory beside others.
    """

    spec: ShardSpec
    attempt: int = 1
    rebuild: bool = False
    alone: bool = False
    deaths: tuple[str, ...] = ()
    short: int = 0

    @property
    def wants_node(self) -> bool:
        """Whether no other worker of the build shall be on its node."""
        return self.short >= _CROWDED


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker that went, by itself or because it was overdue.

    Attributes:
        why: for the log.
        clip: the clip that it had alone in its process.
        with_node: the whole machine went: nobody's fault.
        memory: it was killed because its node was short of memory: ``crowded`` where others of this
            build ran there, which is nobody's fault; ``alone`` where none did.
    """

    why: str
    clip: str | None = None
    with_node: bool = False
    memory: Literal["crowded", "alone"] | None = None


class ShardQueue:
    """Shards in plan order; those that failed come again after a wait.

    Args:
        max_attempts: of one shard.
        retry_wait_s: before the second attempt; doubles with each, up to a minute, with jitter.
        jitter: a number in [0, 1) a call.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        *,
        max_attempts: int,
        retry_wait_s: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._max_attempts, self._retry_wait_s, self._jitter = max_attempts, retry_wait_s, jitter
        self._waiting: list[tuple[float, Task]] = [(0.0, task) for task in tasks]
        self._out = 0

    def __bool__(self) -> bool:
        """Whether anything is waiting or being built."""
        return bool(self._waiting) or self._out > 0

    def __len__(self) -> int:
        """Shards waiting."""
        return len(self._waiting)

    def take(self, now: float) -> Task | None:
        """The next shard whose wait is over, or None; ``now`` in seconds of any clock."""
        for index, (due, task) in enumerate(self._waiting):
            if due <= now:
                del self._waiting[index]
                self._out += 1
                return task
        return None

    @property
    def outstanding(self) -> int:
        """Shards waiting or being built."""
        return len(self._waiting) + self._out

    def published(self, task: Task) -> None:
        """A shard taken is done."""
        self._out -= 1

    def again(self, task: Task, now: float) -> None:
        """A shard taken was not built, by no fault of its own: the attempt does not count."""
        self._out -= 1
        self._again(task, now)

    def failed(self, task: Task, error: ShardError, now: float) -> ShardFailure | None:
        """A shard taken has failed: it waits for another attempt, or this is its last word."""
        self._out -= 1
        # Deaths that a clip is blamed for have a limit of their own.
        if error.may_pass and task.attempt - len(task.deaths) < self._max_attempts:
            self._again(replace(task, attempt=task.attempt + 1), now)
            return None
        return ShardFailure(task.spec.name, error.stage, error.kind, error.cause, task.attempt)

    def lost(self, task: Task, lost: Lost, now: float) -> ShardFailure | None:
        """The worker of a shard went: it is built again, without the clip that keeps killing it."""
        if lost.with_node:
            self.again(task, now)
            return None
        if lost.memory == "crowded":
            self.again(replace(task, short=task.short + 1), now)
            return None
        if lost.clip is None or not any(_is_suspect(c, lost.clip) for c in task.spec.clips):
            kind = "OutOfMemory" if lost.memory else "WorkerLost"
            error = ShardError("matting", kind, lost.why, may_pass=True)
            return self.failed(replace(task, alone=True), error, now)
        self._out -= 1
        deaths = (*task.deaths, lost.clip)
        is_culprit = deaths.count(lost.clip) == _DEATHS
        spec = _without(task.spec, lost.clip, lost) if is_culprit else task.spec
        self._again(replace(task, spec=spec, attempt=task.attempt + 1, deaths=deaths), now)
        return None

    def _again(self, task: Task, now: float) -> None:
        wait = min(_MAX_WAIT_S, self._retry_wait_s * 2 ** max(0, task.attempt - 2))
        self._waiting.append((now + wait * (0.5 + self._jitter() / 2), task))


def _without(spec: ShardSpec, video_id: str, lost: Lost) -> ShardSpec:
    """The shard with a clip in quarantine: it gets a failed row and is not read."""
    message = f"matting of the clip: {_DEATHS} workers died of it alone"
    if lost.memory:
        message = f"{message}, the last one for lack of memory with its node to itself"
    problem = Problem("failed", "host_memory" if lost.memory else "crash", message)
    clips = (
        replace(clip, problem=problem) if _is_suspect(clip, video_id) else clip
        for clip in spec.clips
    )
    return replace(spec, clips=tuple(clips))


def _is_suspect(clip: ClipRef, video_id: str) -> bool:
    """Whether this is the clip that a worker had alone; one with a problem is never read."""
    return clip.video_id == video_id and clip.problem is None
