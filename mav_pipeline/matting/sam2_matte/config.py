"""The keys of ``conf/matting/sam2_matte.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config import MattingConfig
from mav_pipeline.config.types import STRICT, UNHASHED, Text


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Sam2MatteConfig(MattingConfig):
    """See ``MattingConfig`` for the keys that all backends have.

    Attributes:
        model: folder or hub id of a SAM 2 video model; what lies there is hashed in its place.
        device, dtype: what the model runs on and in; ``auto`` asks the machine, once a set.
        trust_absence: whether alpha is 0 where masks say that the object is gone.
    """

    model: Annotated[Text | None, UNHASHED]
    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    trust_absence: bool

    @property
    def tracks(self) -> bool:
        return not self.trust_absence
