"""Busy seconds a stage, from any thread; an error that rises in a stage carries its name."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from mav_pipeline.schema import STAGES

_STAGE = "mav_stage"  # attribute of an error: the innermost stage that it rose in


class StageTimes:
    """Adds up wall time spent in each of ``STAGES``.

    Args:
        total: of several; gets the same seconds.
    """

    def __init__(self, total: StageTimes | None = None) -> None:
        self._total = total
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:
            if stage_of(error) is None:
                setattr(error, _STAGE, name)
            raise
        finally:
            self._add(name, time.perf_counter() - start)

    def _add(self, name: str, seconds: float) -> None:
        with self._lock:
            self._seconds[name] += seconds
        if self._total is not None:
            self._total._add(name, seconds)

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self._seconds.items()}


def stage_of(error: BaseException) -> str | None:
    """The innermost stage that ``error`` rose in, or None."""
    return getattr(error, _STAGE, None)
