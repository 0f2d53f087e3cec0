"""A thread that scores and encodes what another mattes, with a bounded backlog."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_BACKLOG = 4  # blocks of alpha a thread may have waiting: enough to never idle, a few MB each


class EncodingThread:
    """One thread that finishes masklets in order, with a bounded backlog."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mav-finish")
        self._room = threading.Semaphore(_BACKLOG)

    def submit(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        self._room.acquire()
        future = self._pool.submit(task, *args)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
