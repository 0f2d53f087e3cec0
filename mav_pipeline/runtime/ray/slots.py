"""What a worker asks of a cluster, and how many workers a build has use for there."""

from __future__ import annotations

import ray

from mav_pipeline.config import RunConfig
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.runtime.ray.join import address_of

_SPARE = 1.25  # of what a worker held: clips differ


class Slots:
    """Reads the cluster that ``ray.init`` has joined; ordinary resources only."""

    #: Bytes that a worker has held at most; 0 before any has told.
    peak = 0

    def __init__(self, config: RunConfig) -> None:
        self._matting, self._runtime = config.matting, config.runtime
        #: A cluster of others may grow by what is asked of it; one that we start has what it has.
        self.is_own = address_of(config.runtime) is None

    def resources(self) -> dict[str, float]:
        """Ray's options of one worker."""
        wanted = {"num_cpus": float(self._matting.threads)}
        gpus = self._runtime.gpus_per_worker
        if gpus == "auto":
            gpus = BACKENDS.get(self._matting.name).gpus(self._matting, bool(_cluster().get("GPU")))
        if gpus:
            wanted["num_gpus"] = gpus
        if memory := self._memory():
            wanted["memory"] = memory
        return wanted

    def _memory(self) -> float:
        """Bytes to ask for: no more than the largest node has, or it would never start."""
        asked = self._runtime.memory_per_worker
        if asked != "auto":
            return asked
        nodes = ray.nodes() if self.peak else []  # type: ignore[no-untyped-call]
        largest = max((node["Resources"].get("memory", 0.0) for node in nodes), default=0.0)
        return float(int(min(_SPARE * self.peak, largest)))

    def wanted(self, at_work: int) -> int:
        """``auto`` in a cluster of others: twice as many as are at work, for an autoscaler to see.

        An actor that waits for a slot costs nothing, and gets what the cluster grows by.
        """
        if self._runtime.num_workers != "auto":
            return self._runtime.num_workers
        have = _cluster()
        names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
        slots = min(int(have.get(names[k], 0) // need) for k, need in self.resources().items())
        return slots if self.is_own else max(slots, at_work + max(1, at_work))


def _cluster() -> dict[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]
