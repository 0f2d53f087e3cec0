"""The Ray actor: one process, one GPU or CPU slot, one builder."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import cast

from mav_pipeline.build.record import Progress
from mav_pipeline.build.sight import Mark, answer
from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.workers import open_builder
from mav_pipeline.schema import BackendFacts, ShardReceipt, Stamp
from mav_pipeline.storage import open_output


class Worker:
    """What runs inside the actor; plain, so that it can be read and tested without Ray."""

    def __init__(self, config: RunConfig) -> None:
        self._builder, self._output = open_builder(config), open_output(config)
        self._lock = threading.Lock()
        self._facts: BackendFacts | None = None
        self._steps: Generator[str | None, None, ShardReceipt] | None = None

    def setup(self) -> BackendFacts:
        """Loads the backend, once, and tells what came of it. Raises SetupError."""
        with self._lock:
            if self._facts is None:
                self._facts = self._builder.setup()
            return self._facts

    def answer(self, mark: Mark) -> Mark:
        """See ``build.sight``. Raises OutputError."""
        return answer(self._output, mark)

    def build(self, task: Task, stamp: Stamp) -> ShardReceipt:
        """See ``ShardBuilder.build``; waits for ``setup``, which Ray may run at the same time."""
        self.setup()
        return self._builder.build(task.spec, stamp, task.attempt, rebuild=task.rebuild)

    def step(self, task: Task, stamp: Stamp) -> ShardReceipt | str | None:
        """Builds one clip of a task that wants its worker alone, and no other task beside it.

        Returns:
            The id of the clip that the next call will build, None where it will publish, and then
            the receipt.
        """
        self.setup()
        if self._steps is None:
            self._steps = self._builder.steps(task.spec, stamp, task.attempt, rebuild=task.rebuild)
        try:
            return next(self._steps)
        except StopIteration as end:
            self._steps = None
            return cast(ShardReceipt, end.value)
        except BaseException:
            self._steps = None
            raise

    def progress(self) -> Progress:
        """See ``ShardBuilder.progress``."""
        return self._builder.progress()
