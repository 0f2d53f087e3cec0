"""The pool of Ray actors: each holds a GPU or CPU slot, builds one shard, has the next one ready.

Specs go in and receipts come out; no pixels pass through the object store. Ordinary resources
only, so the build shares a cluster and lets an autoscaler see what it wants.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import ray
from ray.exceptions import (
    ActorUnavailableError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
)

from mav_pipeline.build.record import Progress
from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.queue import Lost, Task
from mav_pipeline.runtime.ray.handle import WorkerHandle, cause_of, lost_with_node
from mav_pipeline.runtime.ray.hired import Hired
from mav_pipeline.runtime.ray.join import join
from mav_pipeline.runtime.workers import Outcome, PoolState
from mav_pipeline.schema import BackendFacts, ShardReceipt, Stamp
from mav_pipeline.schema.errors import ShardError

_log = logging.getLogger(__name__)

_DOUBT_S = 120.0  # for Ray to notice that a node is gone: by default it takes half a minute
_LOOK_S = 2.0  # between looks at the workers' progress: a call to each
_TOGETHER_S = 30.0  # after which the end of another worker on a node is no excuse
_SWAP_S = 10.0  # between workers that are let go for a fresh one


class RayPool:
    """Builds with Ray actors; see ``WorkerPool``."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._stamp: Stamp | None = None
        self._hired = Hired(config)
        self._handles = self._hired.handles
        self._alone: deque[Task] = deque()  # these wait for a fresh process
        self._ended: list[Outcome] = []
        self._next_swap = self._next_look = 0.0
        self._joined = False

    def start(self, check: Callable[[], None]) -> BackendFacts:
        self._joined = join(self._config.runtime, check)
        return self._hired.first(check)

    def begin(self, config: RunConfig, stamp: Stamp) -> None:
        self._config, self._stamp = config, stamp
        self._hired.begin(config)

    def has_room(self, outstanding: int) -> bool:
        self._hired.fit(outstanding)
        self._hired.meet()
        self._place_alone()
        waits = any(not task.wants_node for task in self._alone)
        return not waits and bool(self._with_room())

    def submit(self, task: Task) -> None:
        if task.alone or task.wants_node:
            self._alone.append(task)
            self._place_alone()
            return
        handle = min(self._with_room(), key=lambda handle: len(handle.tasks))
        self._give(handle, task, handle.actor.build.remote(task, self._stamp))

    def wait(self, timeout_s: float) -> list[Outcome]:
        self._clear_doubts()
        for handle in self._handles:
            if handle.starting is None and self._hired.others(handle):
                handle.together = time.monotonic()
        refs = [ref for handle in self._handles if handle.doubt is None for ref in handle.tasks]
        if not refs:
            time.sleep(timeout_s)
        else:
            if ray.wait(refs, num_returns=1, timeout=timeout_s)[0]:
                for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
                    self._settle(ref)
        self._kill_overdue()
        outcomes, self._ended = self._ended, []
        return outcomes

    def state(self) -> PoolState:
        if ask := time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_S
        for handle in self._handles:
            handle.look(ask=ask)
        return PoolState(
            totals=sum((handle.progress for handle in self._handles), self._hired.gone),
            working=self._hired.working,
            starting=len(self._handles) - self._hired.working,
            gpus=self._hired.gpus,
        )

    def close(self) -> None:
        self._hired.close()
        if self._joined:
            ray.shutdown()

    # workers

    def _place_alone(self) -> None:
        """Gives a task that wants a process to itself a fresh one, if need be for an idle one.

        One that wants a node to itself waits until the node's other workers have ended their tasks.
        """
        self._keep_node()
        for handle in [handle for handle in self._handles if handle.is_idle]:
            if not self._alone:
                return
            task = self._alone[0]
            if handle not in self._handles or (task.wants_node and not self._has_node(handle)):
                continue
            if handle.is_fresh or not task.alone:
                self._alone.popleft()
                call = handle.actor.step if task.alone else handle.actor.build
                self._give(handle, task, call.remote(task, self._stamp))
                handle.together = -math.inf if task.wants_node else handle.together
            elif time.monotonic() >= self._next_swap:
                self._next_swap = time.monotonic() + _SWAP_S
                self._hired.let_go(handle)
                self._hired.hire()

    def _keep_node(self) -> None:
        """While a task wants a node to itself, one is kept that has little left to do."""
        room, ready = self._hired.room, [h for h in self._handles if h.starting is None]
        under_way = [task for handle in ready for task in handle.tasks.values()]
        if not any(task.wants_node for task in (*self._alone, *under_way)):
            room.kept = None
        elif ready and room.kept not in [handle.node for handle in ready]:
            room.kept = min(ready, key=lambda handle: len(handle.tasks)).node

    def _has_node(self, handle: WorkerHandle) -> bool:
        """Whether an idle worker is alone on the node that is kept; lets go of other idle ones."""
        if self._hired.room.kept != handle.node:
            return False
        for other in self._hired.others(handle):
            if other.is_idle:
                self._hired.let_go(other)
        return not self._hired.others(handle)

    def _with_room(self) -> list[WorkerHandle]:
        """Workers that would begin another task, or hold it ready."""
        kept = self._hired.room.kept
        return [handle for handle in self._handles if handle.has_room and handle.node != kept]

    def _give(self, handle: WorkerHandle, task: Task, ref: Any) -> None:
        if not handle.tasks:
            handle.since = time.monotonic()
        handle.tasks[ref], handle.is_fresh = task, False

    # endings

    def _settle(self, ref: Any) -> None:
        handle = next((handle for handle in self._handles if ref in handle.tasks), None)
        if handle is None:  # given up just now, for another of its tasks
            return
        result: ShardReceipt | ShardError
        try:
            answer = ray.get(ref)
        except RayTaskError as error:
            cause = cause_of(error)
            if not isinstance(cause, ShardError):
                raise cause from error
            result = cause
        except ActorUnavailableError:  # dead, cut off, or with its node: Ray does not know yet
            handle.doubt, handle.since = handle.actor.progress.remote(), time.monotonic()
            return
        except RayError as error:
            self._died(handle, error)
            return
        else:
            handle.since = time.monotonic()
            if not isinstance(answer, ShardReceipt):  # it is at the border of two clips
                task, handle.clip = handle.tasks.pop(ref), answer
                self._give(handle, task, handle.actor.step.remote(task, self._stamp))
                return
            result = answer
            handle.published += Progress.of(answer)
            self._hired.measured(handle.progress.memory)
        handle.since, handle.clip = time.monotonic(), None
        self._ended.append(Outcome(handle.tasks.pop(ref), result))

    def _died(self, handle: WorkerHandle, error: RayError) -> None:
        with_node = lost_with_node(error, handle.node)
        memory: Literal["crowded", "alone"] | None = None
        why = f"the worker died: {type(error).__name__}"
        if isinstance(error, OutOfMemoryError) and not with_node:
            crowded = time.monotonic() - handle.together < _TOGETHER_S
            memory = "crowded" if crowded else "alone"
            beside = "others beside it" if crowded else "its node to itself"
            why = f"the worker was killed for lack of memory, with {beside}"
            if crowded:
                self._hired.was_short(handle)
        self._give_up(handle, why, with_node, memory)

    def _clear_doubts(self) -> None:
        """Asks workers that could not be reached until Ray knows what became of them."""
        for handle in [handle for handle in self._handles if handle.doubt is not None]:
            if not ray.wait([handle.doubt], timeout=0)[0]:
                continue
            try:
                ray.get(handle.doubt)
            except ActorUnavailableError:
                if time.monotonic() - handle.since < _DOUBT_S:
                    handle.doubt = handle.actor.progress.remote()
                    continue
            except RayError as error:
                self._died(handle, error)
                continue
            # Else it is there, and what it had is not: the network was at fault.
            self._give_up(handle, "the worker could not be reached", True)

    def _kill_overdue(self) -> None:
        limit = self._config.runtime.shard_timeout_s
        if limit is None:
            return
        busy = [handle for handle in self._handles if handle.tasks and handle.doubt is None]
        for handle in busy:
            if time.monotonic() - handle.since <= limit:
                continue
            if handle.waits():
                handle.since = time.monotonic()
            else:
                self._give_up(handle, f"nothing done within runtime.shard_timeout_s={limit}", False)

    def _give_up(
        self,
        handle: WorkerHandle,
        why: str,
        with_node: bool,
        memory: Literal["crowded", "alone"] | None = None,
    ) -> None:
        """A worker is lost; what it had comes back, to be tried elsewhere."""
        what = f"{why}, with its node" if with_node else why
        _log.warning("%s; %d shards go back into the queue", what, len(handle.tasks))
        lost = Lost(what, handle.clip, with_node, memory)
        self._ended += [Outcome(task, lost) for task in handle.tasks.values()]
        self._hired.let_go(handle)
