"""What a quality is worth to who decides by it, on mattes whose error is known. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from mav_pipeline.quality.rule import TERMS, quality_of

from .cases import Row

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Two errors nearer than this share of the larger are a tie for whoever looks.
CLEAR = 0.1
#: Fewer mattes than this have no rank correlation worth a mean.
_FEW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of some mattes.

    Attributes:
        count: mattes.
        rank: Spearman of quality and -error, over all.
        within: the same among the mattes of one subject and mask, mean over those.
        over_mask, over_closed: share of subjects and masks on which the truth has the greater
            quality than the mask itself, than closed_form's matte; equal is half.
        which: share of subjects and masks on which quality says which of mask and closed_form is
            nearer to the truth; equal quality is half, equal errors are left out.
        clear: the same where the errors differ by a tenth or more.
        told: AUC of mattes that are wrong by more than ``limit``.
        perfect: median quality of the truth.
    """

    count: int
    rank: float
    within: float
    over_mask: float
    over_closed: float
    which: float
    clear: float
    told: float
    perfect: float


class Judged:
    """Rows with their estimated errors.

    Args:
        limit: of an error; mattes beyond it are bad.
    """

    def __init__(self, rows: Sequence[Row], estimate: Floats, limit: float) -> None:
        self.rows, self.estimate, self.limit = list(rows), estimate, limit
        self.error = np.array([row.error for row in rows])
        self.quality = np.array([quality_of(float(value)) for value in estimate])

    def of(self, chosen: Sequence[bool] | Bools) -> Judged:
        """Some of the rows."""
        at = np.flatnonzero(np.asarray(chosen))
        return Judged([self.rows[index] for index in at], self.estimate[at], self.limit)

    def where(self, **wanted: str) -> Judged:
        """The rows with these attributes: ``where(mask="faithful")``."""
        items = wanted.items()
        return self.of([all(getattr(row, k) == v for k, v in items) for row in self.rows])

    def names(self, attribute: str) -> list[str]:
        """What there is of an attribute, in the order of the rows."""
        return [*dict.fromkeys(str(getattr(row, attribute)) for row in self.rows)]

    @cached_property
    def result(self) -> Result:
        return Result(
            count=len(self.rows),
            rank=spearman(self.quality, self.error),
            within=self._within(),
            over_mask=_share(self._truth_over("mask")),
            over_closed=_share(self._truth_over("closed_form")),
            which=_share(self._which(0.0)),
            clear=_share(self._which(CLEAR)),
            told=auc(self.estimate, self.error > self.limit),
            perfect=median(self.quality[self.perfect]) if self.perfect.any() else float("nan"),
        )

    @cached_property
    def perfect(self) -> Bools:
        """(rows,) which are the truth itself."""
        return np.array([row.plain and row.base == "truth" for row in self.rows], np.bool_)

    def _within(self) -> float:
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            groups[row.group].append(index)
        found = [
            spearman(self.quality[at], self.error[at]) for at in groups.values() if len(at) >= _FEW
        ]
        return fmean(found) if found else float("nan")

    def plain(self, base: str) -> dict[tuple[str, str], int]:
        """Where the undamaged matte of each subject and mask stands."""
        rows = enumerate(self.rows)
        return {row.group: index for index, row in rows if row.plain and row.base == base}

    def _truth_over(self, rival: str) -> Iterator[float]:
        truths = self.plain("truth")
        for group, index in self.plain(rival).items():
            if group in truths and self.error[index] > 0:
                yield _greater(self.estimate[index], self.estimate[truths[group]])

    def _which(self, apart: float) -> Iterator[float]:
        closed = self.plain("closed_form")
        for group, one in self.plain("mask").items():
            other = closed.get(group)
            if other is None or self.error[one] == self.error[other]:
                continue
            worse, better = (one, other) if self.error[one] > self.error[other] else (other, one)
            if self.error[better] <= (1 - apart) * self.error[worse]:
                yield _greater(self.estimate[worse], self.estimate[better])

    def lost_and_found(self, least: float) -> tuple[float, float]:
        """Share of true mattes below a least quality, and of bad mattes."""
        below = self.quality < least
        return _mean(below[self.perfect]), _mean(below[self.error > self.limit])

    def bars(self, edges: Sequence[float]) -> Iterator[tuple[float, float, int, Floats]]:
        """Between each two qualities: their mattes, and quantiles .1, .5, .9 of the true error."""
        for low, high in itertools.pairwise(edges):
            inside = self.error[(self.quality >= low) & (self.quality < high)]
            if len(inside):
                yield low, high, len(inside), np.quantile(inside, (0.1, 0.5, 0.9))


def terms_of(rows: Sequence[Row]) -> Floats:
    """(rows, terms)."""
    return np.array([[term(row.scores) for term in TERMS] for row in rows])


def estimated(rows: Sequence[Row], weights: Mapping[str, float]) -> Floats:
    """(rows,) what the rule says the errors are."""
    return np.asarray(terms_of(rows) @ np.array([weights[term.name] for term in TERMS]))


def bad_limit(rows: Sequence[Row]) -> float:
    """Twice closed_form's median error with faithful masks, of the median source."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if (row.base, row.damage, row.mask) == ("closed_form", "none", "faithful"):
            found[row.source].append(row.error)
    return 2 * median(median(errors) for errors in found.values())


def spearman(values: Floats, errors: Floats) -> float:
    """Rank correlation of a quality with -error; nan where either is all the same."""
    if len(values) < 2 or np.ptp(values) == 0 or np.ptp(errors) == 0:
        return float("nan")
    return float(spearmanr(values, -errors).statistic)


def auc(badness: Floats, bad: Bools) -> float:
    """Chance that a bad one of a pair is found the worse; nan without pairs."""
    count = int(bad.sum())
    if not 0 < count < len(bad):
        return float("nan")
    ranks = float(rankdata(badness)[bad].sum())
    return (ranks - count * (count + 1) / 2) / (count * (len(bad) - count))


def _greater(one: float, other: float) -> float:
    return 0.5 if one == other else float(one > other)


def _share(found: Iterator[float]) -> float:
    values = [*found]
    return fmean(values) if values else float("nan")


def _mean(flags: Bools) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
