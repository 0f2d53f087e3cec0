"""Runs the console, and sends this process a signal just before or just after a file appears.

    python signal_at.py KILL|STOP before|after <regex on the file's path> <verb> [key=value ...]

The signal is the real one: no handler, no cleanup, no flush comes after SIGKILL. It strikes once.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from mav_pipeline.cli import main


class Striker:
    """Wraps what makes files appear: links and renames in a folder, requests on S3."""

    def __init__(self, number: signal.Signals, when: str, pattern: str) -> None:
        self._number, self._when, self._pattern = number, when, re.compile(pattern)

    def _strike(self, when: str, target: str) -> None:
        if self._when == when and self._pattern.search(target):
            self._when = "never again"
            # To this thread, which so takes it before the next line; a process's other threads may
            # take a SIGSTOP of its own a moment later.
            signal.pthread_kill(threading.get_ident(), self._number)

    def on_path(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(source: Any, target: Any) -> None:
            self._strike("before", str(target))
            real(source, target)
            self._strike("after", str(target))

        return call

    def on_request(self, real: Callable[..., Any]) -> Callable[..., Any]:
        writes = ("PutObject", "CompleteMultipartUpload")

        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            target = arguments.get("Key", "") if operation in writes else ""
            self._strike("before", target)
            answer = real(client, operation, arguments)
            self._strike("after", target)
            return answer

        return call


if __name__ == "__main__":
    number, when, pattern, *words = sys.argv[1:]
    striker = Striker(signal.Signals[f"SIG{number}"], when, pattern)
    os.link = striker.on_path(os.link)
    os.replace = striker.on_path(os.replace)
    if any("s3://" in word for word in words):
        from botocore.client import BaseClient

        BaseClient._make_api_call = striker.on_request(BaseClient._make_api_call)
    sys.exit(main(words))
