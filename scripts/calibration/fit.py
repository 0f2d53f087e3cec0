"""Fits the weights of the quality's terms. Pure.

    loss = sum over mattes of |log estimate - log error|, robustly
         + sum over pairs of one subject and mask of how far they fall short of their order

The first makes an estimate an error, the second makes it decide between two mattes of one object.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from mav_pipeline.quality.rule import TERMS

from .cases import Row
from .damages import FIT, JUDGE
from .judge import Floats, estimated, terms_of
from .sources import Source

FLOOR = 0.003  # an error of half an 8-bit level over the object: below it logarithms fit noise
PAIRS = 40  # of each subject and mask, drawn
ORDER = 1.0  # what pairs weigh against levels
_APART = 0.5  # difference of logarithms beyond which a pair is told apart well enough
_SOFT = 0.2  # what it may fall short of that before it counts in proportion, not squared
_DIGITS = 4


def fit(rows: Sequence[Row], order: float = ORDER, floor: float = FLOOR) -> dict[str, float]:
    """Non-negative weights. Sources weigh alike, and in each faithful and coarse masks do."""
    terms = terms_of(rows)
    errors = np.array([row.error for row in rows])
    aim = np.log(errors + floor)
    share = _shares([(row.source, row.mask == "faithful") for row in rows])
    better, worse = _pairs(rows, errors, floor)
    pair_share = share[better] / share[better].sum()
    wanted = np.minimum(aim[worse] - aim[better], _APART)
    unit = terms.mean(axis=0) + 1e-9
    scaled = terms / unit

    def loss(parts: Floats) -> tuple[float, Floats]:
        estimate = scaled @ parts + floor
        level = np.log(estimate)
        gap = level - aim
        root = np.sqrt(1 + gap * gap)
        short = np.maximum(0, wanted - (level[worse] - level[better])) / _SOFT
        bent = np.sqrt(1 + short * short)
        value = share @ (root - 1) + order * pair_share @ (bent - 1)
        slope = share * gap / root
        pull = order * pair_share * short / bent / _SOFT
        np.add.at(slope, worse, -pull)
        np.add.at(slope, better, pull)
        return float(value), (slope / estimate) @ scaled

    start = np.full(len(TERMS), errors.mean() / len(TERMS))
    bounds = [(0, None)] * len(TERMS)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights = found.x / unit
    return {t.name: round(float(w), _DIGITS) for t, w in zip(TERMS, weights, strict=True)}


def fitted_rows(
    rows: Sequence[Row], known: Mapping[str, Source], without: str | None = None
) -> list[Row]:
    """What weights are fitted to: rendered sources but one, and the damages kept for that."""
    return [
        row
        for row in rows
        if known[row.source].fitted and row.source != without and (row.plain or row.damage in FIT)
    ]


def left_out(rows: Sequence[Row], known: Mapping[str, Source]) -> tuple[list[Row], Floats]:
    """Mattes that are undamaged or damaged in ways no fit has seen, and their estimated errors.

    Those of each source come from weights that were fitted to the other sources.
    """
    judged, estimates = [], []
    for name in known:
        here = [r for r in rows if r.source == name and (r.plain or r.damage in JUDGE)]
        judged += here
        estimates.append(estimated(here, fit(fitted_rows(rows, known, without=name))))
    return judged, np.concatenate(estimates)


def _shares(kinds: Sequence[tuple[str, bool]]) -> Floats:
    """What each row weighs, so that all kinds weigh the same; their sum is 1."""
    counts = Counter(kinds)
    return np.array([1 / counts[kind] for kind in kinds]) / len(counts)


def _pairs(rows: Sequence[Row], errors: Floats, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the better and the worse of pairs that are told apart by a look."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.group].append(index)
    rng = np.random.default_rng(0)
    found = []
    for at in groups.values():
        plain = [index for index in at if rows[index].plain]
        both = [(a, b) for a in plain for b in plain]
        both += [(a, b) for a, b in rng.choice(at, (PAIRS, 2)).tolist()]
        # What differs by a tenth, or by a half of what cannot be seen, has an order.
        found += [(a, b) for a, b in both if errors[b] > 1.1 * errors[a] + floor / 2]
    better, worse = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return better, worse
