"""What befell a clip, as its row says it; or that it may pass, and the shard is tried again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mav_pipeline.schema import Problem
from mav_pipeline.schema.errors import InputError, MavError, in_words
from mav_pipeline.schema.reasons import Reason, known

_log = logging.getLogger(__name__)


def reading_problem(error: Exception, video_id: str, reasons: Sequence[Reason]) -> Problem:
    """The problem of a clip that cannot be read, of what reading it raised.

    Args:
        reasons: slugs of the source's and the backend's own.

    Raises:
        Exception: ``error`` itself, where it may pass: the storage's, the machine's, a request to
            stop.
    """
    if isinstance(error, InputError):
        return listed(Problem(error.status, error.reason, str(error)), reasons)
    if isinstance(error, OSError | MemoryError | MavError):
        raise error
    # Whatever a library makes of strange input is a row.
    _log.error("clip %s: unexpected error while it was read", video_id, exc_info=error)
    return Problem(
        "failed", "unexpected", f"decode of video: {type(error).__name__}: {in_words(error)}"
    )


def listed(problem: Problem, reasons: Sequence[Reason]) -> Problem:
    """The problem, or that it has a reason which stands in no table."""
    if known(problem.reason, reasons):
        return problem
    cause = f"{problem.message}; its reason {problem.reason!r} is in no table"
    return Problem("failed", "unexpected", cause)
