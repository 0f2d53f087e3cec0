"""A source: SA-V's layout, by another name and with a key of its own."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import STRICT
from mav_pipeline.sources.kind import SourceKind
from mav_pipeline.sources.sav_train import SavTrain, SavTrainConfig


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TheirClipsConfig(SavTrainConfig):
    """``flavour`` is looked at by nobody."""

    flavour: str


KIND = SourceKind(
    name="their_clips",
    about="SA-V's layout by another name",
    config=TheirClipsConfig,
    open=SavTrain,
    licence="https://example.org/licence",
    credit="The clips are theirs.",
    cites=("Them: Their Clips",),
    tags=("theirs",),
    conf="theirs.conf",
)
