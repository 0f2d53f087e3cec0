"""The gates a set was built with, as ``run.json`` records them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-6  # the step that scores are rounded to; a gate at 0 is measured in it

_KEYS = (
    ("outside_mass", "max_outside_mass"),
    ("core_loss", "max_core_loss"),
    ("area_ratio", "min_area_ratio"),
    ("area_ratio", "max_area_ratio"),
    ("flicker", "max_flicker"),
    ("quality", "min_quality"),
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a score: the largest value it may have where ``upper``, else the smallest."""

    score: str
    key: str
    limit: float
    upper: bool

    def strain(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far each value has gone towards the gate: 1 at the gate, above 1 beyond it."""
        if self.upper:
            return values / max(self.limit, _TINY)
        return self.limit / np.maximum(values, _TINY)


def gates_of(quality: Mapping[str, Any]) -> tuple[Gate, ...]:
    """The gates that the ``quality`` group of a configuration sets."""
    limits = ((score, key, quality.get(key)) for score, key in _KEYS)
    return tuple(
        Gate(score, f"quality.{key}", float(limit), key.startswith("max_"))
        for score, key, limit in limits
        if limit is not None
    )
