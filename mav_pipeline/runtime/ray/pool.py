"""The pool of Ray actors: each holds a GPU or CPU slot, builds one shard, has the next one ready.

Specs go in and receipts come out; no pixels pass through the object store. Ordinary resources
only, so the build shares a cluster and lets an autoscaler see what it wants.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import (
    ActorUnavailableError,
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
        return not self._alone and any(handle.has_room for handle in self._handles)

    def submit(self, task: Task) -> None:
        if task.alone:
            self._alone.append(task)
            self._place_alone()
            return
        handle = min((h for h in self._handles if h.has_room), key=lambda handle: len(handle.tasks))
        self._give(handle, task, handle.actor.build.remote(task, self._stamp))

    def wait(self, timeout_s: float) -> list[Outcome]:
        self._clear_doubts()
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
        """Gives a task that wants a process to itself a fresh one, if need be for an idle one."""
        for handle in [handle for handle in self._handles if handle.is_idle]:
            if not self._alone:
                return
            if handle.is_fresh:
                task = self._alone.popleft()
                self._give(handle, task, handle.actor.step.remote(task, self._stamp))
            elif time.monotonic() >= self._next_swap:
                self._next_swap = time.monotonic() + _SWAP_S
                self._hired.let_go(handle)
                self._hired.hire()

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
            self._give_up(
                handle,
                f"the worker died: {type(error).__name__}",
                lost_with_node(error, handle.node),
            )
            return
        else:
            handle.since = time.monotonic()
            if not isinstance(answer, ShardReceipt):  # it is at the border of two clips
                task, handle.clip = handle.tasks.pop(ref), answer
                self._give(handle, task, handle.actor.step.remote(task, self._stamp))
                return
            result = answer
            handle.published += Progress.of(answer)
        handle.since, handle.clip = time.monotonic(), None
        self._ended.append(Outcome(handle.tasks.pop(ref), result))

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
                with_node = True
            except RayError as error:
                with_node = lost_with_node(error, handle.node)
            else:
                with_node = True  # it is there, what it had is not: the network was at fault
            self._give_up(handle, "the worker could not be reached", with_node)

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

    def _give_up(self, handle: WorkerHandle, why: str, with_node: bool) -> None:
        """A worker is lost; what it had comes back, to be tried elsewhere."""
        what = f"{why}, with its node" if with_node else why
        _log.warning("%s; %d shards go back into the queue", what, len(handle.tasks))
        lost = Lost(what, handle.clip, with_node)
        self._ended += [Outcome(task, lost) for task in handle.tasks.values()]
        self._hired.let_go(handle)
