"""What sources that read mask images have in common: two keys."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config import SourceConfig
from mav_pipeline.config.types import STRICT, Count
from mav_pipeline.media.label_rule import LabelRule, Labels


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class MaskImagesConfig(SourceConfig):
    """Keys of a source whose masks are images; see ``SourceConfig`` for the rest.

    Attributes:
        labels: what mask images hold: ids, binary masks, or what ``media.label_rule`` finds.
        void: the value that is no object; ``auto`` is 255 where palettes hold ids, null is none.
    """

    labels: Labels
    void: Count | Literal["auto"] | None

    @property
    def rule(self) -> LabelRule:
        """By which mask images become objects."""
        return LabelRule(self.labels, self.void)
