"""What every backend has; each adds keys of its own."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import STRICT, Count, Natural, require
from mav_pipeline.media.sizing import SizeRule


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class MattingConfig:
    """Which backend makes the mattes, and on what pixels.

    Attributes:
        name: of the backend, as ``matting.registry`` has it.
        window, overlap: frames a window, and how many it shares with the next (temporal backends).
        seed: of the noise (diffusion backends); stands in each row.
        threads: CPU threads a worker computes with; part of the fingerprint, as it moves floats.
        size, max_pixels, width, height: see ``SizeRule``.
    """

    name: str
    window: Count
    overlap: Natural
    seed: int
    threads: Count
    size: Literal["fit", "native", "stretch"]
    max_pixels: Count
    width: Count
    height: Count

    def __post_init__(self) -> None:
        ok = self.overlap < self.window
        require(ok, "matting.overlap", "at least 0 and below matting.window", self.overlap)

    @property
    def tracks(self) -> bool:
        """Whether alpha is made from an object's first mask to the clip's end, masks or none."""
        return False

    def size_rule(self, multiple: int) -> SizeRule:
        """The rule for a backend whose sides are multiples of ``multiple``."""
        return SizeRule(
            mode=self.size,
            max_pixels=self.max_pixels,
            width=self.width,
            height=self.height,
            multiple=multiple,
        )
