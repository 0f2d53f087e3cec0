"""One Ray actor as the pool sees it: the process, where it is, what it has been given."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import ActorDiedError, GetTimeoutError, RayError, RayTaskError

from mav_pipeline.build.record import Progress
from mav_pipeline.build.sight import Mark
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.ray.worker import Worker
from mav_pipeline.schema import BackendFacts

_IN_FLIGHT = 2  # a worker's shard, and the next one
_ANSWER_S = 3.0  # for a look at a worker's progress
CALLS = _IN_FLIGHT + 1  # and room for a look at its progress


class Actor(Worker):
    """The worker as Ray sees it."""

    def start(self, mark: Mark) -> Started:
        """Sets up, and answers the driver's mark in the output. Raises SetupError."""
        answered = self.answer(mark)  # first: weights may take minutes
        return Started(str(ray.get_runtime_context().get_node_id()), self.setup(), answered)


@dataclass(frozen=True, slots=True)
class Started:
    """A worker that is ready.

    Attributes:
        node: Ray's id of the node that it is on.
        mark: what it has left in the output, for the driver to find.
    """

    node: str
    facts: BackendFacts
    mark: Mark


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """One actor and what it has been given, oldest first.

    Attributes:
        starting: ObjectRef of ``start``; None once it has.
        is_fresh: nothing has been built in its process.
        clip: the clip that it has alone in its process.
        progress: what it told last, of shards under way too.
        published: of the shards that it has ended.
        together: when another worker was on its node last.
    """

    actor: Any
    starting: Any
    node: str = ""
    tasks: dict[Any, Task] = field(default_factory=dict)
    is_fresh: bool = True
    clip: str | None = None
    since: float = field(default_factory=time.monotonic)
    progress: Progress = field(default_factory=Progress)
    published: Progress = field(default_factory=Progress)
    together: float = -math.inf
    asked: Any = None  # ObjectRef of a progress call under way
    doubt: Any = None  # ObjectRef of a call to a worker that could not be reached

    @property
    def is_idle(self) -> bool:
        return self.starting is None and not self.tasks

    @property
    def has_room(self) -> bool:
        """For one more task, beside those it has."""
        alone = any(task.alone for task in self.tasks.values())
        here = self.starting is None and self.doubt is None
        return here and not alone and len(self.tasks) < _IN_FLIGHT

    def left(self) -> Progress:
        """What stays of it once it is gone: frames were made, clips in flight are done again."""
        clips, failed = self.published.clips, self.published.failed
        return replace(self.progress, clips=clips, failed=failed, waits=0)

    def waits(self) -> bool:
        """Whether it waits for the output, as it says within some seconds."""
        try:
            self._told(ray.get(self.actor.progress.remote(), timeout=_ANSWER_S))
        except (RayError, GetTimeoutError):
            return False
        return self.progress.waits > 0

    def _told(self, now: Progress) -> None:
        self.progress = replace(now, memory=max(now.memory, self.progress.memory))

    def look(self, *, ask: bool) -> None:
        """Takes the answer of the last progress call if it is there; asks again where it is."""
        if self.asked is not None and ray.wait([self.asked], timeout=0)[0]:
            with contextlib.suppress(RayError):  # a dead worker; its tasks say so too
                self._told(ray.get(self.asked))
            self.asked = None
        if ask and self.asked is None and self.starting is None:
            self.asked = self.actor.progress.remote()


def lost_with_node(error: RayError, node: str) -> bool:
    """Whether a worker's whole node is gone, or about to be."""
    alive = {found["NodeID"] for found in ray.nodes() if found["Alive"]}  # type: ignore[no-untyped-call]
    return node not in alive or (isinstance(error, ActorDiedError) and error.preempted)


def cause_of(error: RayTaskError) -> Exception:
    """The error as the worker raised it."""
    return error.cause if isinstance(error.cause, Exception) else error
