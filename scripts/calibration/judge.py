"""What a fitted quality is worth on mattes that the fit has not seen. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.rule import HALF, TERMS

from .cases import Row
from .fit import auc, spearman

#: Scores that may be named as the one that catches a damage, and which end of theirs is bad.
_ENDS = {
    **{(term.score, term.sign): None for term in TERMS},
    ("flicker", 1): None,
    ("band_width", 1): None,
    ("band_width", -1): None,
    ("band_entropy", 1): None,
    ("band_entropy", -1): None,
    ("seam_ratio", 1): None,
}


@dataclass(frozen=True, slots=True)
class Result:
    """How well quality tells, on some mattes.

    Attributes:
        rank: Spearman of quality and -error.
        told: AUC, bad = more than twice closed_form's error on that masklet, all masklets in one.
        ceiling: the same AUC of the true error itself: what no absolute quality can pass, since
            an error that is bad on an easy masklet is good on a hard one.
        fixed: AUC, bad = more than twice closed_form's median error: one limit for all masklets.
        within: mean over masklets of the AUC among the mattes of one masklet; its ceiling is 1.
    """

    count: int
    rank: float
    told: float
    ceiling: float
    fixed: float
    within: float


class Judged:
    """Rows with their qualities."""

    def __init__(self, rows: Sequence[Row], weights: Mapping[str, float]) -> None:
        self.rows = list(rows)
        terms = np.array([[term(row.scores) for term in TERMS] for row in rows])
        self.estimate = terms @ np.array([weights[term.name] for term in TERMS])
        self.quality = 1 / (1 + self.estimate / HALF)
        self.error = np.array([row.error for row in rows])
        self.bad = np.array([row.error > row.limit for row in rows])
        plain = ("closed_form", "none", "faithful")
        own = [row.error for row in rows if (row.base, row.damage, row.mask) == plain]
        self.limit = 2 * median(own) if own else float("nan")

    def where(self, chosen: Sequence[bool] | NDArray[np.bool_]) -> Result:
        """The result on some of the rows."""
        at = np.flatnonzero(np.asarray(chosen))
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index in at:
            row = self.rows[index]
            groups[row.clip, row.masklet, row.mask].append(int(index))
        inside = [auc(self.estimate[group], self.bad[group]) for group in groups.values()]
        return Result(
            count=len(at),
            rank=spearman(self.quality[at], self.error[at]),
            told=auc(self.estimate[at], self.bad[at]),
            ceiling=auc(self.error[at], self.bad[at]),
            fixed=auc(self.estimate[at], self.error[at] > self.limit),
            within=float(np.nanmean(inside)),
        )

    def masks(self) -> Iterator[tuple[str, Result]]:
        """One result for faithful masks, one for all poor ones, one for each kind of those."""
        kinds = np.array([row.mask for row in self.rows])
        yield "faithful", self.where(kinds == "faithful")
        if (kinds != "faithful").any():
            coarse = kinds != "faithful"
            if "32 px" in kinds:
                yield "all coarse but 32 px", self.where(coarse & (kinds != "32 px"))
            yield "all coarse", self.where(coarse)
        for kind in sorted({*kinds} - {"faithful"}):
            yield kind, self.where(kinds == kind)

    def strata(self) -> Iterator[tuple[str, Result]]:
        """One result for each group of each stratum."""
        for stratum in self.rows[0].groups:
            groups = np.array([row.groups[stratum] for row in self.rows])
            for group in sorted({*groups}):
                yield f"{stratum}: {group}", self.where(groups == group)

    def damages(self) -> Iterator[tuple[str, float, float, float, float, str, float]]:
        """Of each damage and strength: median error, in closed_form's too, median quality, the AUC
        of quality against undamaged mattes, and the score that tells best, with its AUC."""
        rows = [(i, r) for i, r in enumerate(self.rows) if r.mask == "faithful"]
        clean = [i for i, r in rows if r.damage == "none" and r.base in ("truth", "closed_form")]
        found: dict[tuple[str, float], list[int]] = defaultdict(list)
        for index, row in rows:
            if row.damage != "none":
                found[row.damage, row.strength].append(index)
        for (damage, strength), at in sorted(found.items()):
            both = [*clean, *at]
            spoilt = np.arange(len(both)) >= len(clean)
            best, score = max(
                (auc(self._column(both, name, sign), spoilt), name) for name, sign in _ENDS
            )
            yield (
                f"{damage} {strength:g}",
                median(self.error[at]),
                median(2 * self.rows[i].error / self.rows[i].limit for i in at),
                median(self.quality[at]),
                auc(self.estimate[both], spoilt),
                score,
                best,
            )

    def bases(self) -> Iterator[tuple[str, str, float, float]]:
        """Undamaged mattes: base, kind of mask, median error and quality."""
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            if row.damage == "none":
                kind = "faithful" if row.mask == "faithful" else "coarse"
                found[row.base, kind].append(index)
        for (base, kind), at in sorted(found.items()):
            yield base, kind, median(self.error[at]), median(self.quality[at])

    def thresholds(self) -> Iterator[tuple[float, float, float, float]]:
        """Of a least quality: share of good and of bad mattes below it, mean error above it."""
        for least in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
            below = self.quality < least
            yield (
                least,
                fmean(below[~self.bad]),
                fmean(below[self.bad]),
                fmean(self.error[~below]) if not below.all() else float("nan"),
            )

    def _column(self, at: Sequence[int], score: str, sign: int) -> NDArray[np.float64]:
        values = [self.rows[index].scores[score] for index in at]
        known = [value for value in values if value is not None]
        middle = median(known) if known else 0.0
        return sign * np.array([middle if value is None else value for value in values])
