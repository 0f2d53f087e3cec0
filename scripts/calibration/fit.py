"""Fits the weights of the quality's terms. Pure.

    loss = sum over mattes of |log estimate - log error|, robustly

A loss that also counted pairs of one masklet in the wrong order was tried: on sources and damages
left out it ordered pairs no better, and all mattes worse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from mav_pipeline.quality.rule import TERMS

from .cases import Row
from .damages import FIT, JUDGE
from .judge import Floats, estimated, terms_of
from .sources import Source

FLOOR = 0.003  # an error of half an 8-bit level over the object: below it logarithms fit noise
FAITHFUL = 2  # times what coarse masks weigh: most masks are
#: Weights that are given, from below. Points lie near the object, on every third frame; what is
#: elsewhere, or between, is seen by these alone, and mattes that fail there are too few here to be
#: felt by a fit. A frame without alpha is wrong by all of its own, and so is alpha far outside.
LEAST = {
    "outside_mass above 0.1": 1.0,
    "visibility below 1": 1.0,
    "area_jitter above 0.06": 0.25,
    "speckle above 0.08": 0.5,
}
_DIGITS = 4


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """Non-negative weights. Sources weigh alike, and in each faithful masks twice what others do.

    A term that is 0 on all rows weighs nothing.
    """
    terms = terms_of(rows)
    aim = np.log(np.array([row.error for row in rows]) + FLOOR)
    share = shares([(row.source, row.mask == "faithful") for row in rows])
    mean = terms.mean(axis=0)
    unit = np.where(mean > 0, mean, 1)
    scaled = terms / unit

    def loss(parts: Floats) -> tuple[float, Floats]:
        estimate = scaled @ parts + FLOOR
        gap = np.log(estimate) - aim
        root = np.sqrt(1 + gap * gap)
        return float(share @ (root - 1)), (share * gap / root / estimate) @ scaled

    start = np.where(mean > 0, float(np.exp(aim).mean()) / len(TERMS), 0)
    least = np.array([LEAST.get(term.name, 0) for term in TERMS]) * unit
    bounds = [(low, None) for low in least]
    found = minimize(loss, np.maximum(start, least), jac=True, method="L-BFGS-B", bounds=bounds)
    weights = found.x / unit
    return {t.name: round(float(w), _DIGITS) for t, w in zip(TERMS, weights, strict=True)}


def fitted_rows(
    rows: Sequence[Row], known: Mapping[str, Source], without: str | None = None
) -> list[Row]:
    """What is fitted to: rendered sources but one, and the damages kept for that."""
    return [row for row in rows if is_fitted(row, known, without)]


def is_fitted(row: Row, known: Mapping[str, Source], without: str | None = None) -> bool:
    """Whether network and weights may see a row."""
    seen = known[row.source].fitted and row.source != without
    return seen and (row.plain or row.damage in FIT)


def left_out(
    scored: Mapping[str | None, Sequence[Row]], known: Mapping[str, Source]
) -> tuple[list[Row], Floats]:
    """Mattes that are undamaged or damaged in ways no fit has seen, and their estimated errors.

    Those of each source come from a network and weights that were fitted to the other sources.

    Args:
        scored: all rows as the network says that has not seen a source, by that source; None for
            the one as shipped, which has seen no source that is judged alone.
    """
    judged, estimates = [], []
    for name, source in known.items():
        rows = scored[name if source.fitted else None]
        here = [r for r in rows if r.source == name and (r.plain or r.damage in JUDGE)]
        judged += here
        estimates.append(estimated(here, fit(fitted_rows(rows, known, without=name))))
    return judged, np.concatenate(estimates)


def shares(kinds: Sequence[tuple[str, bool]]) -> Floats:
    """What each row weighs, so that all sources weigh the same; their sum is 1."""
    counts = Counter(kinds)
    found = np.array([(FAITHFUL if kind[1] else 1) / counts[kind] for kind in kinds])
    return np.asarray(found / found.sum())
