"""The mask itself as alpha, at source resolution: the floor that every matte must beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mav_pipeline.media.masks import decode_rle, visible_spans
from mav_pipeline.media.sizing import source_size
from mav_pipeline.schema import Clip, Masklet, Matte, Seams

BLOCK = 8  # frames a Matte: memory stays flat however long the clip is


class BinaryBackend:
    """Alpha is 255 on the mask and 0 elsewhere; never looks at ``clip.frames``."""

    name = "binary"
    multiple = 1

    def identity(self) -> dict[str, Any]:
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def matte(self, clip: Clip, masklets: Sequence[Masklet]) -> Iterator[Matte]:
        """Yields blocks of at most ``BLOCK`` visible frames, (t, clip.height, clip.width)."""
        size = source_size(clip.height, clip.width)
        for masklet in masklets:
            for first, last in visible_spans(masklet.visible):
                for start in range(first, last, BLOCK):
                    rles = masklet.rles[start : min(start + BLOCK, last)]
                    alpha = np.zeros((len(rles), clip.height, clip.width), np.uint8)
                    for row, rle in zip(alpha, rles, strict=True):
                        assert rle is not None  # spans hold visible frames only
                        row[decode_rle(rle)] = 255
                    yield Matte(masklet, start, alpha, size)

    def seams(self, masklet: Masklet) -> Seams:
        return Seams()

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Nothing to free."""
