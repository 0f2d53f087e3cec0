"""How a long command stops: at its next border, by a signal that it was sent."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from mav_pipeline.schema.errors import Interrupted

STOPPED = "stopped by a signal; the same command goes on from here"


@contextlib.contextmanager
def stop_on_signals() -> Iterator[tuple[threading.Event, Callable[[], None]]]:
    """An event that SIGINT and SIGTERM set, and a check that raises Interrupted once it is.

    The check also takes the signals back from who has put other handlers in place, as Ray does.

    A second signal acts as if we were not here.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    def check() -> None:
        if stop.is_set():
            raise Interrupted(STOPPED)
        for number in before:
            signal.signal(number, handle)

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    check()
    try:
        yield stop, check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
