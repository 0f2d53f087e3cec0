"""Masklets that a table of errors leaves out, and why: so that none gets better by selection. Pure.

A set that rejects its worst mattes has a better mean; how many it rejected stands beside the mean.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mav_pipeline.schema.reasons import REASONS

_NOTES = {reason.slug for reason in REASONS if reason.fault == "note"}
#: Of truth whose masklet the set has no row of.
NOT_IN_THE_SET = "not in the set"


@dataclass(frozen=True, slots=True, order=True)
class Unseen:
    """Masklets that were not compared for one reason.

    Attributes:
        status: of their rows, or ``NOT_IN_THE_SET``.
        reason: why they are not stored, as their rows say (several joined by ``+``), or the kind
            of problem that a stored one has.
        masklets: how many; a clip that failed or was skipped as a whole counts as those that have
            truth, and as one where none has.
        with_truth: those of them that have truth, and so are missing in the means.
    """

    status: str
    reason: str
    masklets: int
    with_truth: int


def gather(
    rows: Iterable[Mapping[str, Any]],
    *,
    compared: Collection[tuple[str, str]],
    stored: Mapping[tuple[str, str], str],
    truths: Callable[[str, str | None], int],
    left: int,
) -> list[Unseen]:
    """Counts what was not compared.

    Args:
        rows: ``key``, ``masklet``, ``status`` and ``reasons`` of every row of the set.
        compared: (key, masklet) of those in the means.
        stored: by (key, masklet) of what the shards hold the kind of problem, "" where none is.
        truths: how many objects with truth a masklet of a clip may be; None asks for the clip's.
        left: objects with truth whose clip or masklet no row names.
    """
    counts, known = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in rows:
        item = (row["key"], row["masklet"])
        if item in compared:
            continue
        reasons = "+".join(reason for reason in row["reasons"] if reason not in _NOTES)
        found = row["status"], stored.get(item) or reasons
        there = truths(*item)
        counts[found] += max(1, there) if row["masklet"] is None else 1
        known[found] += there if row["masklet"] is None else min(1, there)
    if left:
        counts[NOT_IN_THE_SET, ""] = known[NOT_IN_THE_SET, ""] = left
    return [Unseen(*found, counts[found], known[found]) for found in sorted(counts)]


def lines(unseen: Sequence[Unseen]) -> list[str]:
    """For the console and the picture: a line a status."""
    found = []
    for status in dict.fromkeys(item.status for item in unseen):
        items = [item for item in unseen if item.status == status]
        total, known = (sum(getattr(i, key) for i in items) for key in ("masklets", "with_truth"))
        why = ", ".join(f"{item.reason} {item.masklets}" for item in items if item.reason)
        found.append(
            f"not seen: {total} {status}, {known} of them with truth{f' ({why})' if why else ''}"
        )
    return found


def as_csv(unseen: Sequence[Unseen]) -> bytes:
    """A row a reason."""
    text = io.StringIO()
    names = ("status", "reason", "masklets", "with_truth")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, unseen))
    return text.getvalue().encode()
