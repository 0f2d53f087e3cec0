"""What there is to say of a backend: one entry of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mav_pipeline.schema.interfaces import MattingBackend
from mav_pipeline.schema.kinds import Kind


def no_gpus(config: Any, there_are: bool) -> float:
    """Of a backend that computes on the CPU."""
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendKind(Kind):
    """A backend by its name; see ``Kind``.

    Attributes:
        open: makes the backend from its config and the S3 endpoint; loads nothing.
        gpus: what a worker asks for with ``runtime.gpus_per_worker=auto``, of its config and of
            whether the cluster has GPUs.
        largest_batch: tries on this machine's GPU what ``max_batch`` could be, for ``mav plan``;
            None where nothing asks.
    """

    open: Callable[[Any, str | None], MattingBackend]
    gpus: Callable[[Any, bool], float] = no_gpus
    largest_batch: Callable[[Any, str | None], int | None] | None = None
