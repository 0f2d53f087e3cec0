"""What lies under a source root and is not taken: counted by reason, the first few by name.

A row speaks of a clip; what is here never became one. ``PASSED_OVER`` is the table of reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

#: Names kept of each reason: enough to see what is meant, however many there are.
NAMED = 10


@dataclass(frozen=True, slots=True)
class PassReason:
    """Why something is not taken: a slug, what it means, and the way out."""

    slug: str
    meaning: str
    way_out: str


PASSED_OVER = (
    PassReason("unknown", "the layout has no such file", "none, unless it is misnamed"),
    PassReason(
        "other_video", "a video, and the layout has none of that ending", "rewrap it, or footage"
    ),
    PassReason("other_image", "an image that is neither JPEG nor PNG", "convert it"),
    PassReason("not_asked", "an annotation of another kind", "source.masklets"),
    PassReason("alpha", "mattes, which no source reads as masks", "none"),
    PassReason("other_layout", "frames or masks of another layout", "the source that reads it"),
    PassReason("twice", "a later file in its tar, or one spelt better, has its name", "none"),
    PassReason("hidden", "a part of its path begins with a dot", "rename it"),
    PassReason("packed", "an archive that cannot be read in place", "unpack it to a plain tar"),
    PassReason("dangling", "a link to what is not there", "mend the link"),
    PassReason("listed", "a link to a folder that is listed under its own name", "none"),
    PassReason("special", "a device, a pipe, or a sparse member of a tar", "copy its content"),
)

_SLUGS = frozenset(reason.slug for reason in PASSED_OVER)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """How many files were not taken, by reason; and the names of the first of each.

    Attributes:
        names: paths relative to ``source.root``, through the tar where they lie in one.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """``{"unknown": {"count": 2, "names": ["LICENSE", "notes.txt"]}, ...}``."""
        return {
            reason: {"count": count, "names": list(self.names[reason])}
            for reason, count in self.counts.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError where ``data`` is not what ``to_json`` gives."""
        counts = {reason: int(entry["count"]) for reason, entry in data.items()}
        return cls(_ordered(counts), {r: tuple(entry["names"]) for r, entry in data.items()})

    def __str__(self) -> str:
        """``2 unknown (LICENSE, notes.txt), 11 hidden (.a, ...)``."""
        shown = []
        for reason, count in self.counts.items():
            names = ", ".join(self.names[reason])
            shown.append(f"{count} {reason} ({names}{', ...' * (count > len(self.names[reason]))})")
        return ", ".join(shown)


class PassingOver:
    """Counts what a source passes over, while it lists."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """One file or folder, for a reason of ``PASSED_OVER``."""
        assert reason in _SLUGS, f"{reason!r} is in no table"
        self._counts[reason] += 1
        names = self._names.setdefault(reason, [])
        if len(names) < NAMED:
            names.append(name)

    def result(self) -> PassedOver:
        """What came together, the most frequent reason first."""
        names = {slug: tuple(self._names[slug]) for slug in self._names}
        return PassedOver(_ordered(self._counts), names)


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
