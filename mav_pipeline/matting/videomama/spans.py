"""Which frames of a masklet go through a temporal model together, and in what pieces. Pure.

    masklet -> spans of visible frames -> windows (through the model) and chunks (out of it)

Frames are counted from the start of the clip throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.matting.videomama.windows import weights_of, window_borders, window_starts
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


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Frames [first, last) of a span that go through the model together.

    Attributes:
        settled: the first frame that a later window of the span has, or the span's end: what lies
            before it is final once this window is done.
        weights: (last - first,) this window's share in each of its frames.
    """

    span: Span
    first: int
    last: int
    settled: int
    weights: NDArray[np.float64]

    @property
    def frames(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames [first, last) of a span that are decoded together, with context on both sides."""

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

    def windows(self, span: Span) -> Iterator[Window]:
        """A span's windows; one that is shorter than ``window`` runs short, without padding."""
        length = min(self.window, span.frames)
        starts = self._starts(span)
        for row, start in enumerate(starts):
            first = span.first + start
            settled = span.first + starts[row + 1] if row + 1 < len(starts) else span.last
            yield Window(span, first, first + length, settled, weights_of(row, starts, length))

    def rounds(self, spans: Iterable[Span]) -> Iterator[tuple[int, list[Window]]]:
        """The windows of all spans by the time at which they begin, ``window`` frames a round.

        Yields (first frame of the round, its windows): no window of this round or a later one has
        a frame before it. The longest come first, so that those of equal length are neighbours.
        """
        windows = merge(*map(self.windows, spans), key=lambda window: window.first)
        for number, begun in groupby(windows, key=lambda window: window.first // self.window):
            yield number * self.window, sorted(begun, key=lambda window: -window.frames)

    def chunks(self, span: Span) -> Iterator[Chunk]:
        """A span's chunks; they start anew with each span."""
        for first in range(span.first, span.last, self.chunk):
            last = min(first + self.chunk, span.last)
            before = max(span.first, first - self.context)
            yield Chunk(span, first, last, before, min(span.last, last + self.context))

    def seams(self, masklet: Masklet) -> Seams:
        """Where windows and chunks of a masklet meet."""
        windows: list[int] = []
        chunks: list[int] = []
        count = 0
        for span in self.spans(masklet):
            starts = self._starts(span)
            count += len(starts)
            windows += [span.first + at for at in window_borders(starts, self.window)]
            chunks += range(span.first + self.chunk, span.last, self.chunk)
        return Seams(tuple(windows), tuple(chunks), count)

    def _starts(self, span: Span) -> list[int]:
        return window_starts(span.frames, self.window, self.overlap)


def covered(spans: Iterable[Span]) -> list[tuple[int, int]]:
    """The runs [first, last) of frames that some span has, in order."""
    runs: list[tuple[int, int]] = []
    for first, last in sorted((span.first, span.last) for span in spans):
        if runs and first <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    return runs
