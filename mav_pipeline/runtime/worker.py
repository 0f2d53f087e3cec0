"""The Ray actor: one process, one GPU or CPU slot, one builder."""

from __future__ import annotations

import threading
from typing import Any

from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.crew import open_builder
from mav_pipeline.schema import ShardReceipt, ShardSpec
from mav_pipeline.shard_job import Progress


class Worker:
    """What runs inside the actor; plain, so that it can be read and tested without Ray."""

    def __init__(self, config: dict[str, Any], fingerprint: str) -> None:
        self._builder = open_builder(RunConfig.from_mapping(config), fingerprint)
        self._lock, self._is_set_up = threading.Lock(), False

    def setup(self) -> None:
        """Loads the backend, once. Raises SetupError."""
        with self._lock:
            if not self._is_set_up:
                self._builder.setup()
                self._is_set_up = True

    def build(self, spec: ShardSpec, attempt: int) -> ShardReceipt:
        """See ``ShardBuilder.build``; waits for ``setup``, which Ray may run at the same time."""
        self.setup()
        return self._builder.build(spec, attempt)

    def progress(self) -> Progress:
        """See ``ShardBuilder.progress``."""
        return self._builder.progress()
