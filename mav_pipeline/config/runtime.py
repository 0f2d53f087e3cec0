"""Who does the work and where files lie; never changes a byte of a shard."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import STRICT, Count, NotNegative, Positive, Text
from mav_pipeline.schema.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RuntimeConfig:
    """Who does the work; never changes a byte.

    Attributes:
        num_workers: actors under ``ray``; ``auto`` means as many as the cluster has slots for.
        address: of a running Ray cluster; null starts one in this process's machine, or uses
            RAY_ADDRESS as ``ray job submit`` sets it.
        gpus_per_worker: GPUs an actor asks Ray for; 0 means a CPU slot of ``matting.threads``;
            ``auto`` is what the backend asks for.
        memory_per_worker: bytes of memory an actor asks Ray for; 0 asks for none; ``auto`` is what
            workers held at most, once the first shard is built.
        max_attempts: of one shard in one run, for errors that may pass.
        shard_timeout_s: a shard that takes longer is taken from its worker; null means never.
        start_timeout_s: how long joining the cluster may take, and then the first actor's start (an
            autoscaler needs minutes).
        outage_timeout_s: how long the output may fail before the build ends.
        encode_threads: threads that score and encode finished mattes, in each worker.
        progress_s: seconds between progress lines where there is no terminal.
    """

    name: Literal["local", "ray"]
    num_workers: Count | Literal["auto"]
    address: Text | None
    gpus_per_worker: NotNegative | Literal["auto"]
    memory_per_worker: NotNegative | Literal["auto"]
    max_attempts: Count
    shard_timeout_s: Positive | None
    start_timeout_s: Positive
    outage_timeout_s: NotNegative
    retry_wait_s: NotNegative
    encode_threads: Count
    progress_s: Positive

    def __post_init__(self) -> None:
        gpus = self.gpus_per_worker
        if gpus != "auto" and gpus > 1 and gpus != int(gpus):
            raise ConfigError(
                "runtime.gpus_per_worker must be a share of one GPU or a whole number, not "
                f"{gpus}: Ray gives no worker one GPU and part of another"
            )
        if self.name == "local" and self.num_workers not in ("auto", 1):
            raise ConfigError(
                f"runtime.num_workers={self.num_workers} needs runtime=ray; runtime=local is this "
                "process alone, one worker"
            )


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StorageConfig:
    """``endpoint_url`` of an S3-compatible server; credentials come from the AWS chain alone."""

    endpoint_url: Text | None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ResumeConfig:
    """``rebuild``: ``none``, or ``failed_clips`` for published shards that hold failed rows."""

    rebuild: Literal["none", "failed_clips"]
