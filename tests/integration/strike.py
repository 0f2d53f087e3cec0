"""A process that sends itself a signal just before or just after a file appears.

The signal is the real one: no handler, no cleanup, no flush comes after SIGKILL.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WRITES = ("PutObject", "CompleteMultipartUpload")


@dataclass(slots=True)
class Strike:
    """One signal, once.

    Attributes:
        when: ``before`` or ``after`` the write.
        pattern: a regular expression, searched in the file's path or key.
    """

    number: signal.Signals
    when: str
    pattern: str

    def arm(self) -> None:
        """Wraps what makes files appear here: links and renames in a folder, requests on S3."""
        os.link = self._on_path(os.link)
        os.replace = self._on_path(os.replace)
        from botocore.client import BaseClient

        BaseClient._make_api_call = self._on_request(BaseClient._make_api_call)

    def _strike(self, when: str, target: str) -> None:
        if self.when == when and re.search(self.pattern, target):
            self.when = "never again"
            # To this thread, which so takes it before the next line; a process's other threads may
            # take a SIGSTOP of its own a moment later.
            signal.pthread_kill(threading.get_ident(), self.number)

    def _on_path(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(source: Any, target: Any) -> None:
            self._strike("before", str(target))
            real(source, target)
            self._strike("after", str(target))

        return call

    def _on_request(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            target = arguments.get("Key", "") if operation in _WRITES else ""
            self._strike("before", target)
            answer = real(client, operation, arguments)
            self._strike("after", target)
            return answer

        return call
