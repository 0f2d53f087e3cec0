"""Ways to spoil a matte, each with a strength. Pure, and the same every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mav_pipeline.schema import Alpha, Mask, Seams


@dataclass(frozen=True, slots=True)
class Case:
    """What a damage may need.

    Attributes:
        alpha: (T, H, W) the matte to spoil.
        others: (T, H, W) alpha of the clip's other objects, one of them.
        side: sqrt(object area) in pixels.
        visible: (T,) bool.
    """

    alpha: Alpha
    others: Alpha
    side: float
    visible: Mask
    seed: int


Damage = Callable[[Case, float], Alpha]


def _disc(radius: float) -> np.ndarray:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def blur(case: Case, strength: float) -> Alpha:
    sigma = strength * case.side
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in case.alpha])


def erosion(case: Case, strength: float) -> Alpha:
    return np.stack([cv2.erode(frame, _disc(strength * case.side)) for frame in case.alpha])


def dilation(case: Case, strength: float) -> Alpha:
    return np.stack([cv2.dilate(frame, _disc(strength * case.side)) for frame in case.alpha])


def shift(case: Case, strength: float) -> Alpha:
    angle = np.random.default_rng(case.seed).uniform(0, 2 * np.pi)
    by = (
        max(1, round(strength * case.side * np.sin(angle))),
        round(strength * case.side * np.cos(angle)),
    )
    matrix = np.array([[1, 0, by[1]], [0, 1, by[0]]], np.float32)
    size = case.alpha.shape[:0:-1]
    return np.stack([cv2.warpAffine(frame, matrix, size) for frame in case.alpha])


def _spots(case: Case, strength: float, where: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    rng = np.random.default_rng(case.seed)
    found = np.zeros(case.alpha.shape, np.uint8)
    for frame, spots in zip(case.alpha, found, strict=True):
        y, x = np.nonzero(where(frame))
        if not len(y):
            continue
        for pick in rng.integers(0, len(y), 3):
            radius = max(1, round(strength * case.side))
            cv2.circle(spots, (int(x[pick]), int(y[pick])), radius, 255, -1)
    return (
        cv2.GaussianBlur(found.transpose(1, 2, 0), (3, 3), 0)
        .reshape(*found.shape[1:], -1)
        .transpose(2, 0, 1)
    )


def holes(case: Case, strength: float) -> Alpha:
    spots = _spots(case, strength, lambda frame: frame > 200)
    return np.asarray(np.minimum(case.alpha, 255 - spots), dtype=np.uint8)


def islands(case: Case, strength: float) -> Alpha:
    def near(frame: np.ndarray) -> np.ndarray:
        wide = cv2.dilate((frame > 20).astype(np.uint8), _disc(0.3 * case.side))
        return (wide > 0) & (frame < 20)

    spots = _spots(case, strength, near)
    spots[~case.visible] = 0
    return np.asarray(np.maximum(case.alpha, spots), dtype=np.uint8)


def wrong_instance(case: Case, strength: float) -> Alpha:
    """Part of the frames follow another object."""
    spoilt = case.alpha.copy()
    taken = np.random.default_rng(case.seed).random(len(spoilt)) < strength
    taken[np.flatnonzero(case.visible)[0]] = True
    spoilt[taken & case.visible] = case.others[taken & case.visible]
    return spoilt


def dropped(case: Case, strength: float) -> Alpha:
    spoilt = case.alpha.copy()
    shown = np.flatnonzero(case.visible)
    count = max(1, round(strength * len(shown)))
    spoilt[np.random.default_rng(case.seed).permutation(shown)[:count]] = 0
    return spoilt


def lag(case: Case, strength: float) -> Alpha:
    late = np.concatenate([case.alpha[:1], case.alpha[:-1]]).astype(np.float32)
    late[1:][~case.visible[:-1]] = case.alpha[1:][~case.visible[:-1]]
    mixed = (1 - strength) * case.alpha + strength * late
    mixed[~case.visible] = 0
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def flicker(case: Case, strength: float) -> Alpha:
    levels = np.ones(len(case.alpha), np.float32)
    levels[::2] -= strength
    return np.asarray(np.rint(case.alpha * levels[:, None, None]), dtype=np.uint8)


def resets(case: Case, strength: float) -> Alpha:
    """Each window of four frames is wrong in a way of its own: thinner or thicker."""
    spoilt = case.alpha.copy()
    for start in range(0, len(spoilt), 4):
        part = slice(start, start + 4)
        change = cv2.dilate if (start // 4) % 2 else cv2.erode
        brush = _disc(strength * case.side)
        spoilt[part] = [change(frame, brush) for frame in case.alpha[part]]
    return spoilt


def noise(case: Case, strength: float) -> Alpha:
    rng = np.random.default_rng(case.seed)
    field = rng.normal(0, strength, case.alpha.shape)
    near = np.stack([cv2.dilate(frame, _disc(0.06 * case.side)) > 0 for frame in case.alpha])
    return np.clip(np.rint(case.alpha + 255 * field * near), 0, 255).astype(np.uint8)


def threshold(case: Case, strength: float) -> Alpha:
    return np.where(case.alpha > 255 * strength, 255, 0).astype(np.uint8)


def bleed(case: Case, strength: float) -> Alpha:
    """The matte runs out to one side."""
    by = max(1, round(strength * case.side))
    angle = np.random.default_rng(case.seed).uniform(0, 2 * np.pi)
    spoilt = case.alpha.copy()
    size = case.alpha.shape[:0:-1]
    for step in range(1, by + 1):
        matrix = np.array([[1, 0, step * np.cos(angle)], [0, 1, step * np.sin(angle)]], np.float32)
        for frame, alpha in zip(spoilt, case.alpha, strict=True):
            np.maximum(frame, cv2.warpAffine(alpha, matrix, size), out=frame)
    return spoilt


def cut(case: Case, strength: float) -> Alpha:
    """A part of the object is missing: a leg, a tail."""
    spoilt = case.alpha.copy()
    for frame in spoilt:
        rows = np.flatnonzero((frame > 127).any(axis=1))
        if len(rows):
            frame[rows[-1] - round(strength * len(rows)) + 1 :] = 0
    return spoilt


def gamma(case: Case, strength: float) -> Alpha:
    """Half transparent pixels come out too thick (below 1) or too thin."""
    return np.asarray(np.rint(255 * (case.alpha / 255.0) ** strength), dtype=np.uint8)


#: Damage -> strengths: lengths / sqrt(object area), shares of frames, shares of alpha. What is
#: judged holds damages that no fit has seen, and other strengths of those it has.
FIT: dict[str, tuple[Damage, tuple[float, ...]]] = {
    "blur": (blur, (0.02, 0.05, 0.12)),
    "erosion": (erosion, (0.015, 0.03, 0.06)),
    "dilation": (dilation, (0.015, 0.04, 0.08)),
    "shift": (shift, (0.02, 0.06, 0.15)),
    "holes": (holes, (0.06, 0.15)),
    "dropped": (dropped, (0.1, 0.4, 1.0)),
    "flicker": (flicker, (0.08, 0.3)),
    "noise": (noise, (0.05, 0.2)),
    "wrong instance": (wrong_instance, (0.1, 0.6)),
    "lag": (lag, (0.3, 1.0)),
}
JUDGE: dict[str, tuple[Damage, tuple[float, ...]]] = {
    "blur": (blur, (0.03, 0.08)),
    "dilation": (dilation, (0.025, 0.06)),
    "shift": (shift, (0.035, 0.1)),
    "holes": (holes, (0.1,)),
    "dropped": (dropped, (0.2,)),
    "flicker": (flicker, (0.15,)),
    "noise": (noise, (0.1,)),
    "wrong instance": (wrong_instance, (0.3,)),
    "erosion": (erosion, (0.02, 0.04, 0.08)),
    "islands": (islands, (0.08, 0.16)),
    "bleed": (bleed, (0.03, 0.08)),
    "cut": (cut, (0.1, 0.2)),
    "gamma": (gamma, (0.4, 2.5)),
    "resets": (resets, (0.02, 0.05)),
    "threshold": (threshold, (0.2, 0.5, 0.8)),
}
WINDOWS = Seams(windows=tuple(range(4, 400, 4)), count=100)
