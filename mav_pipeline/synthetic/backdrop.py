"""What lies behind the objects, painted or photographed, as a moving camera sees it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np

from mav_pipeline.schema import Frame
from mav_pipeline.synthetic.natural import natural
from mav_pipeline.synthetic.photographs import Photographs, developed, fitted
from mav_pipeline.synthetic.scene import ClipPlan
from mav_pipeline.synthetic.texture import Picture, blur, hsv, noise

MARGIN = 1.35  # canvas / frame: room for pan, zoom and shake


def open_view(plan: ClipPlan, photographs: Photographs) -> Callable[[int], Picture]:
    """What gives the ground of each video frame, (H, W, 3) in [0, 1], anew each time."""
    rng = np.random.default_rng((*plan.seed, 0))
    height, width = math.ceil(MARGIN * plan.height), math.ceil(MARGIN * plan.width)
    if photographs.grounds:
        rng = np.random.default_rng((*plan.seed, 78))
        frames = photographs.grounds[int(rng.integers(len(photographs.grounds)))]
        at = float(rng.random()), float(rng.random())
        if len(frames) > 1:
            return partial(_footage, frames, int(rng.integers(len(frames))), plan, at)
        picture = developed(rng, fitted(frames[0], height, width, at))
    elif plan.natural:
        picture = natural(rng, height, width)
    else:
        paint = _landscape if plan.environment == "Outdoor" else _room
        picture = blur(paint(rng, plan, height, width), 1.6 * plan.unit)
    if plan.defocus and (photographs.grounds or plan.natural):
        picture = blur(picture, plan.defocus)
    return partial(_look, np.asarray(np.clip(picture, 0, 1), dtype=np.float32), plan)


def _footage(
    frames: Sequence[Frame], start: int, plan: ClipPlan, at: tuple[float, float], frame: int
) -> Picture:
    """As it was shot, from ``start`` on, to and fro."""
    turn = (start + frame) % (2 * len(frames) - 2)
    shown = frames[min(turn, 2 * len(frames) - 2 - turn)]
    picture = fitted(shown, plan.height, plan.width, at)
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _look(background: Picture, plan: ClipPlan, frame: int) -> Picture:
    """The background as the panning, zooming, hand-held camera sees it at ``frame``."""
    camera = plan.camera
    since = frame - plan.frames / 2
    # A tanh keeps long clips on the canvas: the pan slows down instead of running off.
    room = 0.1 * min(plan.width, plan.height)
    shift = [room * math.tanh(pan * since / room) for pan in camera.pan]
    shake = camera.shake * min(plan.width, plan.height)
    shift[0] += shake * math.sin(0.31 * frame)
    shift[1] += shake * math.sin(0.23 * frame + 1)
    zoom = 1 + 0.1 * math.tanh(10 * camera.zoom * since)
    x = background.shape[1] / 2 + shift[0] - plan.width / 2 * zoom
    y = background.shape[0] / 2 + shift[1] - plan.height / 2 * zoom
    matrix = np.array([[zoom, 0, x], [0, zoom, y]])
    seen = cv2.warpAffine(
        background,
        matrix,
        (plan.width, plan.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(seen, dtype=np.float32)


def _landscape(rng: np.random.Generator, plan: ClipPlan, height: int, width: int) -> Picture:
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    cloud = noise(rng, height, width, width / 3)
    sky = hsv(0.57, 0.5, 0.8) * (1 - y[..., None]) + hsv(0.56, 0.15, 0.92) * y[..., None]
    picture = sky + (0.25 * np.clip(cloud - 0.5, 0, 1))[..., None]
    rows = np.arange(height, dtype=np.float32)[:, None]
    for far in range(3):  # ridges, the nearer the darker and the greener
        ridge = noise(rng, 1, width, width / (2 + 2 * far))[0]
        top = (0.3 + 0.2 * far + 0.16 * (ridge - 0.5)) * height
        leaves = noise(rng, height, width, height / (18 - 4 * far))
        colour = hsv(plan.hue + 0.08 * (2 - far), 0.3 + 0.12 * far, 0.58 - 0.09 * far)
        paint = colour * (0.72 + 0.56 * leaves[..., None])
        edge = np.clip(rows - top, 0, 1)[..., None]
        picture = picture * (1 - edge) + paint * edge
    return np.asarray(picture, dtype=np.float32)


def _room(rng: np.random.Generator, plan: ClipPlan, height: int, width: int) -> Picture:
    x = np.arange(width, dtype=np.float32)[None]
    y = np.arange(height, dtype=np.float32)[:, None]
    grain = noise(rng, height, width, height / 5)
    side = min(height, width)
    if rng.random() < 0.5:  # boards
        pitch = side / rng.uniform(6, 9)
        tone = rng.uniform(0.85, 1.1, width)[(x // pitch).astype(int)]
        tone = tone * np.where(x % pitch < max(1.5, side / 150), 0.7, 1)
    else:  # striped wallpaper
        tone = 1 + 0.1 * np.sign(np.sin(2 * math.pi * x / (side / rng.uniform(5, 8))))
    wall = hsv(plan.hue, 0.32, 0.66) * (tone * (0.86 + 0.28 * grain))[..., None]
    picture = np.asarray(wall, dtype=np.float32)
    for _ in range(int(rng.integers(3, 6))):  # pictures and shelves
        w, h = (side * rng.uniform((0.15, 0.12), (0.4, 0.35))).astype(int)
        left, top = int(rng.uniform(0, width - w)), int(rng.uniform(0, 0.55 * height))
        frame = hsv(plan.hue + rng.uniform(-0.04, 0.04), 0.3, rng.choice((0.3, 0.85)))
        inside = hsv(plan.hue + rng.uniform(-0.06, 0.06), 0.25, rng.uniform(0.4, 0.75))
        rim = max(2, side // 70)
        picture[top : top + h, left : left + w] = frame
        piece = picture[top + rim : top + h - rim, left + rim : left + w - rim]
        blotches = noise(rng, piece.shape[0], piece.shape[1], h / 2)
        piece[:] = inside * (0.7 + 0.6 * blotches)[..., None]
    floor = int(height * rng.uniform(0.72, 0.8))
    depth = np.maximum(y[floor:] - floor + 0.12 * height, 1)  # lines run to a vanishing point
    lanes = np.floor((x - width / 2) / depth * 3).astype(int) % 7
    tiles = (rng.uniform(0.8, 1.1, 7)[lanes] * (0.85 + 0.3 * grain[floor:]))[..., None]
    picture[floor:] = hsv(plan.hue - 0.02, 0.4, 0.5) * tiles
    picture[floor - max(2, side // 50) : floor] = hsv(plan.hue, 0.15, 0.82)
    lamp = np.hypot(x - width * rng.uniform(0.2, 0.8), y - height * 0.1) / side
    return np.asarray(picture * (0.82 + 0.35 * np.exp(-2 * lamp))[..., None], dtype=np.float32)
