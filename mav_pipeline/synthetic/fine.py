"""Fine structure: wire mesh, leaves, single hairs, lace, of parts from 1 to 3 pixels wide. Pure.

Each painter takes a body of about ``radius`` in the middle of a square sprite, (S, S) coverage, and
``unit`` of the clip; widths are pixels of the sprite.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.synthetic.canvas import Canvas, Points, Shape
from mav_pipeline.synthetic.texture import Plane, blur

SHARP = 0.4  # blur of a lens in focus, as a standard deviation in pixels


def mesh(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """Two sets of wires over a rim: square, slanted or bent, with a highlight along each wire."""
    size = len(body)
    canvas = Canvas(size)
    width = float(rng.uniform(1.2, 3.0))
    pitch = max(min(float(rng.uniform(8, 26)) * unit, 0.3 * radius), 3.5 * width)
    angle = rng.uniform(0, math.pi)
    slant = rng.uniform(0.3, 0.5) * math.pi if rng.random() < 0.5 else math.pi / 2
    bend = rng.uniform(0, 0.35) * pitch, rng.uniform(0.4, 1.2) * radius, rng.uniform(0, 7)
    for way, tone in ((angle, 0.8), (angle + slant, 1.05)):
        for wire in _parallels(size, way, pitch, bend):
            _wire(rng, canvas, wire, width, tone)
    canvas.keep(body)
    rim = _outline(body)
    _wire(rng, canvas, rim, min(max(2.2 * width, 3.0), 0.5 * radius), 1.0)
    alpha, tint = canvas.read()
    return Shape(blur(alpha, SHARP), blur(tint, SHARP), np.maximum(body, alpha))


def leaves(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """Twigs from one stem, leaves along them on stalks, gaps in between."""
    size = len(body)
    canvas = Canvas(size)
    root = np.array((0.5, 0.5)) * size + (rng.uniform(-0.2, 0.2) * radius, 0.95 * radius)
    hue = rng.uniform(-0.25, 0.25, 3)
    length = float(np.clip(rng.uniform(0.16, 0.3) * radius, 3, 42 * unit))
    slim = rng.uniform(0.3, 0.55)
    twigs = [_stem(rng, root, -math.pi / 2 + rng.normal(0, 0.1), 1.7 * radius)]
    for share in rng.uniform(0.15, 0.9, int(rng.integers(7, 19))):
        start = twigs[0][int(share * (len(twigs[0]) - 1))]
        side = rng.choice((-1, 1)) * rng.uniform(0.5, 1.2)
        reach = radius * rng.uniform(0.45, 1.0) * (1.15 - 0.6 * share)
        twigs.append(_stem(rng, start, -math.pi / 2 + side, reach))
    stem = max(1.4, min(3.0, 0.02 * radius)) * rng.uniform(0.8, 1.4)
    for number, twig in enumerate(twigs):
        thick = stem * (1.5 if number == 0 else 1.0)
        canvas.ribbon(twig, np.linspace(thick, 1.0, len(twig)), (0.7, 0.55, 0.4))
    for twig in twigs:
        _leaf_pairs(rng, canvas, twig, length, slim, hue)
    alpha, tint = canvas.read()
    brush = max(3, round(7 * unit)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (brush, brush))
    cover = np.asarray(cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, disc), dtype=np.float32)
    return Shape(blur(alpha, SHARP), blur(tint, SHARP), cover)


def hairs(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """A body of combed hair with single hairs that stand off, cross and thin out."""
    size = len(body)
    canvas = Canvas(size)
    middle = np.array((size - 1, size - 1)) / 2
    rows, columns = np.nonzero(body > 0.5)
    whirl, fall = rng.normal(0, 0.5), rng.uniform(0, 0.8)

    def strand(at: NDArray[np.float64], length: float, width: float, tone: float) -> None:
        away = at - middle
        turn = math.atan2(away[1], away[0]) + whirl + rng.normal(0, 0.2)
        curl, wave = rng.normal(0, 0.5), rng.uniform(0, 0.5)
        steps = int(np.clip(length / (3 * unit), 4, 20))
        share = np.linspace(0, 1, steps)
        turns = turn + curl * share + wave * np.sin(share * rng.uniform(3, 9) + rng.uniform(0, 6))
        way = np.stack([np.cos(turns), np.sin(turns) + fall * share], axis=1)
        points = at + np.cumsum(way * (length / steps), axis=0)
        canvas.ribbon(points, width * (1 - 0.6 * share), tone)

    inner = rng.integers(0, len(rows), int(np.clip(len(rows) / (14 * unit), 30, 2500)))
    for pick in inner:
        tone = float(np.clip(rng.normal(0.95, 0.25), 0.35, 1.7))
        at = np.array((columns[pick], rows[pick]), np.float64)
        strand(at, radius * rng.uniform(0.12, 0.3), rng.uniform(1.0, 2.5), tone)
    rim = _outline(body)
    locks = rng.uniform(0, len(rim), max(3, int(radius / 12)))  # hairs stand off in locks
    for _ in range(int(np.clip(math.exp(rng.uniform(-0.8, 1.2)) * radius / unit, 16, 600))):
        lock = rng.choice(locks) + rng.normal(0, 0.03 * len(rim))
        at = rim[int(lock if rng.random() < 0.7 else rng.uniform(0, len(rim))) % len(rim)]
        start = at + (middle - at) * rng.uniform(0.02, 0.12)
        length = radius * min(rng.gamma(3.0, 0.13), 0.62)
        tone = float(np.clip(rng.normal(1.0, 0.25), 0.4, 1.8))
        strand(start, length, rng.uniform(1.0, 3.0) if unit >= 0.7 else rng.uniform(1, 2), tone)
    alpha, tint = canvas.read()
    shade = np.where(body[..., None] > alpha[..., None], 0.8, tint)
    return Shape(blur(np.maximum(alpha, body), SHARP), blur(shade.astype(np.float32), SHARP))


def lace(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """Flowers and a border, tied by a net of threads."""
    size = len(body)
    canvas = Canvas(size)
    thread = float(rng.uniform(1.0, 1.9))
    cell = max(float(rng.uniform(4.5, 8)) * unit, 3 * thread)
    angle = rng.uniform(0, math.pi)
    for turn in (0, math.pi / 3, 2 * math.pi / 3):
        for line in _parallels(size, angle + turn, cell, (0.0, radius, 0.0)):
            canvas.ribbon(line, np.full(len(line), thread), rng.uniform(0.85, 1.0))
    gap = max(float(rng.uniform(0.3, 0.45)) * radius, 4 * cell)
    petals = int(rng.integers(5, 9))
    for row in np.arange(-2 * radius, 2 * radius, gap * 0.87):
        for column in np.arange(-2 * radius, 2 * radius, gap):
            odd = gap / 2 if round(row / (gap * 0.87)) % 2 else 0.0
            at = np.array((column + odd, row)) + size / 2
            _flower(rng, canvas, at, 0.36 * gap, petals, thread)
    canvas.keep(body)
    rim = _outline(body)
    inner = rim + (size / 2 - rim) * min(0.9, 4.5 * thread / radius)
    for line in (rim, inner):
        canvas.ribbon(np.vstack([line, line[:1]]), np.full(len(line) + 1, 1.4 * thread), 1.1)
    _picots(canvas, rim, cell, thread)
    alpha, tint = canvas.read()
    cover = blur(np.maximum(body, alpha), 1.0)
    return Shape(blur(alpha, SHARP), blur(tint, SHARP), cover)


def _wire(
    rng: np.random.Generator, canvas: Canvas, points: Points, width: float, tone: float
) -> None:
    """A round wire: dark sides and a highlight, here brighter and there."""
    light = tone * rng.uniform(0.9, 1.1)
    canvas.ribbon(points, np.full(len(points), width), 0.65 * light)
    canvas.ribbon(points, np.full(len(points), 0.55 * width), 1.1 * light)
    canvas.ribbon(points - 0.12 * width, np.full(len(points), 0.25 * width), 1.6 * light)


def _parallels(
    size: int, angle: float, pitch: float, bend: tuple[float, float, float]
) -> list[Points]:
    """Lines across the sprite, ``pitch`` apart, bent by (height, length, phase) of a wave."""
    along = np.array((math.cos(angle), math.sin(angle)))
    aside = np.array((-along[1], along[0]))
    reach = np.linspace(-0.75 * size, 0.75 * size, max(12, size // 6))
    wave = bend[0] * np.sin(2 * math.pi * reach / bend[1] + bend[2])
    count = math.ceil(0.75 * size / pitch)
    return [
        size / 2 + reach[:, None] * along + (n * pitch + wave)[:, None] * aside
        for n in range(-count, count + 1)
    ]


def _outline(body: Plane) -> Points:
    """(N, 2), closed, of the largest part, smoothed and about two pixels a step."""
    found, _ = cv2.findContours(
        (body > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    points = max(found, key=len)[:, 0].astype(np.float64)
    window = min(5, len(points))
    shifts = range(-(window // 2), window // 2 + 1)
    points = np.mean([np.roll(points, shift, axis=0) for shift in shifts], axis=0)[::2]
    return np.vstack([points, points[:1]])


def _stem(rng: np.random.Generator, start: Points, angle: float, length: float) -> Points:
    steps = 14
    turns = angle + rng.normal(0, 0.35) * np.linspace(0, 1, steps) + rng.normal(0, 0.06, steps)
    way = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (length / steps)
    return np.asarray(np.vstack([start, start + np.cumsum(way, axis=0)]))


def _leaf_pairs(
    rng: np.random.Generator,
    canvas: Canvas,
    twig: Points,
    length: float,
    slim: float,
    hue: NDArray[np.float64],
) -> None:
    """Leaves on stalks along a twig, one at its tip."""
    run = np.hypot(*(twig[-1] - twig[0]))
    count = max(2, int(run / (0.5 * length)))
    for number, share in enumerate(np.linspace(0.25, 1, count)):
        if rng.random() < 0.12:
            continue  # a gap
        place = share * (len(twig) - 1)
        low = min(int(place), len(twig) - 2)
        way = twig[low + 1] - twig[low]
        at = twig[low] + way * (place - low)
        side = 0.0 if number == count - 1 else (-1) ** number * rng.uniform(0.6, 1.1)
        turn = math.atan2(way[1], way[0]) + side
        base = at + 0.35 * length * np.array((math.cos(turn), math.sin(turn)))
        canvas.ribbon(np.stack([at, base]), np.array((1.3, 1.0)), (0.8, 0.75, 0.5))
        tint = rng.uniform(0.6, 1.3) * (1 + hue * rng.uniform(-1, 1))
        _leaf(canvas, base, turn + rng.normal(0, 0.2), length * rng.uniform(0.6, 1.15), slim, tint)


def _leaf(
    canvas: Canvas,
    base: Points,
    turn: float,
    length: float,
    slim: float,
    tint: NDArray[np.float64],
) -> None:
    """A pointed leaf, one half in the shade, with a rib."""
    along = np.array((math.cos(turn), math.sin(turn)))
    aside = np.array((-along[1], along[0]))
    share = np.linspace(0, 1, 12)
    half = 0.5 * slim * length * np.sin(math.pi * share**0.8)
    spine = base + (share * length)[:, None] * along + (0.06 * length * share**2)[:, None] * aside
    for side, light in ((1, 1.08), (-1, 0.88)):
        edge = spine + side * half[:, None] * aside
        canvas.patch(np.vstack([spine, edge[::-1]]), tint * light)
    if length > 9:
        canvas.ribbon(spine[:-1], np.linspace(0.9, 0.4, len(spine) - 1), tint * 1.25)


def _flower(
    rng: np.random.Generator, canvas: Canvas, at: Points, radius: float, petals: int, thread: float
) -> None:
    """Petals around an eye, each with a hole of its own."""
    turn = rng.uniform(0, 2 * math.pi)
    circle = np.linspace(0, 2 * math.pi, 20, endpoint=False)
    ring = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    for petal in range(petals):
        angle = turn + 2 * math.pi * petal / petals
        along = np.array((math.cos(angle), math.sin(angle)))
        frame = np.stack([along * 0.36, np.array((-along[1], along[0])) * 0.24])
        middle = at + 0.6 * radius * along
        canvas.patch(middle + ring @ frame * radius, rng.uniform(0.95, 1.15))
        if 0.2 * radius > thread:
            canvas.hole(middle + ring @ frame * 0.45 * radius)
    canvas.patch(at + ring * 0.3 * radius, 1.15)
    canvas.hole(at + ring * 0.12 * radius)


def _picots(canvas: Canvas, rim: Points, cell: float, thread: float) -> None:
    """Small loops that stand off the border."""
    circle = np.linspace(0, 2 * math.pi, 14)
    ring = np.stack([np.cos(circle), np.sin(circle)], axis=1) * 0.45 * cell
    away = np.cumsum(np.hypot(*np.diff(rim, axis=0).T))
    for far in np.arange(0, away[-1], 1.1 * cell):
        at = rim[int(np.searchsorted(away, far))]
        canvas.ribbon(at + ring, np.full(len(ring), thread), 1.05)
