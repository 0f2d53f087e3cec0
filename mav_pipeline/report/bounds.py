"""The bounds that a set was judged by, as ``run.json`` or a gate records them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.config import BOUNDS

_TINY = 1e-6  # the step that scores are rounded to; a limit of 0 is measured in it


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest value that a score may have where ``upper``, else the smallest."""

    score: str
    key: str
    value: float
    upper: bool

    def strain(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far each value has gone towards the limit: 1 at it, above 1 beyond it."""
        if self.upper:
            return values / max(self.value, _TINY)
        return self.value / np.maximum(values, _TINY)


def limits_of(quality: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The limits that the ``quality`` group of a configuration sets."""
    return tuple(
        Limit(bound.score, f"quality.{bound.key}", float(limit), bound.upper)
        for bound in BOUNDS
        if (limit := quality.get(bound.key)) is not None
    )
