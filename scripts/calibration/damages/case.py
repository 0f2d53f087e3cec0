"""What a damage is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import Alpha, AlphaFrame, Frames, Mask, Masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a damage may need.

    Attributes:
        alpha: (T, H, W) the matte to spoil.
        frames: (T, H, W, 3) the pictures.
        masks: (T, H, W) bool.
        closed: (T, H, W) what closed_form makes of the masks.
        other: (T, H, W) alpha of another object.
        side: sqrt(object area) in pixels.
        visible: (T,) bool.
    """

    alpha: Alpha
    frames: Frames
    masks: Masks
    closed: Alpha
    other: Alpha
    side: float
    visible: Mask
    seed: int

    def rng(self) -> np.random.Generator:
        """The same one each time."""
        return np.random.default_rng(self.seed)


Damage = Callable[[Case, float], Alpha]


def disc(radius: float) -> NDArray[np.uint8]:
    """An ellipse of 3 x 3 pixels or more."""
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)


def each(alpha: Alpha, change: Callable[[AlphaFrame], AlphaFrame]) -> Alpha:
    """Every frame changed by itself."""
    return np.stack([change(frame) for frame in alpha])


def levels(values: NDArray[np.floating]) -> Alpha:
    """[0, 255], rounded and clipped to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def around(case: Case, reach: float) -> Iterator[Mask]:
    """Per frame, where the object is, or nearer to it than ``reach`` x side."""
    for frame in case.alpha:
        yield cv2.dilate(frame, disc(reach * case.side)) > 12
