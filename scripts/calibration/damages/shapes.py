"""Damages of the outline: the matte is somewhere else than the object. Pure."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import Alpha, AlphaFrame

from .case import Case, disc, each


def erosion(case: Case, strength: float) -> Alpha:
    return each(case.alpha, lambda frame: cv2.erode(frame, disc(strength * case.side)))


def dilation(case: Case, strength: float) -> Alpha:
    return each(case.alpha, lambda frame: cv2.dilate(frame, disc(strength * case.side)))


def shift(case: Case, strength: float) -> Alpha:
    angle = case.rng().uniform(0, 2 * np.pi)
    by = strength * case.side * np.array((np.cos(angle), np.sin(angle)))
    return each(case.alpha, lambda frame: moved(frame, float(by[0]), float(by[1])))


def scaled(case: Case, strength: float) -> Alpha:
    """Too large or too small, about its centre."""
    by = 1 + strength * (1 if case.seed % 2 else -1)

    def change(frame: AlphaFrame) -> AlphaFrame:
        moments = cv2.moments(frame)
        if not moments["m00"]:
            return frame
        x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        matrix = np.array([[by, 0, x - by * x], [0, by, y - by * y]])
        return _warped(frame, matrix)

    return each(case.alpha, change)


def warp(case: Case, strength: float) -> Alpha:
    """Bent smoothly, some pixels here and there."""
    height, width = case.alpha.shape[1:]
    rng, wave = case.rng(), max(2.0, 0.15 * case.side)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    fields = rng.normal(size=(2, height, width)).astype(np.float32)
    smooth = [cv2.GaussianBlur(field, (0, 0), wave) for field in fields]
    by = [strength * case.side * field / (field.std() + 1e-6) for field in smooth]
    edge = cv2.BORDER_REPLICATE
    return each(
        case.alpha,
        lambda frame: cv2.remap(frame, x + by[0], y + by[1], cv2.INTER_LINEAR, borderMode=edge),
    )


def holes(case: Case, strength: float) -> Alpha:
    spots = _spots(case, strength, [frame > 200 for frame in case.alpha])
    return np.asarray(np.minimum(case.alpha, 255 - spots), dtype=np.uint8)


def islands(case: Case, strength: float) -> Alpha:
    wide = disc(0.3 * case.side)
    near = [(cv2.dilate(frame, wide) > 20) & (frame < 20) for frame in case.alpha]
    spots = _spots(case, strength, near)
    spots[~case.visible] = 0
    return np.asarray(np.maximum(case.alpha, spots), dtype=np.uint8)


def thin_lost(case: Case, strength: float) -> Alpha:
    """What is thinner than a disc is gone: hair, stalks, wire."""
    brush = disc(strength * case.side)
    return each(case.alpha, lambda frame: cv2.morphologyEx(frame, cv2.MORPH_OPEN, brush))


def gaps_filled(case: Case, strength: float) -> Alpha:
    """What shows through openings narrower than a disc is object: meshes, gaps in hair."""
    brush = disc(strength * case.side)
    return each(case.alpha, lambda frame: cv2.morphologyEx(frame, cv2.MORPH_CLOSE, brush))


def bleed(case: Case, strength: float) -> Alpha:
    """The matte runs out to one side."""
    angle = case.rng().uniform(0, 2 * np.pi)
    spoilt = case.alpha.copy()
    for step in range(1, max(1, round(strength * case.side)) + 1):
        for frame, alpha in zip(spoilt, case.alpha, strict=True):
            by = (step * float(np.cos(angle)), step * float(np.sin(angle)))
            np.maximum(frame, moved(alpha, *by), out=frame)
    return spoilt


def cut(case: Case, strength: float) -> Alpha:
    """A part of the object is missing: a leg, a tail."""
    spoilt = case.alpha.copy()
    for frame in spoilt:
        rows = np.flatnonzero((frame > 127).any(axis=1))
        if len(rows):
            frame[rows[-1] - max(1, round(strength * len(rows))) + 1 :] = 0
    return spoilt


def moved(frame: AlphaFrame, x: float, y: float) -> AlphaFrame:
    """Shifted by a part of a pixel or by many."""
    return _warped(frame, np.array([[1, 0, x], [0, 1, y]], np.float64))


def _warped(frame: AlphaFrame, matrix: NDArray[np.float64]) -> AlphaFrame:
    return np.asarray(cv2.warpAffine(frame, matrix, frame.shape[::-1]), dtype=np.uint8)


def _spots(case: Case, strength: float, where: list[NDArray[np.bool_]]) -> Alpha:
    rng = case.rng()
    found = np.zeros(case.alpha.shape, np.uint8)
    for spots, chosen in zip(found, where, strict=True):
        y, x = np.nonzero(chosen)
        if not len(y):
            continue
        for pick in rng.integers(0, len(y), 3):
            radius = max(1, round(strength * case.side))
            cv2.circle(spots, (int(x[pick]), int(y[pick])), radius, 255, -1)
    return each(found, lambda frame: cv2.GaussianBlur(frame, (3, 3), 0))
