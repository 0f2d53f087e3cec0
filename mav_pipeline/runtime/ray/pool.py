"""The pool of Ray actors: each holds a GPU or CPU slot, builds one shard, has the next one ready.

Specs go in and receipts come out; no pixels pass through the object store. Ordinary resources
only, so the build shares a cluster and lets an autoscaler see what it wants.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

import ray
from ray.exceptions import (
    ActorUnavailableError,
    GetTimeoutError,
    RayActorError,
    RayError,
    RayTaskError,
)

from mav_pipeline.build.record import Progress
from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.queue import Lost, Task
from mav_pipeline.runtime.ray.handle import CALLS, Actor, WorkerHandle, cause_of, lost_with_node
from mav_pipeline.runtime.ray.slots import Slots
from mav_pipeline.runtime.workers import Outcome, PoolState
from mav_pipeline.schema import BackendFacts, ShardReceipt, Stamp
from mav_pipeline.schema.errors import SetupError, ShardError

_log = logging.getLogger(__name__)

_DOUBT_S = 120.0  # for Ray to notice that a node is gone: by default it takes half a minute
_LOOK_S = 2.0  # between looks at the workers' progress: a call to each
_FIT_S = 10.0  # how often the number of workers is fitted to what there is to do


class RayPool:
    """Builds with Ray actors; see ``WorkerPool``."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._facts: BackendFacts | None = None  # of the first worker; all others have the same
        self._stamp: Stamp | None = None
        self._handles: list[WorkerHandle] = []
        self._alone: deque[Task] = deque()  # these wait for a fresh process
        self._gone = Progress()  # totals of workers that are no more
        self._ended: list[Outcome] = []
        self._next_fit = self._next_swap = self._next_look = 0.0
        self._joined, self._gpus = False, 0.0
        self._slots = Slots(config)

    def start(self) -> BackendFacts:
        runtime = self._config.runtime
        if not ray.is_initialized():
            try:
                ray.init(
                    # Without a word, Ray joins whatever cluster was started on this machine last.
                    address="local" if self._slots.is_own else runtime.address,
                    include_dashboard=False if self._slots.is_own else None,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                )
            except (RayError, ConnectionError, ValueError, RuntimeError) as error:
                raise SetupError(
                    f"runtime.address={runtime.address}: no Ray cluster answers ({error}); "
                    "start one, or leave the key null to start one here"
                ) from error
            self._joined = True
        _log.info("waiting for the first worker, of %s", self._slots.resources())
        first = self._hire()
        try:
            first.node, self._facts = ray.get(first.starting, timeout=runtime.start_timeout_s)
        except GetTimeoutError as error:
            raise SetupError(
                f"no worker came up within runtime.start_timeout_s={runtime.start_timeout_s}: the "
                f"cluster has no free {self._slots.resources()}; lower runtime.gpus_per_worker or "
                "matting.threads, or give the autoscaler more time"
            ) from error
        except RayTaskError as error:
            raise cause_of(error) from error
        except RayActorError as error:
            raise SetupError(f"the first worker died while it started: {error}") from error
        first.starting = None
        assert self._facts is not None
        return self._facts

    def begin(self, config: RunConfig, stamp: Stamp) -> None:
        self._config, self._stamp, self._slots = config, stamp, Slots(config)

    def has_room(self, outstanding: int) -> bool:
        self._fit(outstanding)
        self._meet()
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
            totals=sum((handle.progress for handle in self._handles), self._gone),
            working=self._working(),
            starting=len(self._handles) - self._working(),
            gpus=self._gpus,
        )

    def close(self) -> None:
        for handle in self._handles:
            ray.kill(handle.actor)
        self._handles.clear()
        if self._joined:
            ray.shutdown()

    # workers

    def _working(self) -> int:
        return sum(handle.starting is None for handle in self._handles)

    def _hire(self) -> WorkerHandle:
        resources = self._slots.resources()
        self._gpus = resources.get("num_gpus", 0.0)
        actor: Any = (
            ray.remote(Actor)
            .options(max_concurrency=CALLS, max_restarts=0, **resources)
            .remote(self._config)
        )
        handle = WorkerHandle(actor, actor.start.remote())
        self._handles.append(handle)
        return handle

    def _fit(self, outstanding: int) -> None:
        """Hires or lets go until there are as many workers as there is use for."""
        if self._handles and time.monotonic() < self._next_fit:
            return
        self._next_fit = time.monotonic() + _FIT_S
        wanted = max(1, min(self._slots.wanted(self._working()), outstanding))
        while len(self._handles) < wanted:
            self._hire()
        spare = [
            handle for handle in self._handles if handle.starting is not None or handle.is_idle
        ]
        for handle in spare[: len(self._handles) - wanted]:
            self._let_go(handle)

    def _meet(self) -> None:
        """Takes in the workers that have started, and those that could not."""
        waiting = {
            handle.starting: handle for handle in self._handles if handle.starting is not None
        }
        if not waiting:
            return
        for ref in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            handle = waiting[ref]
            try:
                handle.node, facts = ray.get(ref)
                handle.starting = None
            except RayTaskError as error:  # this node is not what the first one was
                _log.warning("a worker could not start: %s", cause_of(error))
                self._let_go(handle)
                continue
            except RayError as error:
                _log.warning("a worker died while it started: %s", type(error).__name__)
                self._let_go(handle)
                continue
            if self._facts is not None and not self._facts.same_bytes(facts):
                _log.warning(
                    "a worker on node %s is let go: it has %s, the set is built with %s",
                    *(handle.node, facts, self._facts),
                )
                self._let_go(handle)

    def _place_alone(self) -> None:
        """Gives a task that wants a process to itself a fresh one, if need be for an idle one."""
        for handle in [handle for handle in self._handles if handle.is_idle]:
            if not self._alone:
                return
            if handle.is_fresh:
                task = self._alone.popleft()
                self._give(handle, task, handle.actor.step.remote(task, self._stamp))
            elif time.monotonic() >= self._next_swap:
                self._next_swap = time.monotonic() + _FIT_S
                self._let_go(handle)
                self._hire()

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
            if time.monotonic() - handle.since > limit:
                self._give_up(handle, f"nothing done within runtime.shard_timeout_s={limit}", False)

    def _give_up(self, handle: WorkerHandle, why: str, with_node: bool) -> None:
        """A worker is lost; what it had comes back, to be tried elsewhere."""
        what = f"{why}, with its node" if with_node else why
        _log.warning("%s; %d shards go back into the queue", what, len(handle.tasks))
        lost = Lost(what, handle.clip, with_node)
        self._ended += [Outcome(task, lost) for task in handle.tasks.values()]
        self._let_go(handle)

    def _let_go(self, handle: WorkerHandle) -> None:
        ray.kill(handle.actor)
        self._handles.remove(handle)
        self._gone += handle.left()
