"""Damages of the levels: the matte is in the right place, its values are not. Pure."""

from __future__ import annotations

import cv2
import numpy as np

from mav_pipeline.schema import Alpha, AlphaFrame

from .case import Case, around, disc, each, levels


def blur(case: Case, strength: float) -> Alpha:
    return each(case.alpha, lambda frame: cv2.GaussianBlur(frame, (0, 0), strength * case.side))


def coarse(case: Case, strength: float) -> Alpha:
    """As if matted at a smaller size and brought back."""
    height, width = case.alpha.shape[1:]
    factor = max(1.2, strength * case.side)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))

    def change(frame: AlphaFrame) -> AlphaFrame:
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    return each(case.alpha, change)


def fog(case: Case, strength: float) -> Alpha:
    """Thin parts and narrow gaps become one grey; what is solid stays."""
    radius = strength * case.side
    brush, wide = disc(radius), (2 * round(2 * radius) + 1,) * 2

    def change(frame: AlphaFrame) -> AlphaFrame:
        solid = cv2.morphologyEx(frame, cv2.MORPH_OPEN, brush)
        full = cv2.morphologyEx(frame, cv2.MORPH_CLOSE, brush)
        thin = cv2.blur(cv2.absdiff(full, solid), wide).astype(np.float32) / 255
        share = np.clip(3 * thin, 0, 1)
        return levels((1 - share) * frame + share * cv2.blur(frame, wide))

    return each(case.alpha, change)


def halo(case: Case, strength: float) -> Alpha:
    """A veil of alpha around the object."""
    veil = [255 * min(0.35, 8 * strength) * near for near in around(case, 3 * strength)]
    return np.maximum(case.alpha, levels(np.stack(veil)))


def haze(case: Case, strength: float) -> Alpha:
    """The whole object is somewhat transparent."""
    return levels(case.alpha * (1.0 - strength))


def noise(case: Case, strength: float) -> Alpha:
    field = case.rng().normal(0, 255 * strength, case.alpha.shape)
    return levels(case.alpha + field * np.stack([*around(case, 0.06)]))


def blotches(case: Case, strength: float) -> Alpha:
    """Smooth patches near the edge are too thick or too thin."""
    field = case.rng().normal(size=case.alpha.shape).astype(np.float32)
    wave = max(1.0, 0.04 * case.side)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), wave) for one in field])
    smooth *= 255 * strength / (smooth.std() + 1e-6)
    core = each(case.alpha, lambda frame: cv2.erode(frame, disc(0.08 * case.side)))
    near = np.stack([*around(case, 0.05)]) & (core < 250)
    return levels(case.alpha + smooth * near)


def compressed(case: Case, strength: float) -> Alpha:
    """Through JPEG; strength is 100 - its quality."""

    def change(frame: AlphaFrame) -> AlphaFrame:
        _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, round(100 - strength)])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)

    return each(case.alpha, change)


def gamma(case: Case, strength: float) -> Alpha:
    """Half transparent pixels come out too thick (below 1) or too thin."""
    return levels(255 * (case.alpha / 255.0) ** strength)


def threshold(case: Case, strength: float) -> Alpha:
    return np.where(case.alpha > 255 * strength, 255, 0).astype(np.uint8)


def hard(case: Case, strength: float) -> Alpha:
    """Soft edges come out steeper."""
    return levels(127.5 + (1 + strength) * (case.alpha - 127.5))


def guided(case: Case, strength: float) -> Alpha:
    """Through a guided filter (He, Sun, Tang, 2010): the picture's texture shines through."""
    window = (2 * max(1, round(strength * case.side)) + 1,) * 2

    def change(frame: AlphaFrame, picture: np.ndarray) -> AlphaFrame:
        guide = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        alpha = frame.astype(np.float32)
        mean, middle = cv2.blur(guide, window), cv2.blur(alpha, window)
        spread = cv2.blur(guide * guide, window) - mean * mean
        slope = (cv2.blur(guide * alpha, window) - mean * middle) / (spread + 1e-3)
        offset = middle - slope * mean
        return levels(cv2.blur(slope, window) * guide + cv2.blur(offset, window))

    pairs = zip(case.alpha, case.frames, strict=True)
    return np.stack([change(frame, picture) for frame, picture in pairs])


def towards_mask(case: Case, strength: float) -> Alpha:
    return levels((1 - strength) * case.alpha + strength * 255 * case.masks)


def towards_closed_form(case: Case, strength: float) -> Alpha:
    return levels((1 - strength) * case.alpha + strength * case.closed)
