"""The output of a build, waited for while it fails.

    request -> fails -> again, after longer and longer waits -> answers, or patience ends
            -> refused -> once more, with credentials read anew -> refused: the build ends

Whoever asks meanwhile waits too. Matting is held up as soon as a finished shard waits, or where
there is little room for another.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from mav_pipeline.schema.errors import Interrupted, OutageError, RefusedError
from mav_pipeline.storage.base import Storage

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
ROOM = 2 * 10**9  # bytes free in TMPDIR, below which nothing is matted during an outage
_LOOK_S = 0.5  # between looks of who is held up
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS)


def is_refusal(error: OSError) -> bool:
    """Whether a place says no, rather than nothing: waiting does not mend that."""
    return isinstance(error, RefusedError) or error.errno in _REFUSALS


@dataclass(slots=True)
class Outage:
    """How long to wait before the next try, and when to give up. Pure; knows no clock.

    Args:
        timeout_s: from the first failure on.
        jitter: a number in [0, 1) a call.
    """

    timeout_s: float
    jitter: Callable[[], float] = random.random
    since: float | None = None
    _tries: int = 0
    _refused: bool = False

    @property
    def is_new(self) -> bool:
        """Whether nothing has failed yet."""
        return self.since is None

    def failed(self, error: OSError, now: float) -> float | None:
        """Seconds to wait before the next try; None where there is to be none.

        A first refusal is tried again at once; a second one in a row is believed.
        """
        self.since = now if self.since is None else self.since
        was_refused, self._refused = self._refused, is_refusal(error)
        if self._refused:
            return None if was_refused else 0.0
        left = self.timeout_s - (now - self.since)
        if left <= 0:
            return None
        wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**self._tries)
        self._tries += 1
        return min(wait * (0.5 + self.jitter() / 2), left)


class Output:
    """Where a set is written; requests go through ``call``, from any thread.

    Args:
        reopen: opens it, with credentials as they are now.
        timeout_s: how long an outage may last.
        stop: ends all waiting once it is set.
        room: bytes free for what is matted.

    Attributes:
        storage: as it was opened last; for requests that shall not wait.
        waiting: how many requests wait.
    """

    def __init__(
        self,
        reopen: Callable[[], Storage],
        timeout_s: float,
        stop: threading.Event | None = None,
        *,
        room: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reopen, self._timeout_s, self._clock = reopen, timeout_s, clock
        self._room = room or free_bytes
        self._lock = threading.Lock()
        self.waiting = self._finished = 0
        self.stop = stop or threading.Event()
        self.storage = reopen()

    def call(
        self,
        request: Callable[[Storage], T],
        *,
        finished: bool = False,
        on_failure: Callable[[], None] = lambda: None,
    ) -> T:
        """What ``request`` gives, after as many tries as it takes; it may be made again.

        Args:
            finished: it brings a finished shard, and nothing is matted while it waits.
            on_failure: called once, after the first try that fails.

        Raises:
            OutageError: the output failed for too long, or refuses.
            Interrupted: ``stop`` was set.
        """
        outage = Outage(self._timeout_s)
        with contextlib.ExitStack() as waiting:
            while True:
                try:
                    result = request(self.storage)
                except OSError as error:
                    if outage.is_new:
                        waiting.enter_context(self._counted(finished))
                        on_failure()
                    self._wait(outage, error)
                else:
                    if not outage.is_new:
                        _log.info("%r answers again", self.storage)
                    return result

    def hold(self) -> None:
        """Returns once matting is not in vain. Raises Interrupted."""
        while self.waiting and (self._finished or self._room() < ROOM):
            self._pause(_LOOK_S)

    def _wait(self, outage: Outage, error: OSError) -> None:
        wait_s = outage.failed(error, self._clock())
        if wait_s is None:
            why = "refuses" if is_refusal(error) else f"has failed for {self._timeout_s:g} s"
            raise OutageError(f"output.root={self.storage!r} {why}: {error}") from error
        if is_refusal(error):
            self.storage = self._reopen()
        _log.warning("output.root=%r: %s; again in %.0f s", self.storage, error, wait_s)
        self._pause(wait_s)

    @contextlib.contextmanager
    def _counted(self, finished: bool) -> Iterator[None]:
        with self._lock:
            self.waiting += 1
            self._finished += finished
        try:
            yield
        finally:
            with self._lock:
                self.waiting -= 1
                self._finished -= finished

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted("asked to stop")


def free_bytes() -> int:
    """Free in TMPDIR, where what is matted is spooled."""
    return shutil.disk_usage(tempfile.gettempdir()).free
