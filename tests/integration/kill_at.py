"""Runs the console, and sends this process a SIGKILL just before or just after a file appears.

    python kill_at.py before|after <regex on the file's path> <verb> [key=value ...]

The signal is the real one: no handler, no cleanup, no flush comes after it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

from mav_pipeline.cli import main


def killing(real: Callable[..., Any], when: str, pattern: str) -> Callable[..., Any]:
    """``os.link`` or ``os.replace``, deadly where the target matches."""

    def call(source: Any, target: Any) -> None:
        hit = re.search(pattern, str(target)) is not None
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)
        if hit and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    return call


if __name__ == "__main__":
    when, pattern, *words = sys.argv[1:]
    os.link = killing(os.link, when, pattern)
    os.replace = killing(os.replace, when, pattern)
    sys.exit(main(words))
