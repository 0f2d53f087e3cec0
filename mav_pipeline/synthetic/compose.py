"""Puts sprites over the moving background, frame by frame, and knows what of each is visible.

    composite = background, then colour + (1 - alpha) x what lies behind, farthest object first

in plain 8-bit sRGB, as matting data sets are composed. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from mav_pipeline.schema import Frame
from mav_pipeline.synthetic.backdrop import open_view
from mav_pipeline.synthetic.photographs import NONE, Photographs
from mav_pipeline.synthetic.scene import FINE, SHUTTER, ClipPlan, ObjectPlan, Pose
from mav_pipeline.synthetic.sprite import Sprite, paint_object
from mav_pipeline.synthetic.texture import Picture, Plane

Axis = TypeVar("Axis", float, Plane)

GRAIN = 1.0 / 255  # standard deviation of the sensor's noise
SAMPLE_PX = 2.0  # an exposure is sampled so often that neighbours are this far apart
MAX_SAMPLES = 8  # enough for the swiftest object at 640x360
FINE_PX, FINE_SAMPLES = 0.8, 24  # of what is so thin that it would show as several of itself


@dataclass(frozen=True, slots=True)
class Composed:
    """One video frame.

    Attributes:
        rgb: (H, W, 3).
        alphas: visible alpha of each object, (H, W) in [0, 1], in the order of the plan.
        covers: the same of what an annotator takes for the object.
    """

    rgb: Frame
    alphas: tuple[Plane, ...]
    covers: tuple[Plane, ...]


def compose(plan: ClipPlan, photographs: Photographs = NONE) -> Iterator[Composed]:
    """Yields every video frame of the clip; alphas and covers are empty where not annotated."""
    view = open_view(plan, photographs)
    sprites = [paint_object(thing, plan.unit, photographs) for thing in plan.objects]
    rng = np.random.default_rng((*plan.seed, 99))
    grain = rng.normal(0, GRAIN, (plan.height + 64, plan.width + 64, 3)).astype(np.float32)
    for frame in range(plan.frames):
        picture = view(frame)
        down, right = rng.integers(0, 65, 2)
        layers: dict[int, _Layer | None] = {}
        for slot in plan.depth:
            layer = _expose(sprites[slot], plan.objects[slot], frame, plan)
            layers[slot] = layer
            if layer is not None:
                picture[layer.place] *= 1 - layer.rgba[..., 3:]
                picture[layer.place] += layer.rgba[..., :3]
        picture += grain[down : down + plan.height, right : right + plan.width]
        rgb = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        if frame in plan.annotated:
            alphas, covers = _visible(plan, layers)
            yield Composed(rgb, alphas, covers)
        else:
            yield Composed(rgb, (), ())


@dataclass(frozen=True, slots=True)
class _Layer:
    """An object as one exposure sees it, cropped to the ``place`` it takes in the frame."""

    place: tuple[slice, slice]
    rgba: Picture
    cover: Plane


def _expose(sprite: Sprite, thing: ObjectPlan, frame: int, plan: ClipPlan) -> _Layer | None:
    """The sprite at its pose, averaged over the path it takes while the shutter is open."""
    motion = thing.motion
    pose = motion.pose(frame)
    start, end = motion.pose(frame - SHUTTER / 2), motion.pose(frame + SHUTTER / 2)
    smear = end.x - start.x, end.y - start.y
    reach = sprite.rgba.shape[0] / 2 * pose.scale
    across = _span(pose.x, reach + abs(smear[0]) / 2, plan.width)
    down = _span(pose.y, reach + abs(smear[1]) / 2, plan.height)
    if across.start >= across.stop or down.start >= down.stop:
        return None
    u, v = _lookup(sprite, pose, across, down, plan.unit)
    step, most = (FINE_PX, FINE_SAMPLES) if thing.kind in FINE else (SAMPLE_PX, MAX_SAMPLES)
    count = min(max(1, math.ceil(math.hypot(*smear) / step)), most)
    rgba = np.zeros((*u.shape, 4), np.float32)
    cover = np.zeros(u.shape, np.float32)
    for sample in range(count):
        # A shift of the object by d looks up the sprite at -d, turned and scaled like the rest.
        share = (sample + 0.5) / count - 0.5
        du, dv = _into_sprite(-share * smear[0], -share * smear[1], pose)
        at = u + np.float32(du), v + np.float32(dv)
        rgba += cv2.remap(sprite.rgba, *at, cv2.INTER_LINEAR)
        if sprite.cover is not None and frame in plan.annotated:
            cover += cv2.remap(sprite.cover, *at, cv2.INTER_LINEAR)
    rgba /= count
    cover /= count
    return _Layer((down, across), rgba, rgba[..., 3] if sprite.cover is None else cover)


def _visible(
    plan: ClipPlan, layers: dict[int, _Layer | None]
) -> tuple[tuple[Plane, ...], tuple[Plane, ...]]:
    """Alpha and cover of each object over the frame, times what those in front let through."""
    through = np.ones((plan.height, plan.width), np.float32)
    nothing = np.zeros_like(through)
    alphas, covers = ([nothing] * len(plan.objects) for _ in range(2))
    for slot in reversed(plan.depth):
        layer = layers[slot]
        if layer is None:
            continue
        alphas[slot], covers[slot] = nothing.copy(), nothing.copy()
        alphas[slot][layer.place] = layer.rgba[..., 3] * through[layer.place]
        covers[slot][layer.place] = layer.cover * through[layer.place]
        through[layer.place] *= 1 - layer.rgba[..., 3]
    return tuple(alphas), tuple(covers)


def _lookup(
    sprite: Sprite, pose: Pose, across: slice, down: slice, unit: float
) -> tuple[Plane, Plane]:
    """Where in the sprite each pixel of the crop lies: the inverse pose, and a gentle sway."""
    x = np.arange(across.start, across.stop, dtype=np.float32)[None] - np.float32(pose.x)
    y = np.arange(down.start, down.stop, dtype=np.float32)[:, None] - np.float32(pose.y)
    half = np.float32(sprite.rgba.shape[0] / 2 - 0.5)
    u, v = _into_sprite(x, y, pose)
    wave = np.float32(2 * math.pi / (1.2 * half))
    bend = np.float32(1.8 * unit) * np.sin(v * wave + np.float32(pose.sway))
    swell = np.float32(1.2 * unit) * np.sin(u * wave + np.float32(0.7 * pose.sway))
    return u + half + bend, v + half + swell


def _into_sprite(x: Axis, y: Axis, pose: Pose) -> tuple[Axis, Axis]:
    """Turns an offset in the frame into one in the sprite."""
    cos, sin = math.cos(pose.angle) / pose.scale, math.sin(pose.angle) / pose.scale
    return x * cos + y * sin, y * cos - x * sin


def _span(middle: float, reach: float, limit: int) -> slice:
    return slice(max(0, math.floor(middle - reach)), min(limit, math.ceil(middle + reach)))
