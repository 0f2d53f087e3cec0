"""A backend: the mask at a fraction of its opacity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from annotated_types import Interval
from pydantic.dataclasses import dataclass

from mav_pipeline.config import MattingConfig
from mav_pipeline.config.types import STRICT
from mav_pipeline.matting.blocks import BLOCK, blocks
from mav_pipeline.matting.kind import BackendKind
from mav_pipeline.media.masks import at_size, decode_rle
from mav_pipeline.schema import Clip, Frame, Masklet, Matte, MatteFailure, Seams
from mav_pipeline.schema.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TheirConfig(MattingConfig):
    """``opacity`` of the mask."""

    opacity: Annotated[float, Interval(ge=0, le=1)]


class TheirBackend:
    """Yields the masks of each block of frames, masklets interleaved; fails object 7."""

    multiple = 16

    def __init__(self, config: TheirConfig, endpoint_url: str | None = None) -> None:
        self._level = round(255 * config.opacity)

    def identity(self) -> dict[str, str]:
        return {"theirs": "ab" * 32}

    def setup(self) -> None: ...

    def settings(self) -> dict[str, str]:
        return {}

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte | MatteFailure]:
        size, count = clip.size, len(clip.frame_indices)
        for masklet in masklets:
            if masklet.id == 7:
                yield MatteFailure(masklet, "unlucky", "it has the number 7")
        wanted = [masklet for masklet in masklets if masklet.id != 7]
        for first in range(0, count, BLOCK):
            for block in blocks(wanted, first, min(first + BLOCK, count)):
                alpha = np.zeros((len(block.rles), size.pad_height, size.pad_width), np.uint8)
                for row, rle in zip(alpha, block.rles, strict=True):
                    row[at_size(decode_rle(rle), size)] = self._level
                yield Matte(block.masklet, block.start, alpha, size)

    def seams(self, masklet: Masklet) -> Seams:
        return Seams()

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None: ...


KIND = BackendKind(
    name="theirs",
    about="the mask at a fraction of its opacity",
    config=TheirConfig,
    open=TheirBackend,
    packages=("theirs",),
    licence="Their Licence",
    cites=("Them: Their Paper",),
    reasons=(Reason("unlucky", "backend", "its number is 7", "number it otherwise"),),
    conf="theirs.conf",
)
