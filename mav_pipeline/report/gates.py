"""The gates a set was built with, as ``run.json`` records them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality import GATES

_TINY = 1e-6  # the step that scores are rounded to; a gate at 0 is measured in it


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
    return tuple(
        Gate(gate.score, f"quality.{gate.key}", float(limit), gate.upper)
        for gate in GATES
        if (limit := quality.get(gate.key)) is not None
    )
