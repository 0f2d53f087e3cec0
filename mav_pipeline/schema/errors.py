"""The error tree: who is to blame decides what happens next. Every deliberate error is in it.

MavError
  SetupError         the set-up is wrong: exit 2, before the first clip
    ConfigError      a key or its value
    OutputError      the output folder: foreign, mismatching, unfit
  InputError         the data is wrong: a failed or skipped row, never a retry
  TransientError     something passed: retried with back-off and a cap
    OutageError      the output failed for longer than a build waits, or refuses: exit 3
  BackendError       the backend could not matte this masklet: a failed row
  TrainingError      a training cannot go on; its last checkpoint stays
  ShardError         a shard could not be built: tried again, or recorded in failures/
  ChangedError       a file is another version than was asked for (an OSError too)
  WriteError         a temporary file cannot be written (an OSError too)
  RefusedError       a place refuses whoever asks, or is not there (an OSError too)
  PassingError       a request broke off or met another: asked again (an OSError too)
  DamageError        an archive is not whole: its clips have failed rows
  VideoError         a video cannot be decoded or shown (a ValueError too)
  TruthError         a frame of truth cannot be compared: a problem of the evaluation
  Interrupted        somebody asked us to stop: exit 130, resumable

Beside it, pure code raises ValueError for what its callers give it, ``assert`` states what a
programmer got wrong, and storage raises OSError where a place fails or refuses.
"""

from __future__ import annotations

import re
from typing import Literal

from mav_pipeline.schema.statuses import ProblemStatus

_ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")
_PATH = re.compile(r"(?<![\w.:/])(?:/[^/\s'\"<>:]+)+/")
_LONGEST = 300  # characters of somebody else's error


def in_words(error: BaseException) -> str:
    """What an error of a library says, so that the same input gives the same text everywhere.

    Without addresses and folders of the machine, as characters that can be written down, cut where
    it quotes too much.
    """
    text = _PATH.sub("", _ADDRESS.sub("", str(error)))
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class MavError(Exception):
    """Base of every error that this package raises on purpose."""


class SetupError(MavError):
    """The set-up is wrong; the message names the setting, the rule, the value and the way out."""


class ConfigError(SetupError):
    """A configuration key or value is wrong."""


def lacks(what: str, extra: str) -> ConfigError:
    """The error of a setting that needs an extra which is not installed."""
    return ConfigError(f"{what} needs the extra {extra}: pip install '.[{extra}]' in the checkout")


class OutputError(SetupError):
    """The output location is foreign, mismatching or cannot keep our promises."""


class InputError(MavError):
    """An input file is wrong: becomes a row with a reason.

    Args:
        reason: short stable slug, e.g. ``frame_count``; stands in the row's ``reasons``.
        cause: what was found and what is wanted; holds no host path.
        role: role of the file at fault (``video``, ``manual``, ``auto``, ``frame``, ``mask``).
        stage: where it was found (``plan``, ``read``, ``decode``, ``masks``, ``matting``).
        status: ``failed``, or ``skipped`` where nothing is broken but a guard or a choice drops it.
    """

    def __init__(
        self, reason: str, cause: str, *, role: str, stage: str, status: ProblemStatus = "failed"
    ) -> None:
        super().__init__(reason, cause)
        self.reason, self.cause, self.role, self.stage, self.status = (
            reason,
            cause,
            role,
            stage,
            status,
        )

    def __str__(self) -> str:
        return f"{self.stage} of {self.role}: {self.cause}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling (Ray) by default.
        return _input_error, (self.reason, self.cause, self.role, self.stage, self.status)


def _input_error(
    reason: str, cause: str, role: str, stage: str, status: ProblemStatus
) -> InputError:
    return InputError(reason, cause, role=role, stage=stage, status=status)


class TransientError(MavError):
    """Something that passes by itself (throttling, a lost node, a full scratch disk)."""


class OutageError(TransientError):
    """The output has failed for ``runtime.outage_timeout_s``, or refuses; it holds whole files."""


class BackendError(MavError):
    """The matting backend failed on this clip in a way that a retry will not cure.

    Args:
        reason: short stable slug for the rows of its masklets.
        cause: what was seen.
    """

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(reason, cause)
        self.reason, self.cause = reason, cause

    def __str__(self) -> str:
        return f"matting: {self.cause}"


class ShardError(MavError):
    """A shard could not be built; nothing of it was published.

    Args:
        stage: where the error rose, one of ``schema.STAGES``.
        kind: class name of the error.
        cause: its message.
        may_pass: whether another attempt makes sense.
        outage: of the output: ``passed`` costs no attempt, ``lasts`` ends the build.
    """

    def __init__(
        self,
        stage: str,
        kind: str,
        cause: str,
        may_pass: bool,
        outage: Literal["none", "passed", "lasts"] = "none",
    ) -> None:
        super().__init__(stage, kind, cause, may_pass, outage)
        self.stage, self.kind, self.cause, self.may_pass = stage, kind, cause, may_pass
        self.outage = outage

    def __str__(self) -> str:
        return f"{self.stage}: {self.kind}: {self.cause}"


class TrainingError(MavError):
    """A training cannot go on; the message says what to change. Its last checkpoint stays."""


class Interrupted(MavError):
    """The run was asked to stop; whatever is not published is built by the next run."""


class ChangedError(MavError, OSError):
    """A file is not the version that was asked for."""


class WriteError(MavError, OSError):
    """A temporary file that cannot be written: its disk is full, or fails."""


class RefusedError(MavError, OSError):
    """A place that is not there, or takes these credentials for nobody's: no retry mends that."""


class PassingError(MavError, OSError):
    """A body that broke off, or a conditional write that met another: no client retries either."""


class DamageError(MavError):
    """Says why an archive is not whole."""


class VideoError(MavError, ValueError):
    """Says what is wrong with a video.

    Args:
        reason: slug of ``schema.reasons``.
        cause: what was found: no address, path or time, the same at each reading.
    """

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(reason, cause)
        self.reason, self.cause = reason, cause

    def __str__(self) -> str:
        return self.cause


class TruthError(MavError):
    """A frame of truth that cannot be compared.

    Args:
        kind: of problem, as ``evaluate.result.PROBLEMS`` has it.
        what: was found.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(kind, what)
        self.kind, self.what = kind, what
