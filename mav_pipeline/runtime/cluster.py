"""The crew of Ray actors: each holds a GPU or CPU slot, builds one shard, has the next one ready.

Specs go in and receipts come out; no pixels pass through the object store. Ordinary resources
only, so the build shares a cluster and lets an autoscaler see what it wants.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from mav_pipeline.config import RunConfig
from mav_pipeline.errors import SetupError, ShardError
from mav_pipeline.runtime.crew import Outcome
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.worker import Worker
from mav_pipeline.shard_job import Progress

_log = logging.getLogger(__name__)

_IN_FLIGHT = 2  # a worker's shard, and the next one
_CALLS = _IN_FLIGHT + 1  # and room for a look at its progress
_GROW_S = 10.0  # how often the cluster is asked for more slots


@dataclass(slots=True)
class _Hand:
    """One actor and what it has been given, oldest first."""

    actor: Any
    ready: Any  # ObjectRef of setup
    tasks: dict[Any, Task] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    progress: Progress = field(default_factory=Progress)
    asked: Any = None  # ObjectRef of a progress call under way


class RayCrew:
    """Builds with Ray actors; see ``Crew``.

    Args:
        shards: how many there are to build: more workers than that would never see one.
    """

    def __init__(self, config: RunConfig, fingerprint: str, shards: int) -> None:
        self._config, self._fingerprint, self._shards = config, fingerprint, shards
        self._hands: list[_Hand] = []
        self._gone = Progress()  # totals of workers that are no more
        self._lost: list[Outcome] = []
        self._next_grow = 0.0
        self._started_ray = False

    def start(self) -> None:
        runtime = self._config.runtime
        if not ray.is_initialized():
            try:
                ray.init(
                    address=runtime.address,
                    include_dashboard=None if runtime.address else False,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                )
            except (RayError, ConnectionError, ValueError, RuntimeError) as error:
                raise SetupError(
                    f"runtime.address={runtime.address}: no Ray cluster answers ({error}); "
                    "start one, or leave the key null to start one here"
                ) from error
            self._started_ray = True
        first = self._hire()
        try:
            ray.get(first.ready, timeout=runtime.start_timeout_s)
        except GetTimeoutError as error:
            raise SetupError(
                f"no worker came up within runtime.start_timeout_s={runtime.start_timeout_s}: the "
                f"cluster has no free {self._resources()}; lower runtime.gpus_per_worker or "
                "matting.threads, or give the autoscaler more time"
            ) from error
        except RayTaskError as error:
            raise _cause(error) from error
        except RayActorError as error:
            raise SetupError(f"the first worker died while it started: {error}") from error

    def has_room(self) -> bool:
        self._grow()
        return any(len(hand.tasks) < _IN_FLIGHT for hand in self._hands)

    def submit(self, task: Task) -> None:
        hand = min(self._hands, key=lambda hand: len(hand.tasks))
        if not hand.tasks:
            hand.since = time.monotonic()
        hand.tasks[hand.actor.build.remote(task.spec, task.attempt)] = task

    def wait(self, timeout_s: float) -> list[Outcome]:
        refs = [ref for hand in self._hands for ref in hand.tasks]
        if not refs:
            time.sleep(timeout_s)
        else:
            done, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
            for ref in done:
                self._settle(ref)
        self._kill_overdue()
        outcomes, self._lost = self._lost, []
        return outcomes

    def workers(self) -> int:
        return len(self._hands)

    def progress(self) -> Progress:
        for hand in self._hands:
            self._look(hand)
        parts = [self._gone, *(hand.progress for hand in self._hands)]
        return Progress(
            clips=sum(part.clips for part in parts),
            frames=sum(part.frames for part in parts),
            failed=sum(part.failed for part in parts),
        )

    def close(self) -> None:
        for hand in self._hands:
            ray.kill(hand.actor)
        self._hands.clear()
        if self._started_ray:
            ray.shutdown()

    # workers

    def _resources(self) -> dict[str, float]:
        runtime = self._config.runtime
        wanted = {"num_cpus": float(self._config.matting.threads)}
        gpus = runtime.gpus_per_worker
        if gpus == "auto":
            gpus = self._model_gpus()
        if gpus:
            wanted["num_gpus"] = gpus
        return wanted

    def _model_gpus(self) -> float:
        """One for a backend with a device to choose, unless that falls to the CPU."""
        matting = self._config.matting
        if matting.name != "videomama" or matting.device == "cpu":
            return 0.0
        return 1.0 if matting.device == "cuda" or _cluster().get("GPU") else 0.0

    def _hire(self) -> _Hand:
        actor: Any = (
            ray.remote(Worker)
            .options(max_concurrency=_CALLS, max_restarts=0, **self._resources())
            .remote(self._config.to_mapping(), self._fingerprint)
        )
        hand = _Hand(actor, actor.setup.remote())
        self._hands.append(hand)
        return hand

    def _grow(self) -> None:
        """Hires until the wanted number is reached; ``auto`` follows the cluster as it grows."""
        if self._hands and time.monotonic() < self._next_grow:
            return
        self._next_grow = time.monotonic() + _GROW_S
        while len(self._hands) < self._wanted():
            self._hire()

    def _wanted(self) -> int:
        wanted = self._config.runtime.num_workers
        if wanted != "auto":
            return min(wanted, self._shards)
        have = _cluster()
        names = {"num_cpus": "CPU", "num_gpus": "GPU"}
        slots = [int(have.get(names[key], 0) // need) for key, need in self._resources().items()]
        return max(1, min(*slots, self._shards))

    def _look(self, hand: _Hand) -> None:
        """Takes the answer of the last progress call, if it is there, and asks again."""
        if hand.asked is not None:
            done, _ = ray.wait([hand.asked], timeout=0)
            if not done:
                return
            try:
                hand.progress = ray.get(hand.asked)
            except RayError:
                return  # a dead worker; its tasks say so too
        hand.asked = hand.actor.progress.remote()

    # endings

    def _settle(self, ref: Any) -> None:
        hand = next(hand for hand in self._hands if ref in hand.tasks)
        try:
            receipt = ray.get(ref)
        except RayTaskError as error:
            cause = _cause(error)
            if isinstance(cause, SetupError):  # this node is not what the first one was
                self._dismiss(hand, f"a worker could not start: {cause}")
                return
            if not isinstance(cause, ShardError):
                raise cause from error
            self._lost.append(Outcome(hand.tasks.pop(ref), cause))
        except RayError as error:
            self._dismiss(hand, f"the worker died: {type(error).__name__}")
            return
        else:
            self._lost.append(Outcome(hand.tasks.pop(ref), receipt))
        hand.since = time.monotonic()

    def _kill_overdue(self) -> None:
        limit = self._config.runtime.shard_timeout_s
        for hand in list(self._hands):
            if limit and hand.tasks and time.monotonic() - hand.since > limit:
                self._dismiss(hand, f"no shard within runtime.shard_timeout_s={limit}")

    def _dismiss(self, hand: _Hand, why: str) -> None:
        """Gives up a worker; its tasks come back as failed, to be tried elsewhere."""
        _log.warning("%s; %d shards go back into the queue", why, len(hand.tasks))
        ray.kill(hand.actor)
        self._hands.remove(hand)
        self._gone.clips += hand.progress.clips
        self._gone.frames += hand.progress.frames
        self._gone.failed += hand.progress.failed
        self._lost += [
            Outcome(task, ShardError("matting", "WorkerLost", why, may_pass=True))
            for task in hand.tasks.values()
        ]
        self._next_grow = 0.0


def _cluster() -> dict[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def _cause(error: RayTaskError) -> Exception:
    """The error as the worker raised it."""
    return error.cause if isinstance(error.cause, Exception) else error
