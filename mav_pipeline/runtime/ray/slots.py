"""What a worker asks of a cluster, and how many workers a build has use for there."""

from __future__ import annotations

import os

import ray

from mav_pipeline.config import RunConfig


class Slots:
    """Reads the cluster that ``ray.init`` has joined; ordinary resources only."""

    def __init__(self, config: RunConfig) -> None:
        self._matting, self._runtime = config.matting, config.runtime
        #: A cluster of others may grow by what is asked of it; one that we start has what it has.
        self.is_ours = not (config.runtime.address or os.environ.get("RAY_ADDRESS"))

    def resources(self) -> dict[str, float]:
        """Ray's options of one worker."""
        wanted = {"num_cpus": float(self._matting.threads)}
        gpus = self._runtime.gpus_per_worker
        if gpus == "auto":
            gpus = self._model_gpus()
        if gpus:
            wanted["num_gpus"] = gpus
        return wanted

    def wanted(self, at_work: int) -> int:
        """``auto`` in a cluster of others: as many more as are at work, for an autoscaler to see.

        An actor that waits for a slot costs nothing, and gets what the cluster grows by.
        """
        if self._runtime.num_workers != "auto":
            return self._runtime.num_workers
        have = _cluster()
        names = {"num_cpus": "CPU", "num_gpus": "GPU"}
        slots = min(int(have.get(names[k], 0) // need) for k, need in self.resources().items())
        return slots if self.is_ours else max(slots, at_work + max(1, at_work))

    def _model_gpus(self) -> float:
        """One for a backend with a device to choose, unless that falls to the CPU."""
        if self._matting.name != "videomama" or self._matting.device == "cpu":
            return 0.0
        return 1.0 if self._matting.device == "cuda" or _cluster().get("GPU") else 0.0


def _cluster() -> dict[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]
