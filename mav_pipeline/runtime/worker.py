"""The Ray actor: one process, one GPU or CPU slot, one builder."""

from __future__ import annotations

from typing import Any

from mav_pipeline.config import RunConfig
from mav_pipeline.runtime.crew import open_builder
from mav_pipeline.schema import ShardReceipt, ShardSpec
from mav_pipeline.shard_job import Progress


class Worker:
    """What runs inside the actor; plain, so that it can be read and tested without Ray."""

    def __init__(self, config: dict[str, Any], fingerprint: str) -> None:
        self._builder = open_builder(RunConfig.from_mapping(config), fingerprint)

    def setup(self) -> None:
        """Loads the backend. Raises SetupError."""
        self._builder.setup()

    def build(self, spec: ShardSpec, attempt: int) -> ShardReceipt:
        """See ``ShardBuilder.build``."""
        return self._builder.build(spec, attempt)

    def progress(self) -> Progress:
        """See ``ShardBuilder.progress``."""
        return self._builder.progress()
