"""Batches of a bounded size, and what is done where the device has no room. Knows no models.

No batch is ever made smaller: how work is cut follows from the configuration, so that bytes do.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any, TypeVar

from mav_pipeline.schema.errors import BackendError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Room:
    """Calls that may find the device full: tried once more, after all that they held is freed.

    Args:
        free: gives cached memory back to the device.

    Attributes:
        retried: how often that was needed, in this process's life.
    """

    def __init__(self, free: Callable[[], None]) -> None:
        self._free = free
        self.retried = 0

    def call(self, run: Callable[[], _T]) -> _T:
        """The result of ``run``.

        Raises:
            BackendError: there is no room, though nothing is held but models and latents.
        """
        import torch

        for attempt in range(2):
            try:
                return run()
            except torch.OutOfMemoryError as error:
                # The frames of the failed call hold its tensors as long as the error is.
                traceback.clear_frames(error.__traceback__)
                cause = str(error).partition(". ")[0]
            self._free()
            if attempt == 0:
                self.retried += 1
                _log.warning("out of device memory, freed and tried again: %s", cause)
        raise BackendError(
            "device_memory",
            f"the device has no room, twice: {cause}; lower matting.max_pixels or "
            "matting.memory_gb, or leave the device to this worker alone",
        )


class Batches:
    """Runs items in batches.

    Args:
        limit: items a batch, at most.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def run(
        self,
        items: Iterable[_T],
        run: Callable[[list[_T]], list[Any]],
        key: Callable[[_T], object] = lambda item: None,
    ) -> Iterator[Any]:
        """The results of ``run`` over groups of neighbours of equal ``key``, in order.

        Lazy: takes ``limit`` items when the first result of a batch is asked for, and no more.
        """
        coming, held = iter(items), deque[_T]()
        while True:
            held.extend(islice(coming, max(0, self.limit - len(held))))
            if not held:
                return
            _, neighbours = next(groupby(islice(held, self.limit), key))
            group = [*neighbours]
            for _ in group:
                held.popleft()
            yield from run(group)
