"""Which frames of a masklet go through a temporal model together, and in what pieces. Pure.

masklet -> spans of visible frames -> windows (through the model) and chunks (out of it)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.matting.videomama.windows import fade_weights, window_borders, window_starts
from mav_pipeline.media.masks import visible_spans
from mav_pipeline.schema import Masklet, Seams


@dataclass(frozen=True, slots=True)
class Span:
    """Frames [first, last) of a masklet, matted together; small gaps are bridged."""

    masklet: Masklet
    first: int
    last: int

    @property
    def key(self) -> tuple[str, int]:
        """Unique in a clip."""
        return self.masklet.name, self.first

    @property
    def frames(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Window:
    """``frames`` frames from ``start`` within a span; ``row`` numbers the span's windows."""

    span: Span
    row: int
    start: int
    frames: int

    @property
    def stop(self) -> int:
        return self.start + self.frames


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames [first, last) of the clip that are decoded together, with context on both sides."""

    span: Span
    first: int
    last: int
    context_first: int
    context_last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanPlan:
    """How spans are cut.

    Attributes:
        window, overlap: frames a window, and shared with the next; gaps of up to ``overlap``
            invisible frames are bridged, for a break would cost the model its context.
        chunk, context: frames a chunk, and of context on each side of it.
    """

    window: int
    overlap: int
    chunk: int
    context: int

    def spans(self, masklet: Masklet) -> list[Span]:
        """The spans of a masklet, in order."""
        found = visible_spans(masklet.visible, join=self.overlap)
        return [Span(masklet, first, last) for first, last in found]

    def windows(self, span: Span) -> list[Window]:
        """A span's windows; one that is shorter than ``window`` runs short, without padding."""
        length = min(self.window, span.frames)
        return [Window(span, row, start, length) for row, start in enumerate(self._starts(span))]

    def weights(self, span: Span) -> NDArray[np.float64]:
        """(windows, frames) shares of each window in each of the span's frames."""
        return fade_weights(self._starts(span), self.window, span.frames)

    def chunks(self, span: Span) -> list[Chunk]:
        """A span's chunks; they start anew with each span."""
        return [
            Chunk(
                span,
                first,
                min(first + self.chunk, span.last),
                max(span.first, first - self.context),
                min(span.last, first + self.chunk + self.context),
            )
            for first in range(span.first, span.last, self.chunk)
        ]

    def seams(self, masklet: Masklet) -> Seams:
        """Where windows and chunks of a masklet meet."""
        windows: list[int] = []
        chunks: list[int] = []
        count = 0
        for span in self.spans(masklet):
            starts = self._starts(span)
            count += len(starts)
            windows += [span.first + at for at in window_borders(starts, self.window)]
            chunks += [chunk.first for chunk in self.chunks(span)[1:]]
        return Seams(tuple(windows), tuple(chunks), count)

    def _starts(self, span: Span) -> list[int]:
        return window_starts(span.frames, self.window, self.overlap)
