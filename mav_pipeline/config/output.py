"""What a set holds, and what is accepted into it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from annotated_types import Interval
from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import STRICT, UNHASHED, Share, Text, require
from mav_pipeline.schema.scores import SCORE, SCORER_REVISION

Rgb = Literal["source", "jpeg", "none"]
Gate = Share | Literal["auto"] | None
AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OutputConfig:
    """What a sample holds and where the set goes."""

    root: Annotated[Text | None, UNHASHED]
    clips_per_shard: Annotated[int, Interval(ge=1, le=10_000)]
    rgb: Rgb
    alpha: Literal["ffv1", "png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A limit that rests on measured scores: ``revision`` is that of the scorer that made them."""

    limit: float
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The largest or smallest value that a score may have.

    Attributes:
        key: of the ``quality`` group that holds the limit, ``max_...`` or ``min_...``.
        score: that is looked at.
        reason: why a matte beyond it is rejected, as it stands in the row.
        fitted: what ``auto`` means; None where no limit is good enough for one.
    """

    key: str
    score: str
    reason: str
    fitted: Fitted | None = None

    @property
    def upper(self) -> bool:
        return self.key.startswith("max_")

    def automatic(self, scores: str, revision: int) -> float | None:
        """What ``auto`` comes to; None, no gate, where its limit does not hold.

        Args:
            scores: ``quality.scores`` of the set.
            revision: of the scorer that made its scores.
        """
        there = scores == "full" or SCORE[self.score].basic
        fitted = self.fitted
        return fitted.limit if fitted and there and fitted.revision == revision else None

    def stops(self, value: float, limit: float) -> bool:
        """Whether a value is beyond the limit."""
        return value > limit if self.upper else value < limit


BOUNDS = (
    Bound(key="max_outside_mass", score="outside_mass", reason="outside_mass"),
    Bound(key="max_core_loss", score="core_loss", reason="core_loss"),
    Bound(key="min_area_ratio", score="area_ratio", reason="area_ratio_low"),
    Bound(key="max_area_ratio", score="area_ratio", reason="area_ratio_high"),
    Bound(key="max_flicker", score="flicker", reason="flicker"),
    # Grounds: docs/lost_frames.md. A tenth leaves room for a mistake.
    Bound(
        key="max_lost_share",
        score="lost_share",
        reason="lost_frames",
        fitted=Fitted(limit=0.1, revision=2),
    ),
    Bound(key="min_quality", score="quality", reason="quality"),
)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class QualityConfig:
    """Scores and the bounds of the gate; null switches one off. Grounds: ``conf/config.yaml``.

    ``auto`` is the limit that was fitted to the scores of this version: it is off where a set has
    not these scores. What it came to is recorded in its place.
    """

    enabled: bool
    scores: Literal["full", "basic"]
    keep_rejected: bool
    max_failed_fraction: Annotated[Share, UNHASHED]
    max_outside_mass: float | None
    max_core_loss: float | None
    min_area_ratio: float | None
    max_area_ratio: float | None
    max_flicker: float | None
    max_lost_share: Gate
    min_quality: Gate

    def __post_init__(self) -> None:
        if self.scores == "basic":
            for bound in BOUNDS:
                limit = getattr(self, bound.key)
                ok = limit in (None, AUTO) or SCORE[bound.score].basic
                require(ok, f"quality.{bound.key}", "null with quality.scores=basic", limit)

    def limit(self, bound: Bound, revision: int = SCORER_REVISION) -> float | None:
        """The limit of a gate; None where it is off.

        Args:
            revision: of the scorer whose scores are judged.
        """
        value: float | str | None = getattr(self, bound.key)
        if isinstance(value, str):
            return bound.automatic(self.scores, revision)
        return value

    def resolved(self, revision: int = SCORER_REVISION) -> QualityConfig:
        """The same with what ``auto`` comes to in its place."""
        limits: dict[str, Any] = {bound.key: self.limit(bound, revision) for bound in BOUNDS}
        return replace(self, **limits)
