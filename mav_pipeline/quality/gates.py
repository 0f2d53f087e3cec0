"""Judges a matte by its scores. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mav_pipeline.config import QualityConfig
from mav_pipeline.schema import Verdict


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a score.

    Attributes:
        reason: why a matte beyond it is rejected, as it stands in the row.
        key: of the ``quality`` group that sets the limit: the largest or the smallest value.
    """

    score: str
    reason: str
    key: str

    @property
    def upper(self) -> bool:
        return self.key.startswith("max_")

    def stops(self, value: float, limit: float) -> bool:
        return value > limit if self.upper else value < limit


GATES = (
    Gate("outside_mass", "outside_mass", "max_outside_mass"),
    Gate("core_loss", "core_loss", "max_core_loss"),
    Gate("area_ratio", "area_ratio_low", "min_area_ratio"),
    Gate("area_ratio", "area_ratio_high", "max_area_ratio"),
    Gate("flicker", "flicker", "max_flicker"),
    Gate("quality", "quality", "min_quality"),
)


def judge(scores: Mapping[str, float | None], config: QualityConfig) -> Verdict:
    """Accepts or rejects a matte; a score that is None passes its gate."""
    reasons = tuple(
        gate.reason
        for gate in GATES
        if (value := scores.get(gate.score)) is not None
        and (limit := getattr(config, gate.key)) is not None
        and gate.stops(value, limit)
    )
    rejected = bool(reasons) and config.enabled
    return Verdict("rejected" if rejected else "accepted", reasons if rejected else (), scores)
