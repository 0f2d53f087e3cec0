"""Fits the weights of the quality's terms, and measures how well the quality tells. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import rankdata, spearmanr

from mav_pipeline.quality.rule import TERMS

from .cases import Row

Floats = NDArray[np.float64]

_FLOOR = 0.004  # an error of an 8-bit level or so: below it logarithms would fit noise
_DIGITS = 4


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """Non-negative weights that make the logarithms of estimate and error agree.

    Faithful and poor masks count alike; a robust loss keeps single mattes from deciding.
    """
    terms = np.array([[term(row.scores) for term in TERMS] for row in rows])
    errors = np.array([row.error for row in rows])
    faithful = np.array([row.mask == "faithful" for row in rows])
    share = np.where(faithful, 1 / max(1, faithful.sum()), 1 / max(1, (~faithful).sum()))
    weigh = np.sqrt(share / share.mean())
    unit = terms.mean(axis=0) + 1e-9
    scaled, aim = terms / unit, np.log(errors + _FLOOR)

    def residual(logs: Floats) -> Floats:
        found: Floats = weigh * (np.log(scaled @ np.exp(logs) + _FLOOR) - aim)
        return found

    def slope(logs: Floats) -> Floats:
        parts = np.exp(logs)
        found: Floats = weigh[:, None] * scaled * parts / (scaled @ parts + _FLOOR)[:, None]
        return found

    start = np.full(len(TERMS), np.log(errors.mean() / len(TERMS)))
    found = least_squares(residual, start, jac=slope, loss="soft_l1", max_nfev=300)
    weights = np.exp(found.x) / unit
    return {t.name: round(float(w), _DIGITS) for t, w in zip(TERMS, weights, strict=True)}


def spearman(values: Floats, errors: Floats) -> float:
    """Rank correlation of a quality with -error."""
    return float(spearmanr(values, -errors).statistic)


def auc(badness: Floats, bad: NDArray[np.bool_]) -> float:
    """Chance that a bad one of a pair is found the worse; nan without pairs."""
    count = int(bad.sum())
    if not 0 < count < len(bad):
        return float("nan")
    ranks = float(rankdata(badness)[bad].sum())
    return (ranks - count * (count + 1) / 2) / (count * (len(bad) - count))
