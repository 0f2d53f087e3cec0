"""What a backend that looks at frames one by one mattes at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mav_pipeline.media.masks import visible_spans
from mav_pipeline.schema import Masklet, Rle

BLOCK = 8  # frames at a time, of all masklets: memory stays flat however long the clip is


@dataclass(frozen=True, slots=True)
class Block:
    """Frames [start, stop) of a masklet, on all of which it is visible."""

    masklet: Masklet
    start: int
    stop: int

    @property
    def rles(self) -> list[Rle]:
        """Its masks, one a frame."""
        return [rle for rle in self.masklet.rles[self.start : self.stop] if rle is not None]


def blocks(masklets: Sequence[Masklet], first: int, last: int) -> Iterator[Block]:
    """The runs of visible frames that each masklet has among frames [first, last)."""
    for masklet in masklets:
        visible = [rle is not None for rle in masklet.rles[first:last]]
        for start, stop in visible_spans(visible):
            yield Block(masklet, first + start, first + stop)
