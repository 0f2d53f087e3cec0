"""How a run shows that it lives: a panel on a terminal, lines in a log. All to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.live import Live

from mav_pipeline.runtime.status.panel import line, panel
from mav_pipeline.runtime.status.tally import View

_log = logging.getLogger(__name__)

#: Shows where a run stands; called often, shows what is new when it is due.
Show = Callable[[View], None]


@contextlib.contextmanager
def open_display(title: str, every_s: float) -> Iterator[Show]:
    """A panel where stderr is a terminal, else a log line every ``every_s`` seconds and at the end.

    The panel stays as it was last; lines that are logged meanwhile appear above it.
    """
    stderr, console = sys.stderr, Console(stderr=True)
    if not stderr.isatty() or not console.is_terminal or console.is_dumb_terminal:
        yield _lines(every_s)
        return
    live = Live(console=console, refresh_per_second=4)
    live.start()
    console.show_cursor(True)  # else a process that is killed leaves a terminal without one
    try:
        with _redirected(stderr, sys.stderr):
            yield lambda view: live.update(panel(view, title))
    finally:
        with contextlib.suppress(OSError):  # the terminal is gone; the run is not
            live.stop()


def _lines(every_s: float) -> Show:
    due = time.monotonic()

    def show(view: View) -> None:
        nonlocal due
        if view.is_done or time.monotonic() >= due:
            due = time.monotonic() + every_s
            _log.info("%s", line(view))

    return show


@contextlib.contextmanager
def _redirected(old: TextIO, new: TextIO) -> Iterator[None]:
    """Log records for ``old`` go to ``new``, which a live panel has put in its place."""
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is old
    ]
    for handler in handlers:
        handler.setStream(new)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(old)
