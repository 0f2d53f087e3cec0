"""The geometry of a report's bars and histograms; the template draws it. Pure.

Drawn here and not by a chart library: a report then needs no script for its charts, keeps a strict
Content-Security-Policy, and weighs kilobytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.report.bounds import Limit
from mav_pipeline.schema.scores import SCORE

PLOT_WIDTH, PLOT_HEIGHT = 320, 110  # of a histogram's plot, in SVG units
_BINS = 32
_ROOM = 1.15  # the axis goes on a little behind the outermost limit
_TAIL = 99.5  # percentile at which an axis ends where the largest value is _FAR times as large;
_FAR = 1.5  # the last bin then gathers what lies beyond
_ROUND = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)  # an axis ends at one of these, times 10^n
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))
_LEAST_END = 1e-3  # of an axis all of whose values are 0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: from ``start`` on ``percent`` of the chart's width; ``tone`` names its colour."""

    label: str
    text: str
    percent: float
    tone: str
    start: float = 0.0


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
    """Columns over an axis, and the same in words and numbers for those who do not see them.

    Attributes:
        limits: lines drawn through the plot.
        peak: what the highest column stands for.
        heads: of ``numbers``, which has a row for each column that is not empty.
    """

    title: str
    about: str
    boxes: tuple[Box, ...]
    limits: tuple[Mark, ...]
    ticks: tuple[Mark, ...]
    peak: str
    summary: str
    heads: tuple[str, ...]
    numbers: tuple[tuple[str, ...], ...]


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
    stack, start = [], 0
    for label, count in counts.items():
        share, before = (round(100 * part / whole, 2) for part in (count, start))
        stack.append(Bar(label, f"{count:,}", share, label, before))
        start += count
    return tuple(stack)


def histogram(
    score: str, values: Mapping[str, NDArray[np.float64]], limits: Sequence[Limit]
) -> Histogram | None:
    """The histogram of one score, stacked by status; None where no masklet has the score.

    Args:
        values: by status, NaN where the score is missing.
        limits: of this score.
    """
    known = {status: found[~np.isnan(found)] for status, found in values.items()}
    together = np.concatenate(list(known.values()))
    if not together.size:
        return None
    about = SCORE[score].meaning
    end = 1.0 if SCORE[score].axis == "whole" else _end(together, limits)
    edges = np.linspace(0, end, _BINS + 1)
    counts = {s: np.histogram(np.clip(v, 0, end), edges)[0] for s, v in known.items()}
    sums = np.sum(list(counts.values()), axis=0)
    beyond = together.max() > end
    last = f"{number(end)} and more" if beyond else number(end)
    names = [f"{number(low)} to {number(high)}" for low, high in itertools.pairwise(edges)]
    if beyond:
        names[-1] = f"{number(edges[-2])} and more"
    return Histogram(
        title=score,
        about=about[0].upper() + about[1:],
        boxes=tuple(_boxes(counts, sums.max())),
        limits=tuple(_mark(limit, end) for limit in limits),
        ticks=_ticks(number(0), number(end / 2), last),
        peak=f"up to {_masklets(int(sums.max()))} a bar",
        summary=_summary(together, limits),
        heads=(score, *counts),
        numbers=_numbers(names, counts),
    )


def rate(times_s: NDArray[np.float64], frames: NDArray[np.float64]) -> Histogram:
    """How fast frames were published, from the first time to the last, which differ.

    Args:
        times_s: when each shard was published, in any order.
        frames: that it holds; those of the first were made before its time, and are left out.
    """
    times = times_s - times_s.min()
    span = float(times.max())
    later = times > 0
    counts, edges = np.histogram(times[later], _BINS, (0, span), weights=frames[later])
    per_s = counts / (span / _BINS)
    names = [f"{_duration(low)} to {_duration(high)}" for low, high in itertools.pairwise(edges)]
    rates = [f"{value:,.1f}" for value in per_s]
    mean = float(frames[later].sum()) / span
    return Histogram(
        title="rate over time",
        about="Alpha frames per second, by the times of the receipts",
        boxes=tuple(_boxes({"plain": per_s}, per_s.max() or 1.0)),
        limits=(),
        ticks=_ticks("0", _duration(span / 2), _duration(span)),
        peak=f"up to {per_s.max():,.1f} a second",
        summary=f"{mean:,.1f} alpha frames per second, over {_duration(span)}",
        heads=("time", "alpha frames/s"),
        numbers=tuple(zip(names, rates, strict=True)),
    )


def _end(values: NDArray[np.float64], limits: Sequence[Limit]) -> float:
    """Where an axis ends: a round number behind all limits and the values, or most of them."""
    tail, largest = float(np.percentile(values, _TAIL)), float(values.max())
    shown = largest if largest <= _FAR * tail else tail
    end = max(shown, *(limit.value * _ROOM for limit in limits), _LEAST_END)
    power = 10.0 ** np.floor(np.log10(end))
    return float(next(step for step in _ROUND if step * power >= end * (1 - 1e-9)) * power)


def _boxes(heights: Mapping[str, NDArray[Any]], peak: float) -> list[Box]:
    width = PLOT_WIDTH / _BINS
    boxes, base = [], np.zeros(_BINS)
    for tone, values in heights.items():
        for place, value in enumerate(values):
            if value:
                height = max(
                    PLOT_HEIGHT * float(value) / float(peak), 1.0
                )  # one in a million shows
                top = max(PLOT_HEIGHT - float(base[place]) - height, 0.0)
                x = round(place * width + 0.5, 1)
                boxes.append(Box(x, round(top, 1), round(width - 1, 1), round(height, 1), tone))
                base[place] += height
    return boxes


def _numbers(
    names: Sequence[str], counts: Mapping[str, NDArray[np.intp]]
) -> tuple[tuple[str, ...], ...]:
    table = zip(names, *counts.values(), strict=True)
    return tuple((name, *(f"{c:,}" for c in row)) for name, *row in table if any(row))


def _ticks(first: str, middle: str, last: str) -> tuple[Mark, ...]:
    return (
        Mark(0, first, "start"),
        Mark(PLOT_WIDTH / 2, middle, "middle"),
        Mark(PLOT_WIDTH, last, "end"),
    )


def _mark(limit: Limit, end: float) -> Mark:
    x = PLOT_WIDTH * min(1.0, limit.value / end)
    text = f"{'max' if limit.upper else 'min'} {number(limit.value)}"
    # A lower limit's text to the left and an upper one's to the right, so that they never meet.
    if limit.upper:
        return Mark(round(x, 1), text, "end" if x > 0.75 * PLOT_WIDTH else "start")
    return Mark(round(x, 1), text, "start" if x < 0.25 * PLOT_WIDTH else "end")


def _summary(values: NDArray[np.float64], limits: Sequence[Limit]) -> str:
    low, middle, high = (number(float(v)) for v in np.percentile(values, (0, 50, 100)))
    text = f"{_masklets(values.size)}: lowest {low}, median {middle}, highest {high}"
    for limit in limits:
        beyond = values > limit.value if limit.upper else values < limit.value
        text += f"; {np.count_nonzero(beyond):,} beyond {limit.key}={number(limit.value)}"
    return text


def _masklets(count: int) -> str:
    return f"{count:,} masklet{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    unit, name = next(u for u in _UNITS if seconds >= u[0] or u[0] == 1)
    return f"{number(seconds / unit)} {name}"
