"""The picture of an evaluation: a dot a masklet and the mean, for each metric and stratum.

Drawn with Pillow, which is here anyway; the same evaluation gives the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mav_pipeline.evaluate.metrics import METRICS
from mav_pipeline.evaluate.result import TITLES, Evaluation, MaskletMetrics

_SCALE = 2  # drawn larger and reduced, which smooths the edges of dots
_LABELS, _PANEL, _GAP, _ROW, _TOP, _MARGIN = 250, 150, 66, 24, 92, 24  # pixels of the picture
_WIDTH = _LABELS + len(METRICS) * (_PANEL + _GAP) + _MARGIN
_DOT, _SPREAD = 2.6, 6.0  # a dot's radius, and how far dots stray from their row's middle
_MOST = 400  # dots of a row: beyond, an even choice of them; means are of all
_TAIL = 98  # percentile at which an axis ends; what lies beyond is drawn at its end
_PAPER, _INK, _FAINT, _RULE = (255, 255, 255), (34, 38, 46), (118, 124, 134), (226, 229, 234)
_DOTS, _MEAN = (47, 111, 181), (200, 68, 40)
_OPACITY, _CROWD = (30, 120), 4000  # of a dot: less the more there are, so that crowds show

_Row = tuple[str, Sequence[MaskletMetrics]]


def draw(evaluation: Evaluation) -> bytes:
    """A PNG."""
    rows: list[_Row | str] = [("all masklets", evaluation.masklets)]
    for stratum, groups in evaluation.strata().items():
        rows += [stratum, *groups.items()] if groups else []
    height = _TOP + len(rows) * _ROW + 2 * _MARGIN
    image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), _PAPER)
    canvas = _Canvas(image)
    frames = sum(masklet.metrics.frames for masklet in evaluation.masklets)
    canvas.text(_MARGIN, 18, "Mattes against the truth", size=17)
    about = f"{len(evaluation.masklets):,} masklets, {frames:,} frames; a dot is a masklet, "
    about += "at the right edge one beyond it; the line and the number are the mean; less is better"
    canvas.text(_MARGIN, 42, about)
    values = {metric: _values(evaluation.masklets, metric) for metric in METRICS}
    ends = {metric: _end(found) for metric, found in values.items()}
    for column, metric in enumerate(METRICS):
        left = _LABELS + column * (_PANEL + _GAP)
        canvas.text(left, _TOP - 22, TITLES[metric], size=13)
        for share in (0.0, 0.5, 1.0):
            x = left + share * _PANEL
            canvas.line(x, _TOP, x, height - 2 * _MARGIN, _RULE)
            canvas.text(x, height - 2 * _MARGIN + 6, f"{share * ends[metric]:.3g}", anchor="ma")
    for place, row in enumerate(rows):
        middle = _TOP + (place + 0.5) * _ROW
        if isinstance(row, str):
            canvas.text(_MARGIN, middle + 3, row, anchor="lm")
            continue
        label, masklets = row
        canvas.text(_MARGIN + 12, middle, label, colour=_INK, anchor="lm")
        canvas.text(_LABELS - 24, middle, f"{len(masklets):,}", anchor="rm")
        for column, metric in enumerate(METRICS):
            left = _LABELS + column * (_PANEL + _GAP)
            canvas.row(left, middle, _values(masklets, metric), ends[metric])
    reduced = image.resize((_WIDTH, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    reduced.save(buffer, "PNG")
    return buffer.getvalue()


def _values(masklets: Sequence[MaskletMetrics], metric: str) -> list[float]:
    means = (masklet.metrics.means()[metric] for masklet in masklets)
    return [value for value in means if value is not None]


def _end(values: Sequence[float]) -> float:
    """Where an axis ends: a round number, above 0 even where no matte errs."""
    most = float(np.percentile(values, _TAIL)) if values else 0.0
    if most == 0:
        return 1.0
    half = 10.0 ** math.floor(math.log10(most)) / 2
    return math.ceil(most / half) * half


class _Canvas:
    """Draws in pixels of the final picture."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image, "RGBA")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 12,
        colour: tuple[int, ...] | None = None,
        anchor: str = "la",
    ) -> None:
        font = ImageFont.load_default(size * _SCALE)
        colour = colour or (_INK if size > 12 else _FAINT)
        self._draw.text((x * _SCALE, y * _SCALE), text, fill=colour, font=font, anchor=anchor)

    def line(
        self, x: float, y: float, to_x: float, to_y: float, colour: tuple[int, ...], width: int = 1
    ) -> None:
        ends = [(x * _SCALE, y * _SCALE), (to_x * _SCALE, to_y * _SCALE)]
        self._draw.line(ends, fill=colour, width=width * _SCALE)

    def row(self, left: float, middle: float, values: Sequence[float], end: float) -> None:
        """The dots of one metric of one row, and their mean."""
        shown = values[:: -(-len(values) // _MOST) or 1]
        opacity = int(np.clip(_CROWD / max(1, len(shown)), *_OPACITY))
        for number, value in enumerate(shown):
            # The golden ratio's multiples stray evenly, however many there are.
            stray = ((number * 0.6180339887 + 0.5) % 1 - 0.5) * 2 * _SPREAD
            x = (left + min(1.0, value / end) * _PANEL) * _SCALE
            y, radius = (middle + stray) * _SCALE, _DOT * _SCALE
            box = (x - radius, y - radius, x + radius, y + radius)
            self._draw.ellipse(box, fill=(*_DOTS, opacity))
        if values:
            mean = float(np.mean(values))
            x = left + min(1.0, mean / end) * _PANEL
            self.line(x, middle - 9, x, middle + 9, _MEAN, width=2)
            self.text(left + _PANEL + 10, middle, f"{mean:.3g}", colour=_MEAN, anchor="lm")
