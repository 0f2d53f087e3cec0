"""Where thin things are drawn: larger, at fractions of a pixel, then averaged down. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.synthetic.texture import Picture, Plane

SUPER = 4  # silhouettes and strands are drawn this much larger, then averaged down
_BITS = 4  # of a fraction of a pixel, as OpenCV takes them

Points = NDArray[np.float64]  # (N, 2): x, y


@dataclass(frozen=True, slots=True)
class Shape:
    """What a kind makes of a body.

    Attributes:
        alpha: (S, S) in [0, 1].
        shade: of its colour, multiplied: (S, S), or (S, S, 3) where parts have a tint.
        cover: (S, S), what an annotator who does not follow it takes for the object; None where
            that is the alpha itself.
    """

    alpha: Plane
    shade: Plane | Picture
    cover: Plane | None = None


class Canvas:
    """Parts of a sprite of (size, size), each with a tint; later ones hide earlier ones."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._drawn = np.zeros((size * SUPER, size * SUPER), np.uint8)
        self._tint = np.zeros((size * SUPER, size * SUPER, 3), np.uint8)

    def ribbon(self, points: Points, widths: NDArray[np.float64], tint: object) -> None:
        """A line of changing width, in pixels of the sprite.

        Args:
            points: (N, 2), N at least 2; widths: (N,).
            tint: a number or three, of which 1 leaves the colour as it is.
        """
        along = np.gradient(points, axis=0)
        along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        # OpenCV fills what the outline touches too: half a pixel more to each side.
        half = np.maximum(widths / 2 - 0.5 / SUPER, 0.5 / SUPER)[:, None]
        aside = np.stack([-along[:, 1], along[:, 0]], axis=1) * half
        left, right = points + aside, points - aside
        self._fill(np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1), tint)

    def patch(self, outline: Points, tint: object) -> None:
        """A filled outline, (N, 2) in pixels of the sprite."""
        self._fill(outline[None], tint)

    def hole(self, outline: Points) -> None:
        """Takes away what is inside an outline."""
        cv2.fillPoly(self._drawn, [_fixed(outline)], 0, cv2.LINE_8, _BITS)

    def keep(self, where: Plane) -> None:
        """Takes away what lies outside (size, size) coverage."""
        sides = self._drawn.shape
        wide = cv2.resize(where, sides, interpolation=cv2.INTER_LINEAR)
        self._drawn[wide < 0.5] = 0

    def read(self) -> tuple[Plane, Picture]:
        """Coverage (size, size) in [0, 1] and the tint of what is covered, (size, size, 3)."""
        small = (self._size, self._size)
        drawn = cv2.resize(self._drawn, small, interpolation=cv2.INTER_AREA)
        self._tint[self._drawn == 0] = 0
        tint = cv2.resize(self._tint, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        share: Picture = drawn.astype(np.float32)[..., None] / np.float32(255)
        tint = np.where(share > 0, tint / np.maximum(share, 1 / 32) / _ONE, 1)
        return np.asarray(share[..., 0]), np.asarray(tint, dtype=np.float32)

    def _fill(self, outlines: NDArray[np.float64], tint: object) -> None:
        """Fills each of (M, N, 2)."""
        shades = np.clip(np.broadcast_to(np.asarray(tint, np.float64), 3) * _ONE, 0, 255)
        colour = tuple(shades.tolist())
        for points in _fixed(outlines):
            cv2.fillPoly(self._drawn, [points], 255, cv2.LINE_8, _BITS)
            cv2.fillPoly(self._tint, [points], colour, cv2.LINE_8, _BITS)


_ONE = 128.0  # the tint that leaves a colour as it is


def _fixed(outline: Points) -> NDArray[np.int32]:
    """To the canvas: pixel centres lie at whole numbers there."""
    at = np.round((outline * SUPER + (SUPER - 1) / 2) * 2**_BITS)
    return np.asarray(at, dtype=np.int32)
