"""What may become of a clip and of a masklet: every status, with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

ClipStatus = Literal["published", "failed", "skipped"]
MaskletStatus = Literal["accepted", "rejected", "skipped", "failed"]
#: Of what is not matted: something is wrong with it, or a guard or a choice leaves it out.
ProblemStatus = Literal["failed", "skipped"]

CLIP_STATUSES: tuple[str, ...] = get_args(ClipStatus)
MASKLET_STATUSES: tuple[str, ...] = get_args(MaskletStatus)
#: Those that the gates give; a masklet of another status has no scores and no alpha.
JUDGED: tuple[str, ...] = ("accepted", "rejected")

MEANINGS: Mapping[str, str] = {
    "published": "processed, with or without a sample",
    "accepted": "passed every gate: its alpha is stored",
    "rejected": "stopped by a gate: its alpha is stored with quality.keep_rejected=true only",
    "skipped": "nothing is broken, but a guard or a choice leaves it out",
    "failed": "its input is wrong, or it cannot be matted",
}


def stored(keep_rejected: bool) -> tuple[str, ...]:
    """The statuses whose alpha a set holds."""
    return JUDGED if keep_rejected else JUDGED[:1]
