"""The groups of single commands; they never change a byte of a shard."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Interval
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import (
    STRICT,
    Count,
    Natural,
    Positive,
    Share,
    Text,
    Texts,
    listed,
    require,
)

Side = Annotated[int, Ge(64)]
#: What an object of the sample is made of.
SampleKind = Literal["soft", "blurred", "hairy", "sheer", "mesh", "leaves", "hairs", "lace"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class VerifyConfig:
    """``deep`` also decodes every sample; ``clean`` removes what is stray."""

    deep: bool
    clean: bool


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SampleConfig:
    """The synthetic corpus: ``frames`` are video frames at 24 fps, every 4th one annotated.

    Attributes:
        kinds: of objects; slot s (the largest is 0) of clip c is made of kind c + s, counted round.
    """

    root: Text | None
    clips: Count
    frames: Count
    width: Side
    height: Side
    seed: int
    kinds: Annotated[tuple[SampleKind, ...], BeforeValidator(listed)]

    def __post_init__(self) -> None:
        require(bool(self.kinds), "sample.kinds", "a list of at least one kind", [])
        for key in ("width", "height"):
            value = getattr(self, key)
            require(value % 2 == 0, f"sample.{key}", "even (the video is yuv420p)", value)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PlanConfig:
    """``mav plan``: what its estimates rest on.

    Attributes:
        probe_clips: clips whose annotations are read.
        frames_per_s: the rate of one worker to assume; null takes a measured one.
        measure: clips that are matted here, for the rate; 0 takes it from receipts, if any.
    """

    probe_clips: Count
    frames_per_s: Positive | None
    measure: Natural


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ReportConfig:
    """``mav report``, and the last step of a build.

    Attributes:
        enabled: whether a build writes a report; ``mav report`` always does.
        masklets: that are pictured, with ``frames`` of each.
        gate: to report by; null means as built.
    """

    enabled: bool
    masklets: Annotated[int, Interval(ge=0, le=200)]  # a masklet is about 0.1 MB of the page
    frames: Annotated[int, Interval(ge=1, le=12)]
    gate: Text | None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class EvaluateConfig:
    """``mav evaluate``: where the truth lies, and how its files are named."""

    root: Text | None
    layout: str


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RegateConfig:
    """``mav regate``: the ``name`` of the gate that it writes."""

    name: Text | None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ExportConfig:
    """``mav export``: where to, in which layout, and what.

    Attributes:
        format: the layout, as ``export.layouts`` has it.
        encoding: of its files, where it has several; null means its first.
        trim: leave out frames where the object is not seen, in layouts to train with.
        val_share: of the clips that the list ``val`` names, where the layout has one.
        include: clip ids or globs; empty means all.
        gate: name of the gate whose accepted masklets are exported; null means as built.
        limit: the first N clips; null means all.
    """

    root: Text | None
    format: str
    encoding: str | None
    trim: bool
    val_share: Share
    include: Texts
    gate: Text | None
    limit: Count | None
