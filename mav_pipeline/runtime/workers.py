"""What the driver asks of those who build; ``local`` and ``ray.pool`` are the two answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mav_pipeline.build.record import Progress
from mav_pipeline.build.shard import ShardBuilder
from mav_pipeline.config import RunConfig
from mav_pipeline.matting.registry import BACKENDS, open_backend
from mav_pipeline.runtime.queue import Lost, Task
from mav_pipeline.schema import BackendFacts, ShardReceipt, Stamp
from mav_pipeline.schema.errors import ShardError
from mav_pipeline.sources.registry import SOURCES, open_source
from mav_pipeline.storage import Output, open_output


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task ended: published, failed, or its worker lost."""

    task: Task
    result: ShardReceipt | ShardError | Lost


@dataclass(frozen=True, slots=True)
class PoolState:
    """Who is at work, for display.

    Attributes:
        totals: since the start, of workers that are no more too.
        working: workers that are ready.
        starting: workers that wait for a slot, or set up.
        gpus: that one worker holds.
    """

    totals: Progress
    working: int
    starting: int = 0
    gpus: float = 0.0


class WorkerPool(Protocol):
    """Builds shards, a bounded number at a time."""

    def start(self, check: Callable[[], None]) -> BackendFacts:
        """Gets at least one worker ready, its backend set up; tells what came of that.

        Args:
            check: called now and then while it waits; raises where it shall not wait any more.

        Raises:
            SetupError: the backend or the cluster cannot do what the config asks.
        """
        ...

    def begin(self, config: RunConfig, stamp: Stamp) -> None:
        """Says which set is built, once, before the first task.

        Args:
            config: nothing in it is ``auto`` that reaches a byte; workers that start later take it.
        """
        ...

    def has_room(self, outstanding: int) -> bool:
        """Whether another task would be begun, or held ready for a worker about to be free.

        Args:
            outstanding: shards that are not done: more workers than that are let go.
        """
        ...

    def submit(self, task: Task) -> None:
        """Hands out a task; only while there is room."""
        ...

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Tasks that have ended since the last call, after at most ``timeout_s``."""
        ...

    def state(self) -> PoolState:
        """Where it stands now."""
        ...

    def close(self) -> None:
        """Stops whatever runs, at once, and frees everything."""
        ...


def patient_output(config: RunConfig, stop: threading.Event | None = None) -> Output:
    """The output as a build writes to it; ``stop`` ends its waiting. Raises ConfigError."""
    return Output(lambda: open_output(config), config.runtime.outage_timeout_s, stop)


def open_builder(config: RunConfig) -> ShardBuilder:
    """The builder that each worker runs; opens no file, loads nothing.

    Raises:
        ConfigError: what the source or the backend needs is not installed here.
    """
    SOURCES.check_installed(config.source.name)
    BACKENDS.check_installed(config.matting.name)
    backend = BACKENDS.get(config.matting.name)
    return ShardBuilder(
        config=config,
        source=open_source(config),
        backend=open_backend(config.matting, config.storage.endpoint_url),
        output=patient_output(config),
        reasons=(*SOURCES.get(config.source.name).reasons, *backend.reasons),
        packages=backend.packages,
    )
