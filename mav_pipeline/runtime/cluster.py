"""The crew of Ray actors: each holds a GPU or CPU slot, builds one shard, has the next one ready.

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

from mav_pipeline.config import RunConfig
from mav_pipeline.errors import SetupError, ShardError
from mav_pipeline.runtime.crew import CrewState, Outcome
from mav_pipeline.runtime.hand import CALLS, Actor, Hand, cause_of, went
from mav_pipeline.runtime.queue import Lost, Task
from mav_pipeline.runtime.slots import Slots
from mav_pipeline.schema import ShardReceipt
from mav_pipeline.shard_record import Progress

_log = logging.getLogger(__name__)

_DOUBT_S = 120.0  # for Ray to notice that a node is gone: by default it takes half a minute
_LOOK_S = 2.0  # between looks at the workers' progress: a call to each
_FIT_S = 10.0  # how often the number of workers is fitted to what there is to do


class RayCrew:
    """Builds with Ray actors; see ``Crew``."""

    def __init__(self, config: RunConfig, fingerprint: str) -> None:
        self._config, self._fingerprint = config, fingerprint
        self._hands: list[Hand] = []
        self._alone: deque[Task] = deque()  # these wait for a fresh process
        self._gone = Progress()  # totals of workers that are no more
        self._ended: list[Outcome] = []
        self._next_fit = self._next_swap = self._next_look = 0.0
        self._joined, self._gpus = False, 0.0
        self._slots = Slots(config)

    def start(self) -> None:
        runtime = self._config.runtime
        if not ray.is_initialized():
            try:
                ray.init(
                    address=runtime.address,
                    include_dashboard=False if self._slots.is_ours else None,
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
            first.node = ray.get(first.starting, timeout=runtime.start_timeout_s)
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

    def has_room(self, outstanding: int) -> bool:
        self._fit(outstanding)
        self._meet()
        self._place_alone()
        return not self._alone and any(hand.has_room for hand in self._hands)

    def submit(self, task: Task) -> None:
        if task.alone:
            self._alone.append(task)
            self._place_alone()
            return
        hand = min((h for h in self._hands if h.has_room), key=lambda hand: len(hand.tasks))
        self._give(hand, task, hand.actor.build.remote(task))

    def wait(self, timeout_s: float) -> list[Outcome]:
        self._clear_doubts()
        refs = [ref for hand in self._hands if hand.doubt is None for ref in hand.tasks]
        if not refs:
            time.sleep(timeout_s)
        else:
            if ray.wait(refs, num_returns=1, timeout=timeout_s)[0]:
                for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
                    self._settle(ref)
        self._kill_overdue()
        outcomes, self._ended = self._ended, []
        return outcomes

    def state(self) -> CrewState:
        if ask := time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_S
        for hand in self._hands:
            hand.look(ask=ask)
        return CrewState(
            totals=sum((hand.progress for hand in self._hands), self._gone),
            working=self._working(),
            starting=len(self._hands) - self._working(),
            gpus=self._gpus,
        )

    def close(self) -> None:
        for hand in self._hands:
            ray.kill(hand.actor)
        self._hands.clear()
        if self._joined:
            ray.shutdown()

    # workers

    def _working(self) -> int:
        return sum(hand.starting is None for hand in self._hands)

    def _hire(self) -> Hand:
        resources = self._slots.resources()
        self._gpus = resources.get("num_gpus", 0.0)
        actor: Any = (
            ray.remote(Actor)
            .options(max_concurrency=CALLS, max_restarts=0, **resources)
            .remote(self._config.to_mapping(), self._fingerprint)
        )
        hand = Hand(actor, actor.start.remote())
        self._hands.append(hand)
        return hand

    def _fit(self, outstanding: int) -> None:
        """Hires or lets go until there are as many workers as there is use for."""
        if self._hands and time.monotonic() < self._next_fit:
            return
        self._next_fit = time.monotonic() + _FIT_S
        wanted = max(1, min(self._slots.wanted(self._working()), outstanding))
        while len(self._hands) < wanted:
            self._hire()
        spare = [hand for hand in self._hands if hand.starting is not None or hand.is_idle]
        for hand in spare[: len(self._hands) - wanted]:
            self._let_go(hand)

    def _meet(self) -> None:
        """Takes in the workers that have started, and those that could not."""
        waiting = {hand.starting: hand for hand in self._hands if hand.starting is not None}
        if not waiting:
            return
        for ref in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            hand = waiting[ref]
            try:
                hand.node, hand.starting = ray.get(ref), None
            except RayTaskError as error:  # this node is not what the first one was
                _log.warning("a worker could not start: %s", cause_of(error))
                self._let_go(hand)
            except RayError as error:
                _log.warning("a worker died while it started: %s", type(error).__name__)
                self._let_go(hand)

    def _place_alone(self) -> None:
        """Gives a task that wants a process to itself a fresh one, if need be for an idle one."""
        for hand in [hand for hand in self._hands if hand.is_idle]:
            if not self._alone:
                return
            if hand.is_fresh:
                task = self._alone.popleft()
                self._give(hand, task, hand.actor.step.remote(task))
            elif time.monotonic() >= self._next_swap:
                self._next_swap = time.monotonic() + _FIT_S
                self._let_go(hand)
                self._hire()

    def _give(self, hand: Hand, task: Task, ref: Any) -> None:
        if not hand.tasks:
            hand.since = time.monotonic()
        hand.tasks[ref], hand.is_fresh = task, False

    # endings

    def _settle(self, ref: Any) -> None:
        hand = next((hand for hand in self._hands if ref in hand.tasks), None)
        if hand is None:  # given up just now, for another of its tasks
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
            hand.doubt, hand.since = hand.actor.progress.remote(), time.monotonic()
            return
        except RayError as error:
            self._give_up(hand, f"the worker died: {type(error).__name__}", went(error, hand.node))
            return
        else:
            hand.since = time.monotonic()
            if not isinstance(answer, ShardReceipt):  # it is at the border of two clips
                task, hand.clip = hand.tasks.pop(ref), answer
                self._give(hand, task, hand.actor.step.remote(task))
                return
            result = answer
            hand.published += Progress.of(answer)
        hand.since, hand.clip = time.monotonic(), None
        self._ended.append(Outcome(hand.tasks.pop(ref), result))

    def _clear_doubts(self) -> None:
        """Asks workers that could not be reached until Ray knows what became of them."""
        for hand in [hand for hand in self._hands if hand.doubt is not None]:
            if not ray.wait([hand.doubt], timeout=0)[0]:
                continue
            try:
                ray.get(hand.doubt)
            except ActorUnavailableError:
                if time.monotonic() - hand.since < _DOUBT_S:
                    hand.doubt = hand.actor.progress.remote()
                    continue
                with_node = True
            except RayError as error:
                with_node = went(error, hand.node)
            else:
                with_node = True  # it is there, what it had is not: the network was at fault
            self._give_up(hand, "the worker could not be reached", with_node)

    def _kill_overdue(self) -> None:
        limit = self._config.runtime.shard_timeout_s
        if limit is None:
            return
        busy = [hand for hand in self._hands if hand.tasks and hand.doubt is None]
        for hand in busy:
            if time.monotonic() - hand.since > limit:
                self._give_up(hand, f"nothing done within runtime.shard_timeout_s={limit}", False)

    def _give_up(self, hand: Hand, why: str, with_node: bool) -> None:
        """A worker is lost; what it had comes back, to be tried elsewhere."""
        what = f"{why}, with its node" if with_node else why
        _log.warning("%s; %d shards go back into the queue", what, len(hand.tasks))
        lost = Lost(what, hand.clip, with_node)
        self._ended += [Outcome(task, lost) for task in hand.tasks.values()]
        self._let_go(hand)

    def _let_go(self, hand: Hand) -> None:
        ray.kill(hand.actor)
        self._hands.remove(hand)
        self._gone += hand.left()
