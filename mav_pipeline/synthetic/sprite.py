"""Paints an object once, as a sprite with its true alpha; the frames only move it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.config import SampleKind
from mav_pipeline.synthetic import fine
from mav_pipeline.synthetic.canvas import SUPER, Shape
from mav_pipeline.synthetic.natural import natural
from mav_pipeline.synthetic.photographs import NONE, Photographs, developed, fitted
from mav_pipeline.synthetic.scene import FINE, ObjectPlan
from mav_pipeline.synthetic.texture import Picture, Plane, blur, gradient, hsv, noise, texture


@dataclass(frozen=True, slots=True)
class Sprite:
    """An object at scale 1, its centre in the middle.

    Attributes:
        rgba: (S, S, 4), colour multiplied by alpha.
        cover: (S, S), what an annotator takes for the object: a veil counts as a whole. None
            where that is the alpha itself.
    """

    rgba: Picture
    cover: Plane | None


def paint_object(plan: ObjectPlan, unit: float, photographs: Photographs = NONE) -> Sprite:
    """Paints one object; ``unit`` is ``ClipPlan.unit``."""
    rng = np.random.default_rng(plan.seed)
    size = 2 * math.ceil(1.5 * plan.radius + 18 * unit)
    body = _silhouette(rng, plan.silhouette, size, plan.radius)
    shape = PAINTERS[plan.kind](rng, body, plan.radius, unit)
    colour = _colours(rng, plan, size, photographs)
    shade = shape.shade if shape.shade.ndim == 3 else shape.shade[..., None]
    colour = colour * (_light(body, plan.radius)[..., None] * shade)
    if plan.kind == "sheer" and shape.cover is not None:  # a veil is paler than what it hangs from
        thin = np.clip(shape.cover - shape.alpha, 0, 1)[..., None]
        colour = colour * (1 - 0.5 * thin) + 0.5 * thin * colour.mean(axis=(0, 1))
    rgba = np.dstack([np.clip(colour, 0, 1) * shape.alpha[..., None], shape.alpha])
    if plan.defocus:
        rgba = _defocused(rng, rgba, plan.defocus)
    return Sprite(np.ascontiguousarray(rgba, dtype=np.float32), shape.cover)


def _silhouette(rng: np.random.Generator, name: str, size: int, radius: float) -> Plane:
    """(size, size) coverage of a body of about ``radius``, antialiased."""
    canvas = np.zeros((size * SUPER, size * SUPER), np.uint8)
    middle, r = size * SUPER / 2, radius * SUPER
    angle = np.linspace(0, 2 * math.pi, 256, endpoint=False)
    if name == "creature":
        _limbs(rng, canvas, middle, r)
    else:
        lobes = range(2, 6) if name == "blob" else (int(rng.integers(5, 8)),)
        outline = np.full(256, 0.85)
        for k in lobes:
            wave = np.cos(k * angle + rng.uniform(0, 2 * math.pi))
            outline += (0.28 / k if name == "blob" else 0.15) * wave
        points = middle + r * outline[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        cv2.fillPoly(canvas, [points.astype(np.int32)], 255)
    # Blurring and cutting at one half rounds the joints.
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    rounded = np.clip((blur(small, max(0.8, radius / 18)) - 0.5) * 4 + 0.5, 0, 1)
    return np.asarray(rounded, dtype=np.float32)


def _limbs(rng: np.random.Generator, canvas: NDArray[np.uint8], middle: float, r: float) -> None:
    """A trunk, a head with ears and some limbs."""

    def at(x: float, y: float) -> tuple[int, int]:
        return round(middle + r * x), round(middle + r * y)

    cv2.ellipse(canvas, at(0, 0.2), _point(0.5 * r, 0.6 * r), 0, 0, 360, 255, -1)
    cv2.circle(canvas, at(0.05, -0.58), round(0.38 * r), 255, -1)
    for side in (-1, 1):
        tip = at(side * rng.uniform(0.3, 0.42), -rng.uniform(0.98, 1.15))
        cv2.line(canvas, at(side * 0.2, -0.75), tip, 255, round(0.16 * r))
        hand = at(side * rng.uniform(0.8, 1.05), rng.uniform(-0.45, 0.5))
        cv2.line(canvas, at(side * 0.25, 0.0), hand, 255, round(0.24 * r))
        foot = at(side * rng.uniform(0.35, 0.6), rng.uniform(0.95, 1.1))
        cv2.line(canvas, at(side * 0.2, 0.5), foot, 255, round(0.3 * r))


def _point(x: float, y: float) -> tuple[int, int]:
    return round(x), round(y)


def _soft(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """Out of focus all around."""
    return Shape(blur(body, 2.4 * unit), np.ones_like(body))


def _blurred(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """Merely not quite sharp: motion does the rest."""
    return Shape(blur(body, 1.2 * unit), np.ones_like(body))


def _fur(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """The body with strands all around, each of its own shade.

    Strands root inside the body and thin out to a fraction of a pixel, so that the edge falls off
    from dense fur to single hairs.
    """
    size = body.shape[0]
    inside = cv2.distanceTransform((body > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    outward = np.stack(gradient(blur(inside, 4 * unit)), axis=-1)
    rows, cols = np.nonzero((inside > 0) & (inside < 5 * unit))
    hair = np.zeros((size * SUPER, size * SUPER), np.uint8)
    shade = np.full_like(hair, 170)
    count = min(len(rows), int(1.1 * len(rows) / unit) + 40)
    for pick in rng.permutation(len(rows))[:count]:
        row, col = int(rows[pick]), int(cols[pick])
        gx, gy = -outward[row, col]
        turn = math.atan2(gy, gx) + rng.normal(0.25, 0.3)  # combed to one side
        bend = rng.normal(0.0, 0.06)
        length = unit * min(rng.gamma(5.0, 1.7), 18.0)
        point = np.array((col + 0.5, row + 0.5)) * SUPER
        tone = int(np.clip(rng.normal(175, 38), 60, 255))
        for part in range(4):
            turn += bend
            tip = point + length * SUPER / 4 * np.array((math.cos(turn), math.sin(turn)))
            ends = _point(*point), _point(*tip)
            width = max(1, round((1.5 - 0.36 * part) * unit * SUPER))
            cv2.line(hair, *ends, 255, width)
            cv2.line(shade, *ends, tone, width)
            point = tip
    strands = cv2.resize(hair, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    tones = cv2.resize(shade, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 175
    return Shape(blur(np.maximum(body, strands), 0.5 * unit), blur(tones, 0.5 * unit))


def _veil(rng: np.random.Generator, body: Plane, radius: float, unit: float) -> Shape:
    """A body that ends in a folded, half transparent hem of uneven width."""
    size = body.shape[0]
    away = cv2.distanceTransform((body < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    width = unit * (2 + 4 * noise(rng, size, size, size / 3))
    cover = blur(np.clip(width - away + 0.5, 0, 1), 0.7 * unit)
    plateau = 0.45 + 0.35 * noise(rng, size, size, 9 * unit)
    core = blur(body, 0.8 * unit)
    alpha = core + (1 - core) * cover * plateau
    return Shape(np.asarray(alpha, np.float32), np.ones_like(body), np.maximum(core, cover))


#: What a kind makes of a body of ``radius`` in a clip of ``unit``.
PAINTERS: dict[SampleKind, Callable[[np.random.Generator, Plane, float, float], Shape]] = {
    "hairy": _fur,
    "soft": _soft,
    "sheer": _veil,
    "blurred": _blurred,
    "mesh": fine.mesh,
    "leaves": fine.leaves,
    "hairs": fine.hairs,
    "lace": fine.lace,
}


def _colours(
    rng: np.random.Generator, plan: ObjectPlan, size: int, photographs: Photographs
) -> Picture:
    """(size, size, 3): a piece of a photograph, many colours, or two tones of the object's hue.

    Fine structure keeps half of its own hue: of a wire or a hair that changes its colour with each
    pixel, nobody could say where it is.
    """
    tones = _tones(rng, plan, size)
    if photographs.textures:
        pick = np.random.default_rng((*plan.seed, 78))
        picture = photographs.textures[int(pick.integers(len(photographs.textures)))]
        many = developed(pick, fitted(picture, size, size, (pick.random(), pick.random())))
    elif plan.texture == "natural":
        many = natural(rng, size, size)
    else:
        return tones
    return 0.5 * (many + tones) if plan.kind in FINE else many


def _tones(rng: np.random.Generator, plan: ObjectPlan, size: int) -> Picture:
    name = "fractal" if plan.texture == "natural" else plan.texture
    value = texture(rng, name, size, max(plan.radius, 12))
    light, dark = (0.98, 0.72) if plan.bright else (0.55, 0.32)
    low = hsv(plan.hue, plan.saturation, dark)
    high = hsv(plan.hue + 0.04, max(plan.saturation - 0.25, 0), light)
    return np.asarray(low + (high - low) * value[..., None], dtype=np.float32)


def _defocused(rng: np.random.Generator, rgba: Picture, sigma: float) -> Picture:
    """One side in focus, the other out of it by ``sigma``; colour is multiplied by alpha."""
    size = len(rgba)
    turn = rng.uniform(0, 2 * math.pi)
    way = np.linspace(-1, 1, size, dtype=np.float32)
    far = np.clip(0.5 + way[None] * math.cos(turn) + way[:, None] * math.sin(turn), 0, 1)[..., None]
    return np.asarray(rgba * (1 - far) + blur(rgba, sigma) * far, dtype=np.float32)


def _light(body: Plane, radius: float) -> Plane:
    """Shading of a body that bulges towards the camera, lit from the upper left."""
    inside = cv2.distanceTransform((body > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    bulge = blur(np.sqrt(np.clip(inside / (0.6 * radius), 0, 1)), max(1.5, radius / 10))
    gx, gy = gradient(bulge * radius)
    slope = (gx + 1.3 * gy) / np.sqrt(1 + gx * gx + gy * gy)
    return np.asarray(0.92 + 0.2 * np.clip(slope, -1.6, 1), dtype=np.float32)
