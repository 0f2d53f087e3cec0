"""The actors that there are: hired while there is use for them, met when ready, let go."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import (
    GetTimeoutError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)

from mav_pipeline.build.record import Progress
from mav_pipeline.build.sight import Mark, leave, mark_of_run, take
from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.ray.handle import CALLS, Actor, Started, WorkerHandle, cause_of
from mav_pipeline.runtime.ray.join import result_of
from mav_pipeline.runtime.ray.room import Room
from mav_pipeline.runtime.ray.slots import Slots
from mav_pipeline.schema import BackendFacts
from mav_pipeline.schema.errors import OutputError, SetupError
from mav_pipeline.storage import open_output

_log = logging.getLogger(__name__)

_FIT_S = 10.0  # how often the number of workers is fitted to what there is to do


class Hired:
    """The actors of a build, in a cluster that has been joined.

    Attributes:
        handles: those that work or start.
        gone: totals of workers that are no more.
        gpus: that one worker holds.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config, self._slots = config, Slots(config)
        self._output = open_output(config)
        self._mark: Mark | None = None  # that the driver has left in the output
        self._facts: BackendFacts | None = None  # of the first worker; all others have the same
        self._next_fit = 0.0
        self.handles: list[WorkerHandle] = []
        self.gone, self.gpus = Progress(), 0.0
        self.room = Room()

    def first(self, check: Callable[[], None]) -> BackendFacts:
        """Hires one and waits for it; what came of its set-up.

        Args:
            check: called meanwhile; raises where this shall end.

        Raises:
            SetupError: it cannot do what the config asks, or there is no room for it.
        """
        limit = self._config.runtime.start_timeout_s
        _log.info("waiting for the first worker, of %s", self._slots.resources())
        self._mark = leave(self._output)
        try:
            first = self.hire()
            started: Started = result_of(first.starting, limit, check)
            self._take_in(first, started)
        except GetTimeoutError as error:
            raise SetupError(
                f"no worker came up within runtime.start_timeout_s={limit}: the "
                f"cluster has no free {self._slots.resources()}; lower runtime.gpus_per_worker or "
                "matting.threads, or give the autoscaler more time"
            ) from error
        except RayTaskError as error:
            raise cause_of(error) from error
        except (RayActorError, OutOfMemoryError) as error:
            raise SetupError(f"the first worker died while it started: {error}") from error
        finally:
            self._output.delete(self._mark.name)
        self._facts = facts = started.facts
        return facts

    def begin(self, config: RunConfig) -> None:
        """The set has begun: its ``run.json`` is what workers must find.

        Raises:
            OutputError: the first one does not.
        """
        self._config, self._slots = config, Slots(config)
        self._mark = mark_of_run(self._output)
        for handle in self.handles:
            try:
                take(self._output, ray.get(handle.actor.answer.remote(self._mark)))
            except RayTaskError as error:
                raise cause_of(error) from error

    @property
    def working(self) -> int:
        """Those that are ready."""
        return sum(handle.starting is None for handle in self.handles)

    def hire(self) -> WorkerHandle:
        """Asks Ray for one more; it starts when there is room for it."""
        resources = self._slots.resources()
        self.gpus = resources.get("num_gpus", 0.0)
        options: dict[str, Any] = {"max_concurrency": CALLS, "max_restarts": 0, **resources}
        if full := self.room.full(self._nodes()):
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(full)})"}
        actor: Any = ray.remote(Actor).options(**options).remote(self._config)
        handle = WorkerHandle(actor, actor.start.remote(self._mark))
        self.handles.append(handle)
        return handle

    def let_go(self, handle: WorkerHandle) -> None:
        """Ends a worker, with whatever it has."""
        ray.kill(handle.actor)
        self.handles.remove(handle)
        self.gone += handle.left()

    def fit(self, outstanding: int) -> None:
        """Hires or lets go, now and then, until there are as many as there is use for.

        Args:
            outstanding: shards that are not done.
        """
        if self.handles and time.monotonic() < self._next_fit:
            return
        self._next_fit = time.monotonic() + _FIT_S
        slots = self._slots.wanted(self.working) - self.room.withheld
        wanted = max(1, min(slots, outstanding))
        while len(self.handles) < wanted:
            self.hire()
        spare = [handle for handle in self.handles if handle.starting is not None or handle.is_idle]
        for handle in spare[: len(self.handles) - wanted]:
            self.let_go(handle)

    def meet(self) -> None:
        """Takes in the workers that have started, and those that could not."""
        waiting = {handle.starting: handle for handle in self.handles if handle.starting}
        if not waiting:
            return
        for ref in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            handle = waiting[ref]
            try:
                self._take_in(handle, ray.get(ref))
            except RayTaskError as error:  # this node is not what the first one was
                _log.warning("a worker could not start: %s", cause_of(error))
            except RayError as error:
                _log.warning("a worker died while it started: %s", type(error).__name__)
            except (OutputError, OSError) as error:
                _log.warning("a worker is let go: %s", error)
            if handle.starting is not None:
                self.let_go(handle)

    def _take_in(self, handle: WorkerHandle, started: Started) -> None:
        """Raises OutputError where it is unfit for this set, OSError where the output failed."""
        take(self._output, started.mark)
        if self._facts is not None and not self._facts.same_bytes(started.facts):
            raise OutputError(
                f"on node {started.node} it has {started.facts}, the set is built with "
                f"{self._facts}"
            )
        limit, nodes = self.room.limit(started.node), [*self._nodes(), started.node]
        if limit is not None and nodes.count(started.node) > limit:
            raise OutputError(f"node {started.node} has no memory for more than {limit} workers")
        handle.node, handle.starting = started.node, None
        self.room.look(nodes)

    def measured(self, memory: int) -> None:
        """A worker has built a shard with so many bytes at most: those hired later ask for that."""
        self._slots.peak = max(self._slots.peak, memory)

    def others(self, handle: WorkerHandle) -> list[WorkerHandle]:
        """The other workers on the node of one."""
        return [
            other for other in self.handles if other.node == handle.node and other is not handle
        ]

    def was_short(self, handle: WorkerHandle) -> None:
        """A worker was killed because its node was short of memory."""
        self.room.was_short(handle.node, 1 + len(self.others(handle)))
        _log.warning(
            "node %s gets at most %d workers from now on", handle.node, self.room.limit(handle.node)
        )

    def _nodes(self) -> list[str]:
        """The node of each worker that is ready."""
        return [handle.node for handle in self.handles if handle.starting is None]

    def close(self) -> None:
        """Ends them all."""
        for handle in self.handles:
            ray.kill(handle.actor)
        self.handles.clear()
