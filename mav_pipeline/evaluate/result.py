"""What an evaluation found: each masklet, all of them, their strata, and the problems. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mav_pipeline.evaluate.metrics import METRICS, MetricSums
from mav_pipeline.evaluate.strata import GROUPS
from mav_pipeline.evaluate.unseen import Unseen, lines

#: What can be wrong. Masklets of the first two kinds are in the means with what they have; those
#: of the others are not, nor those all of whose frames are missing.
PROBLEMS = {
    "frames_missing": "truth lacks frames; the others count",
    "empty_alpha": "stored alpha is 0 throughout; it counts",
    "no_truth": "stored, but there is no truth for it",
    "not_stored": "has truth, but is not in the set",
    "empty_truth": "truth is 0 throughout, so that any empty matte would shine",
    "truth_ambiguous": "several files or folders may be its truth",
    "truth_size": "truth is of another size",
    "truth_depth": "truth is not 8-bit gray",
    "truth_unreadable": "truth cannot be read",
    "alpha_unreadable": "stored alpha cannot be read; `mav verify` says more",
}
_DIGITS = 6  # of what is printed and written; what is summed is not rounded
_NAMED = 3  # masklets that the table names of each kind of problem; the json names all


@dataclass(frozen=True, slots=True)
class MaskletMetrics:
    """One masklet that was compared.

    Attributes:
        missing_frames: of the set's, that have no truth.
        truth_frames: that the truth has, be they in the set or not.
        truth_area, truth_motion: see ``strata.Shape``.
        truth_mass: sum of the truth's alpha over all compared frames.
        groups: the group of each stratum that it is in.
    """

    video_id: str
    masklet: str
    width: int
    height: int
    missing_frames: int
    truth_frames: int
    truth_area: float
    truth_motion: float | None
    truth_mass: float
    groups: Mapping[str, str]
    metrics: MetricSums

    @property
    def error(self) -> float:
        """Sum |alpha - truth| / sum truth: free of the object's size; ``quality`` estimates it."""
        return self.metrics.sums["mad"] / 1e3 * self.width * self.height / self.truth_mass

    def row(self) -> dict[str, Any]:
        """A row of ``metrics.csv``, and an entry of the json."""
        return {
            "video_id": self.video_id,
            "masklet": self.masklet,
            "width": self.width,
            "height": self.height,
            "frames": self.metrics.frames,
            "missing_frames": self.missing_frames,
            "truth_frames": self.truth_frames,
            "truth_area": round(self.truth_area, 1),
            "truth_motion": _rounded(self.truth_motion),
            **self.groups,
            "error": _rounded(self.error),
            **{metric: _rounded(value) for metric, value in self.metrics.means().items()},
        }


_COLUMNS = (
    *("video_id", "masklet", "width", "height", "frames", "missing_frames"),
    *("truth_frames", "truth_area", "truth_motion", *GROUPS, "error", *METRICS),
)


@dataclass(slots=True)
class Evaluation:
    """What ``mav evaluate`` found.

    Attributes:
        masklets: that were compared.
        problems: by kind of ``PROBLEMS``: what is wrong, by ``video_id/masklet``, or by the
            truth's own folder and object where the set has no such masklet.
        with_truth: masklets that have truth, be they in the set or not.
        stored: masklets that the shards hold.
        unseen: how many masklets were not compared, by status and reason.
    """

    with_truth: int = 0
    stored: int = 0
    unseen: list[Unseen] = field(default_factory=list)
    masklets: list[MaskletMetrics] = field(default_factory=list)
    problems: dict[str, dict[str, str]] = field(default_factory=lambda: {k: {} for k in PROBLEMS})

    def strata(self) -> dict[str, dict[str, Sequence[MaskletMetrics]]]:
        """By stratum and group the masklets in it; no group is empty."""
        return {stratum: self._grouped(stratum, names) for stratum, names in GROUPS.items()}

    def _grouped(
        self, stratum: str, names: Iterable[str] | None
    ) -> dict[str, Sequence[MaskletMetrics]]:
        names = names or sorted({item.groups[stratum] for item in self.masklets})
        found = {name: [m for m in self.masklets if m.groups[stratum] == name] for name in names}
        return {name: members for name, members in found.items() if members}

    @property
    def coverage(self) -> Mapping[str, int]:
        """How many masklets have truth, are stored, were compared, and were not though they do."""
        return {
            "with_truth": self.with_truth,
            "stored": self.stored,
            "compared": len(self.masklets),
            "not_compared": self.with_truth - len(self.masklets),
        }

    def to_json(self) -> dict[str, Any]:
        """``coverage``, ``unseen``, ``overall``, ``masklets``, ``strata`` and ``problems``."""
        return {
            "coverage": dict(self.coverage),
            "unseen": [asdict(item) for item in self.unseen],
            "overall": summary(self.masklets),
            "masklets": [masklet.row() for masklet in self.masklets],
            "strata": {
                stratum: {name: summary(members) for name, members in groups.items()}
                for stratum, groups in self.strata().items()
            },
            "problems": {
                kind: {"count": len(found), "masklets": found}
                for kind, found in self.problems.items()
            },
        }

    def csv(self) -> bytes:
        """A row a masklet."""
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(masklet.row() for masklet in self.masklets)
        return text.getvalue().encode()

    def table(self) -> list[str]:
        """Lines for the console."""
        shown = [_line("", "masklets", "frames", (metric.title for metric in METRICS.values()))]
        overall = summary(self.masklets)
        shown.append(_values("overall", overall, overall))
        shown.append(_values("by frame", overall, overall["frame_weighted"]))
        for stratum, groups in self.strata().items():
            for name, members in groups.items():
                found = summary(members)
                shown.append(_values(f"{stratum}: {name}", found, found))
        shown.append(
            f"compared {len(self.masklets)} of {self.with_truth} masklets that have truth, "
            f"{self.coverage['not_compared']} not; the set stores {self.stored}"
        )
        shown += lines(self.unseen)
        for kind, found in self.problems.items():
            if found:
                named = ", ".join([*found][:_NAMED]) + (" ..." if len(found) > _NAMED else "")
                shown.append(f"{len(found)} {kind} ({PROBLEMS[kind]}): {named}")
        return shown


def summary(masklets: Sequence[MaskletMetrics]) -> dict[str, Any]:
    """Means over masklets; under ``frame_weighted`` over all of their frames, or pairs of them.

    None where there was nothing to measure.
    """
    means: dict[str, float | None] = {}
    weighted: dict[str, float | None] = {}
    for metric in METRICS:
        measured = [m.metrics for m in masklets if m.metrics.counts[metric]]
        counts = sum(m.counts[metric] for m in measured)
        own = sum(m.sums[metric] / m.counts[metric] for m in measured)
        means[metric] = _rounded(own / len(measured)) if measured else None
        weighted[metric] = (
            _rounded(sum(m.sums[metric] for m in measured) / counts) if counts else None
        )
    frames = sum(m.metrics.frames for m in masklets)
    error = sum(m.error for m in masklets) / len(masklets) if masklets else None
    return {
        "error": _rounded(error),
        **means,
        "masklets": len(masklets),
        "frames": frames,
        "frame_weighted": weighted,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _values(label: str, counts: Mapping[str, Any], means: Mapping[str, float | None]) -> str:
    shown = ("-" if (v := means[metric]) is None else f"{v:.3f}" for metric in METRICS)
    return _line(label, counts["masklets"], counts["frames"], shown)


def _line(label: str, masklets: object, frames: object, values: Iterable[str]) -> str:
    cells = zip(values, METRICS.values(), strict=True)
    shown = (f"{value:>{max(9, len(metric.title) + 2)}}" for value, metric in cells)
    return f"{label:<26}{masklets:>9}{frames:>8}{''.join(shown)}"
