"""Paints pictures of many colours with the statistics of photographs. Pure.

Forms of all sizes that hide each other, with edges between them (dead leaves: Lee, Mumford & Huang,
"Occlusion models for natural images", IJCV 2001), under light and grain whose amplitude falls with
frequency (1/f: Field, JOSA A 1987).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.synthetic.texture import Picture, fractal, hsv

FORMS = 900  # enough to leave little of the canvas, at any size of it


def natural(rng: np.random.Generator, height: int, width: int) -> Picture:
    """(height, width, 3) in [0, 1]."""
    palette = _palette(rng)
    side = min(height, width)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = _shade(rng, palette)
    # The number of forms falls with the cube of their size, as the model has it.
    least, most = max(2.0, side / 70), side / 3
    sizes = (least**-2 + rng.random(FORMS) * (most**-2 - least**-2)) ** -0.5
    sizes[: FORMS // 10] = rng.uniform(0.3, 1, FORMS // 10) * most
    heaps = rng.uniform((0, 0), (width, height), (12, 2))  # the small lie in heaps
    for number, size in enumerate(sizes):
        at = rng.uniform((0, 0), (width, height))
        if number >= FORMS // 10:
            at = heaps[rng.integers(len(heaps))] + rng.normal(0, side / 6, 2)
        _form(rng, canvas, at, float(size), _shade(rng, palette))
    picture = _crooked(rng, canvas, side / 60).astype(np.float32) / 255
    light = 1 + rng.uniform(0.1, 0.2) * fractal(rng, height, width, 1.5)
    light += rng.uniform(0.03, 0.12) * fractal(rng, height, width, 0.8)  # of its surfaces
    tint = 0.04 * cv2.resize(_planes(rng, height // 4, width // 4), (width, height))
    return np.asarray(np.clip(picture * light[..., None] + tint, 0.01, 0.99), dtype=np.float32)


def _planes(rng: np.random.Generator, height: int, width: int) -> Picture:
    return np.dstack([fractal(rng, max(height, 2), max(width, 2), 1.2) for _ in range(3)])


def _crooked(
    rng: np.random.Generator, canvas: NDArray[np.uint8], reach: float
) -> NDArray[np.uint8]:
    """No edge of nature is straight."""
    height, width = canvas.shape[:2]
    x, y = (reach * fractal(rng, height, width, 1.7) for _ in range(2))
    x += np.arange(width, dtype=np.float32)
    y += np.arange(height, dtype=np.float32)[:, None]
    bent = cv2.remap(canvas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(bent, dtype=np.uint8)


def _palette(rng: np.random.Generator) -> NDArray[np.float32]:
    """(5, 3): two hues and what lies around them, dull and vivid, dark and light."""
    hues = rng.random(2)[rng.integers(0, 2, 5)] + rng.normal(0, 0.04, 5)
    values = rng.permutation(np.linspace(0.2, 0.9, 5)) + rng.uniform(-0.1, 0.1, 5)
    dull = rng.uniform(0.3, 1)
    return np.stack(
        [hsv(h, dull * rng.uniform(0.1, 0.8), v) for h, v in zip(hues, values, strict=True)]
    )


def _shade(rng: np.random.Generator, palette: NDArray[np.float32]) -> tuple[float, ...]:
    colour = palette[rng.integers(len(palette))] * rng.uniform(0.7, 1.15)
    return tuple(np.clip(colour * 255, 0, 255).tolist())


def _form(
    rng: np.random.Generator,
    canvas: NDArray[np.uint8],
    middle: NDArray[np.float64],
    size: float,
    colour: tuple[float, ...],
) -> None:
    """An ellipse or a polygon."""
    if rng.random() < 0.5:
        angle = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 7))))
    else:
        angle = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    way = np.stack([np.cos(angle), rng.uniform(0.3, 1) * np.sin(angle)], axis=1) * size
    turn = rng.uniform(0, math.pi)
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    points = (middle + way @ rotation) * 16
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], colour, cv2.LINE_AA, 4)
