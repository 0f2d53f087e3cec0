"""Looks for a least quality that may be switched on by default. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .judge import Judged

#: Of true mattes a gate may cost this share, on every source; of bad ones it finds this share.
COST, FOUND = 0.03, 0.5
_STEPS = 100  # a threshold is a hundredth: nobody reads more out of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A least quality, and what it does.

    Attributes:
        least: the greatest that costs no source more than ``COST`` of its true mattes.
        cost, found: share of true mattes below it, of bad mattes, over all.
    """

    least: float
    cost: float
    found: float

    @property
    def worth(self) -> bool:
        """Whether it may be the default."""
        return self.found >= FOUND


def best_gate(judged: Judged) -> Gate:
    """The strictest gate that every source can afford."""
    by_source = [judged.where(source=name) for name in judged.names("source")]
    least = min(_affordable(one) for one in by_source)
    cost, found = judged.lost_and_found(least)
    return Gate(least=least, cost=cost, found=found)


def _affordable(judged: Judged) -> float:
    truths = np.sort(judged.quality[judged.perfect])
    if not len(truths):
        return 1.0
    allowed = math.floor(COST * len(truths))
    return math.floor(float(truths[allowed]) * _STEPS) / _STEPS


def by_source(judged: Judged, least: float) -> Iterator[tuple[str, float, float]]:
    """Of each source: share of true mattes below a least quality, and of bad mattes."""
    for name in judged.names("source"):
        yield name, *judged.where(source=name).lost_and_found(least)
