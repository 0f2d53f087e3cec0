"""Damages over time: single frames, or how one follows the other. Pure."""

from __future__ import annotations

import cv2
import numpy as np

from mav_pipeline.schema import Alpha, Seams

from .case import Case, disc, levels
from .shapes import moved

WINDOW = 2  # frames that ``resets`` makes at a time
WINDOWS = Seams(windows=tuple(range(WINDOW, 400, WINDOW)), count=100)


def wrong_instance(case: Case, strength: float) -> Alpha:
    """Part of the frames follow another object."""
    spoilt = case.alpha.copy()
    taken = case.rng().random(len(spoilt)) < strength
    taken[np.flatnonzero(case.visible)[0]] = True
    spoilt[taken & case.visible] = case.other[taken & case.visible]
    return spoilt


def dropped(case: Case, strength: float) -> Alpha:
    spoilt = case.alpha.copy()
    shown = np.flatnonzero(case.visible)
    count = max(1, round(strength * len(shown)))
    spoilt[case.rng().permutation(shown)[:count]] = 0
    return spoilt


def lag(case: Case, strength: float) -> Alpha:
    late = np.concatenate([case.alpha[:1], case.alpha[:-1]]).astype(np.float32)
    late[1:][~case.visible[:-1]] = case.alpha[1:][~case.visible[:-1]]
    mixed = (1 - strength) * case.alpha + strength * late
    mixed[~case.visible] = 0
    return levels(mixed)


def flicker(case: Case, strength: float) -> Alpha:
    share = np.ones(len(case.alpha), np.float32)
    share[::2] -= strength
    return levels(case.alpha * share[:, None, None])


def trembling(case: Case, strength: float) -> Alpha:
    """Each frame is shifted its own way."""
    by = case.rng().normal(0, strength * case.side, (len(case.alpha), 2))
    pairs = zip(case.alpha, by, strict=True)
    return np.stack([moved(frame, float(step[0]), float(step[1])) for frame, step in pairs])


def breathing(case: Case, strength: float) -> Alpha:
    """Every second frame is blurred."""
    spoilt = case.alpha.copy()
    for frame in spoilt[::2]:
        frame[:] = cv2.GaussianBlur(frame, (0, 0), strength * case.side)
    return spoilt


def resets(case: Case, strength: float) -> Alpha:
    """Each window is wrong in a way of its own: thinner or thicker."""
    spoilt = case.alpha.copy()
    for start in range(0, len(spoilt), WINDOW):
        part = slice(start, start + WINDOW)
        change = cv2.dilate if (start // WINDOW) % 2 else cv2.erode
        spoilt[part] = [change(frame, disc(strength * case.side)) for frame in case.alpha[part]]
    return spoilt
