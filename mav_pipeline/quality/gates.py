"""Judges a matte by its scores. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mav_pipeline.config import BOUNDS, QualityConfig
from mav_pipeline.schema import Verdict


def judge(scores: Mapping[str, float | None], config: QualityConfig) -> Verdict:
    """Accepts or rejects a matte; a score that is None is within its bounds."""
    reasons = tuple(
        bound.reason
        for bound in BOUNDS
        if (value := scores.get(bound.score)) is not None
        and (limit := config.limit(bound)) is not None
        and bound.stops(value, limit)
    )
    rejected = bool(reasons) and config.enabled
    return Verdict("rejected" if rejected else "accepted", reasons if rejected else (), scores)
