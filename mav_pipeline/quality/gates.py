"""Judges a matte by its scores. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mav_pipeline.config import QualityConfig
from mav_pipeline.schema import Verdict


def judge(scores: Mapping[str, float | None], gates: QualityConfig) -> Verdict:
    """Accepts or rejects a matte; a score that is None passes its gate."""
    limits = (
        ("outside_mass", "outside_mass", None, gates.max_outside_mass),
        ("core_loss", "core_loss", None, gates.max_core_loss),
        ("area_ratio", "area_ratio_low", gates.min_area_ratio, None),
        ("area_ratio", "area_ratio_high", None, gates.max_area_ratio),
        ("flicker", "flicker", None, gates.max_flicker),
        ("quality", "quality", gates.min_quality, None),
    )
    reasons = tuple(
        reason
        for score, reason, low, high in limits
        if (value := scores.get(score)) is not None
        and ((low is not None and value < low) or (high is not None and value > high))
    )
    rejected = bool(reasons) and gates.enabled
    return Verdict("rejected" if rejected else "accepted", reasons if rejected else (), scores)
