"""The mask itself as alpha, at source resolution: the floor that every matte must beat."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from mav_pipeline.config import MattingConfig
from mav_pipeline.matting.blocks import BLOCK, blocks
from mav_pipeline.matting.kind import BackendKind
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.media.sizing import source_size
from mav_pipeline.schema import Clip, Frame, Masklet, Matte, Seams


class BinaryBackend:
    """Alpha is 255 on the mask and 0 elsewhere; does not look at the frames."""

    multiple = 1

    def identity(self) -> dict[str, str]:
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def settings(self) -> dict[str, str]:
        return {}

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte]:
        """Yields blocks of visible frames, (t, clip.height, clip.width)."""
        size = source_size(clip.height, clip.width)
        count = len(clip.frame_indices)
        for first in range(0, count, BLOCK):
            for _ in itertools.islice(frames, BLOCK):
                pass  # taken all the same, so that nobody holds them
            for block in blocks(masklets, first, min(first + BLOCK, count)):
                alpha = np.zeros((len(block.rles), clip.height, clip.width), np.uint8)
                for row, rle in zip(alpha, block.rles, strict=True):
                    row[decode_rle(rle)] = 255
                yield Matte(block.masklet, block.start, alpha, size)

    def seams(self, masklet: Masklet) -> Seams:
        return Seams()

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Nothing to free."""


KIND = BackendKind(
    name="binary",
    about="the mask itself, the floor to beat",
    config=MattingConfig,
    open=lambda config, endpoint_url: BinaryBackend(),
)
