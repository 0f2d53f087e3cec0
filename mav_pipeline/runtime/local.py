"""The pool of one: this process, with the next shard held ready."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.workers import Outcome, PoolState, open_builder
from mav_pipeline.schema import BackendFacts, ShardReceipt, Stamp
from mav_pipeline.schema.errors import ShardError

_IN_FLIGHT = 2  # one being matted, the next one loading


class LocalPool:
    """Builds in threads of this process; see ``WorkerPool``."""

    def __init__(self, config: RunConfig) -> None:
        self._builder = open_builder(config)
        self._stamp: Stamp | None = None
        self._pool = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="mav-build")
        self._running: dict[Future[ShardReceipt], Task] = {}

    def start(self, check: Callable[[], None]) -> BackendFacts:
        return self._builder.setup()

    def begin(self, config: RunConfig, stamp: Stamp) -> None:
        self._stamp = stamp

    def has_room(self, outstanding: int) -> bool:
        return len(self._running) < _IN_FLIGHT

    def submit(self, task: Task) -> None:
        build = functools.partial(self._builder.build, rebuild=task.rebuild)
        assert self._stamp is not None, "begin comes first"
        self._running[self._pool.submit(build, task.spec, self._stamp, task.attempt)] = task

    def wait(self, timeout_s: float) -> list[Outcome]:
        if not self._running:  # every shard left waits for another attempt
            time.sleep(timeout_s)
        done, _ = wait(self._running, timeout_s, FIRST_COMPLETED)
        return [Outcome(self._running.pop(future), _result(future)) for future in done]

    def state(self) -> PoolState:
        return PoolState(self._builder.progress(), working=1)

    def close(self) -> None:
        self._builder.stop()
        self._pool.shutdown(cancel_futures=True)
        self._builder.close()


def _result(future: Future[ShardReceipt]) -> ShardReceipt | ShardError:
    try:
        return future.result()
    except ShardError as error:
        return error
