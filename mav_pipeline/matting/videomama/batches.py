"""Batches of a bounded size, halved where the device has no room. Knows nothing of models."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any, TypeVar

from mav_pipeline.schema.errors import BackendError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Batches:
    """Runs items in batches.

    Args:
        limit: items a batch, at most; falls by halves and stays there for this process's life, for
            what did not fit once will not fit the next clip either.
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

        Raises:
            BackendError: one item alone does not fit either.
        """
        import torch

        coming, held = iter(items), deque[_T]()
        while True:
            held.extend(islice(coming, max(0, self.limit - len(held))))
            if not held:
                return
            _, neighbours = next(groupby(islice(held, self.limit), key))
            group = [*neighbours]
            try:
                results = run(group)
            except torch.OutOfMemoryError as error:
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                if len(group) == 1:
                    cause = "the device has no room for a batch of one; lower matting.max_pixels"
                    raise BackendError("device_memory", cause) from error
                self.limit = len(group) // 2
                _log.warning("out of device memory: going on in batches of %d", self.limit)
                continue
            for _ in group:
                held.popleft()
            yield from results
