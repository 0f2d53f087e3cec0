"""What a set holds, and what is accepted into it."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval
from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import STRICT, UNHASHED, Share, Text, require
from mav_pipeline.schema.scores import SCORE

Rgb = Literal["source", "jpeg", "none"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OutputConfig:
    """What a sample holds and where the set goes."""

    root: Annotated[Text | None, UNHASHED]
    clips_per_shard: Annotated[int, Interval(ge=1, le=10_000)]
    rgb: Rgb
    alpha: Literal["ffv1", "png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The largest or smallest value that a score may have.

    Attributes:
        key: of the ``quality`` group that holds the limit, ``max_...`` or ``min_...``.
        score: that is looked at.
        reason: why a matte beyond it is rejected, as it stands in the row.
    """

    key: str
    score: str
    reason: str

    @property
    def upper(self) -> bool:
        return self.key.startswith("max_")

    def stops(self, value: float, limit: float) -> bool:
        """Whether a value is beyond the limit."""
        return value > limit if self.upper else value < limit


BOUNDS = (
    Bound(key="max_outside_mass", score="outside_mass", reason="outside_mass"),
    Bound(key="max_core_loss", score="core_loss", reason="core_loss"),
    Bound(key="min_area_ratio", score="area_ratio", reason="area_ratio_low"),
    Bound(key="max_area_ratio", score="area_ratio", reason="area_ratio_high"),
    Bound(key="max_flicker", score="flicker", reason="flicker"),
    Bound(key="min_quality", score="quality", reason="quality"),
)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class QualityConfig:
    """Scores and the bounds of the gate; null switches one off. Grounds: ``conf/config.yaml``."""

    enabled: bool
    scores: Literal["full", "basic"]
    keep_rejected: bool
    max_failed_fraction: Annotated[Share, UNHASHED]
    max_outside_mass: float | None
    max_core_loss: float | None
    min_area_ratio: float | None
    max_area_ratio: float | None
    max_flicker: float | None
    min_quality: Share | None

    def __post_init__(self) -> None:
        if self.scores == "basic":
            for bound in BOUNDS:
                limit = getattr(self, bound.key)
                ok = limit is None or SCORE[bound.score].basic
                require(ok, f"quality.{bound.key}", "null with quality.scores=basic", limit)
