"""Which shard next: attempts, waits and giving up. Pure policy; knows no clock, Ray or storage."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mav_pipeline.errors import ShardError
from mav_pipeline.schema import ShardFailure, ShardSpec

_MAX_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """A shard to build now, and the how-manieth attempt in this run that is."""

    spec: ShardSpec
    attempt: int


class ShardQueue:
    """Shards in plan order; those that failed come again after a wait.

    Args:
        max_attempts: of one shard.
        retry_wait_s: before the second attempt; doubles with each, up to a minute, with jitter.
        jitter: a number in [0, 1) a call.
    """

    def __init__(
        self,
        specs: Iterable[ShardSpec],
        *,
        max_attempts: int,
        retry_wait_s: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._max_attempts, self._retry_wait_s, self._jitter = max_attempts, retry_wait_s, jitter
        self._waiting: list[tuple[float, Task]] = [(0.0, Task(spec, 1)) for spec in specs]
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

    def published(self, task: Task) -> None:
        """A shard taken is done."""
        self._out -= 1

    def failed(self, task: Task, error: ShardError, now: float) -> ShardFailure | None:
        """A shard taken has failed: it waits for another attempt, or this is its last word."""
        self._out -= 1
        if error.may_pass and task.attempt < self._max_attempts:
            wait = min(_MAX_WAIT_S, self._retry_wait_s * 2 ** (task.attempt - 1))
            again = Task(task.spec, task.attempt + 1)
            self._waiting.append((now + wait * (0.5 + self._jitter() / 2), again))
            return None
        return ShardFailure(task.spec.name, error.stage, error.kind, error.cause, task.attempt)
