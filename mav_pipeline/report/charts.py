"""The geometry of a report's bars and histograms; the template draws it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.report.gates import Gate

PLOT_WIDTH, PLOT_HEIGHT = 320, 110  # of a histogram's plot, in SVG units
_BINS = 32
_ROOM = 1.15  # the axis goes on a little behind the outermost gate
_TAIL = 99.5  # percentile at which an axis ends where the largest value is _FAR times as large;
_FAR = 1.5  # the last bin then gathers what lies beyond
_ROUND = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)  # an axis ends at one of these, times 10^n
_LEAST_END = 1e-3  # of an axis all of whose values are 0

#: What a score says, in a line, and the natural end of its axis where it has one.
_ABOUT = {
    "outside_mass": ("Share of the alpha beyond the dilated mask: a matte that leaks", None),
    "core_loss": ("Mean 1 - alpha inside the eroded mask: a matte with holes", None),
    "area_ratio": ("Sum of alpha over the area of the mask", None),
    "mask_iou": ("Overlap of alpha >= 0.5 with the mask", 1.0),
    "softness": ("Share of the border zone that is neither opaque nor clear", 1.0),
    "flicker": ("Change from frame to frame that the mask does not make", None),
    "seam_ratio": ("Change at window borders over change at none", None),
    "chunk_seam_ratio": ("Change at decode-chunk borders over change at none", None),
    "visibility": ("Share of the masklet's frames on which the matte shows it", 1.0),
    "truncation": ("Share of the object's outline that the frame cuts off", None),
    "area_jitter": ("Jumps of alpha's area over the mask's, from frame to frame", None),
    "speckle": ("Share of alpha that a 3 x 3 median takes away: noise, loose strands", None),
    "band_width": ("Width of the soft edge / sqrt(object area)", None),
    "band_entropy": ("Bits of doubt a pixel of the border zone", 1.0),
    "edge_alignment": ("Agreement of alpha's edges with those of the picture", 1.0),
    "edge_gain": ("Steepness of the picture's edges over that of alpha's", None),
    "colour_over": ("Share of alpha on pixels coloured like the background", None),
    "colour_under": ("Alpha that pixels coloured like the object lack", None),
    "compositing": ("What a F + (1 - a) B leaves unexplained, over |F - B|", None),
    "motion_flicker": ("Change of alpha along the picture's motion", None),
    "sharpness": ("Fine over coarse detail of the picture at the border", None),
    "quality": ("Of all scores, by docs/quality.md: 1 is faultless", 1.0),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: ``percent`` of the chart's width; ``tone`` names its colour."""

    label: str
    text: str
    percent: float
    tone: str


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a histogram, in SVG units from the top left of the plot."""

    x: float
    y: float
    width: float
    height: float
    tone: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at ``x`` with a text beside it, or an axis label."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A score's distribution, its gates drawn in."""

    score: str
    about: str
    boxes: tuple[Box, ...]
    gates: tuple[Mark, ...]
    ticks: tuple[Mark, ...]
    peak: int
    summary: str


def number(value: float) -> str:
    """A score as text: three significant digits."""
    return f"{value:.3g}"


def bars(entries: Sequence[tuple[str, float, str, str]]) -> tuple[Bar, ...]:
    """Bars of (label, value, text, tone), each relative to the largest value."""
    largest = max((value for _, value, _, _ in entries), default=0) or 1
    return tuple(
        Bar(label, text, round(100 * value / largest, 2), tone)
        for label, value, text, tone in entries
    )


def parts(counts: Mapping[str, int]) -> tuple[Bar, ...]:
    """One stacked bar: the share of each count in their sum."""
    whole = sum(counts.values()) or 1
    return tuple(
        Bar(label, f"{count:,}", round(100 * count / whole, 2), label)
        for label, count in counts.items()
    )


def histogram(
    score: str, values: Mapping[str, NDArray[np.float64]], gates: Sequence[Gate]
) -> Histogram | None:
    """The histogram of one score, stacked by status; None where no masklet has the score.

    Args:
        values: by status, NaN where the score is missing.
        gates: of this score.
    """
    known = {status: found[~np.isnan(found)] for status, found in values.items()}
    together = np.concatenate(list(known.values()))
    if not together.size:
        return None
    about, end = _ABOUT[score]
    end = end or _end(together, gates)
    edges = np.linspace(0, end, _BINS + 1)
    counts = {s: np.histogram(np.clip(v, 0, end), edges)[0] for s, v in known.items()}
    peak = int(np.sum(list(counts.values()), axis=0).max())
    ticks = [
        Mark(round(PLOT_WIDTH * share, 1), number(end * share), anchor)
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    ]
    if together.max() > end:
        ticks[-1] = Mark(PLOT_WIDTH, f"{number(end)} and more", "end")
    return Histogram(
        score=score,
        about=about,
        boxes=tuple(_boxes(counts, peak)),
        gates=tuple(_mark(gate, end) for gate in gates),
        ticks=tuple(ticks),
        peak=peak,
        summary=_summary(together, gates),
    )


def _end(values: NDArray[np.float64], gates: Sequence[Gate]) -> float:
    """Where an axis ends: a round number behind all gates and the values, or most of them."""
    tail, largest = float(np.percentile(values, _TAIL)), float(values.max())
    shown = largest if largest <= _FAR * tail else tail
    end = max(shown, *(gate.limit * _ROOM for gate in gates), _LEAST_END)
    power = 10.0 ** np.floor(np.log10(end))
    return float(next(step for step in _ROUND if step * power >= end * (1 - 1e-9)) * power)


def _boxes(counts: Mapping[str, NDArray[np.intp]], peak: int) -> list[Box]:
    width = PLOT_WIDTH / _BINS
    boxes, base = [], np.zeros(_BINS)
    for tone, heights in counts.items():
        for place, count in enumerate(heights):
            if count:
                height = max(PLOT_HEIGHT * float(count) / peak, 1.0)  # one in a million shows
                top = PLOT_HEIGHT - float(base[place]) - height
                x = round(place * width + 0.5, 1)
                boxes.append(Box(x, round(top, 1), round(width - 1, 1), round(height, 1), tone))
                base[place] += height
    return boxes


def _mark(gate: Gate, end: float) -> Mark:
    x = PLOT_WIDTH * min(1.0, gate.limit / end)
    text = f"{'max' if gate.upper else 'min'} {number(gate.limit)}"
    # A lower gate's text to the left and an upper one's to the right, so that they never meet.
    if gate.upper:
        return Mark(round(x, 1), text, "end" if x > 0.75 * PLOT_WIDTH else "start")
    return Mark(round(x, 1), text, "start" if x < 0.25 * PLOT_WIDTH else "end")


def _summary(values: NDArray[np.float64], gates: Sequence[Gate]) -> str:
    low, middle, high = (number(float(v)) for v in np.percentile(values, (0, 50, 100)))
    text = f"{values.size:,} masklets: lowest {low}, median {middle}, highest {high}"
    for gate in gates:
        beyond = values > gate.limit if gate.upper else values < gate.limit
        text += f"; {np.count_nonzero(beyond):,} beyond {gate.key}={number(gate.limit)}"
    return text
