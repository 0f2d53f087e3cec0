"""Draws the plots of docs/quality.md with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Floats = NDArray[np.float64]
_SIZE, _EDGE = (640, 420), (70, 24, 16, 52)  # picture; left, top, right, bottom of the plot
_INK, _GRID = (40, 40, 40), (225, 225, 225)
_TONES = ((31, 119, 180), (214, 96, 39), (60, 150, 60))


class Plot:
    """Axes with points and steps; logarithmic along x."""

    def __init__(
        self, title: str, across: str, up: str, low: float, high: float, *, log: bool = True
    ) -> None:
        self._log, self._low, self._high = log, low, high
        self._image = Image.new("RGB", _SIZE, "white")
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(13)
        left, top, right, bottom = _EDGE
        self._box = (left, top, _SIZE[0] - right, _SIZE[1] - bottom)
        for value in (0, 0.25, 0.5, 0.75, 1):
            y = self._y(value)
            self._draw.line((self._box[0], y, self._box[2], y), fill=_GRID)
            self._text((left - 8, y), f"{value:g}", "rm")
        ticks = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0] if log else [0, 0.25, 0.5, 0.75, 1]
        for value in (tick for tick in ticks if low <= tick <= high):
            x = self._x(value)
            self._draw.line((x, self._box[1], x, self._box[3]), fill=_GRID)
            self._text((x, self._box[3] + 8), f"{value:g}", "mt")
        self._draw.rectangle(self._box, outline=_INK)
        self._text((left, 4), title, "lt")
        self._text(((self._box[0] + self._box[2]) / 2, _SIZE[1] - 20), across, "mt")
        self._text((4, 4), up, "lt")

    def points(self, x: Floats, y: Floats, tone: int, radius: int = 2) -> None:
        layer = Image.new("RGBA", _SIZE, (0, 0, 0, 0))
        pen = ImageDraw.Draw(layer)
        for one, other in zip(x, y, strict=True):
            cx, cy = self._x(one), self._y(other)
            box = (cx - radius, cy - radius, cx + radius, cy + radius)
            pen.ellipse(box, fill=(*_TONES[tone], 150))
        self._image.paste(layer, (0, 0), layer)

    def line(self, x: Sequence[float] | Floats, y: Sequence[float] | Floats, tone: int) -> None:
        at = [(self._x(one), self._y(other)) for one, other in zip(x, y, strict=True)]
        self._draw.line(at, fill=_TONES[tone], width=2)

    def legend(self, *names: str, low: bool) -> None:
        for number, name in enumerate(names):
            y = (self._box[3] - 68 if low else self._box[1] + 14) + 18 * number
            x = self._box[2] - 210
            self._draw.rectangle((x, y - 4, x + 8, y + 4), fill=_TONES[number])
            self._text((x + 14, y), name, "lm")

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._image.quantize(64).save(path, optimize=True)

    def _x(self, value: float) -> float:
        value = min(max(float(value), self._low), self._high)
        scale = np.log if self._log else float
        share = (scale(value) - scale(self._low)) / (scale(self._high) - scale(self._low))
        return float(self._box[0] + share * (self._box[2] - self._box[0]))

    def _y(self, value: float) -> float:
        return float(self._box[3] - value * (self._box[3] - self._box[1]))

    def _text(self, at: tuple[float, float], text: str, anchor: str) -> None:
        self._draw.text(at, text, fill=_INK, font=self._font, anchor=anchor)
