"""What the picture says of a matte: colours, edges and the matting equation in the border zone.

    view -> zone; colours of object and background nearby -> sums

All of it asks whether I = a F + (1 - a) B can hold (Porter and Duff, 1984), with F and B averaged
over the sure pixels of the neighbourhood; the mask only says where to look. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.region import Picture, Plane, View
from mav_pipeline.schema import Mask

_ZONE, _ZONE_PX = 0.09, (3, 14)  # half width of the zone / unit, and its bounds in view pixels
_NEAR, _NEAR_PX = 0.25, (5, 32)  # half width of the window that F and B are averaged over
_SURE = 0.05  # alpha within this of 0 or 1 is sure
_NOISE = 0.02  # what sensor and compression add to a colour in [0, 1]
_NIL = np.float32(1e-4)  # squared distance of F and B that is none
_FEW = np.float32(0.01)  # share of sure pixels in a window below which the whole view is asked
_ONES = np.ones((1, 3), np.float32)


@dataclass(frozen=True, slots=True)
class Colours:
    """Object and background around each pixel, and the alpha that they give its colour.

    Attributes:
        distance: (h, w) squared distance of F and B.
        spread_f, spread_b: (h, w) variance of a channel among the sure pixels nearby.
        guess: (h, w) place of the colour on the line from B, 0, to F, 1; unbounded.
        residual: (h, w) squared |I - a F - (1 - a) B|.
    """

    distance: Plane
    spread_f: Plane
    spread_b: Plane
    guess: Plane
    residual: Plane


def measure(seen: View) -> dict[str, float]:
    """Sums over one view; empty where object or background are out of sight."""
    alpha = seen.alpha
    brush = _brush(seen)
    zone = border_zone(seen, brush)
    colours = explain(seen, brush)
    if colours is None:
        return {}
    a, guess = alpha[zone], np.clip(colours.guess[zone], 0, 1)
    clear, distance = 1 - a, colours.distance[zone]
    spread = a * a * colours.spread_f[zone] + clear * clear * colours.spread_b[zone] + _NOISE**2
    gap, doubt = a - guess, np.sqrt(spread / (distance + _NIL))
    sure = np.clip(a, 1e-6, 1 - 1e-6)
    gray = cv2.cvtColor(seen.rgb, cv2.COLOR_RGB2GRAY)
    gx, gy = _gradient(gray)
    return {
        "seen_alpha": _total(alpha),
        "zone": float(a.size),
        "over": _total(np.maximum(gap - doubt, 0)),
        "under": _total(np.maximum(-gap - doubt, 0)),
        "residual": _total(np.sqrt(colours.residual[zone])),
        "distance": _total(np.sqrt(distance)),
        "band": _total(4 * a * clear),
        "entropy": _total(-sure * np.log2(sure) - (1 - sure) * np.log2(1 - sure)),
        "fine": _total(np.abs(cv2.Laplacian(gray, cv2.CV_32F))[zone]),
        "coarse": _total(cv2.magnitude(gx, gy)[zone]),
        **_edges(alpha, np.clip(colours.guess, -0.25, 1.25), zone, seen.unit),
    }


def border_zone(seen: View, brush: NDArray[np.uint8]) -> Mask:
    """Pixels near an edge of the matte or of the mask."""
    solid = (seen.alpha > 0.5).view(np.uint8)
    bits = seen.mask.view(np.uint8)
    wide = cv2.dilate(solid | bits, brush)
    core = cv2.erode(solid & bits, brush, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(wide > core)


def explain(seen: View, brush: NDArray[np.uint8]) -> Colours | None:
    """Averages the sure colours around each pixel; None where one of the two sides is missing."""
    alpha, rgb = seen.alpha, seen.rgb
    three = np.ones((3, 3), np.uint8)
    near = int(np.clip(round(_NEAR * seen.unit), *_NEAR_PX))
    bits = seen.mask.view(np.uint8)
    core = cv2.erode(bits, brush, borderType=cv2.BORDER_REPLICATE)
    wide = cv2.dilate(bits, brush)
    opaque = cv2.bitwise_and(cv2.erode((alpha > 1 - _SURE).view(np.uint8), three), wide)
    clear = cv2.bitwise_and(cv2.erode((alpha < _SURE).view(np.uint8), three), 1 - core)
    if not (opaque.any() and clear.any()):
        return None
    full = cv2.merge([rgb, _dot(rgb, rgb)])
    f, spread_f = _local_mean(full, opaque, near)
    b, spread_b = _local_mean(full, clear, near)
    axis, over = f - b, rgb - b
    distance = _dot(axis, axis)
    along = _dot(over, axis)
    # |over - a axis|^2, multiplied out.
    residual = _dot(over, over) - 2 * alpha * along + alpha * alpha * distance
    return Colours(distance, spread_f, spread_b, along / (distance + _NIL), np.maximum(residual, 0))


def _local_mean(full: Any, sure: Any, near: int) -> tuple[Picture, Plane]:
    """Mean colour of the sure pixels in a window, and its variance a channel.

    Args:
        full: (h, w, 4) RGB and its square.
    """
    window = (2 * near + 1,) * 2
    weight = sure.astype(np.float32)
    count = cv2.blur(weight, window, borderType=cv2.BORDER_CONSTANT)
    parts = full * cv2.merge([weight] * 4)
    total = cv2.blur(parts, window, borderType=cv2.BORDER_CONSTANT)
    everywhere = np.array(cv2.mean(full, sure), np.float32)
    mean = (total + _FEW * everywhere) * cv2.merge([1 / (count + _FEW)] * 4)
    colour = np.ascontiguousarray(mean[..., :3], dtype=np.float32)
    spread = np.maximum(mean[..., 3] - _dot(colour, colour), 0) / np.float32(3)
    return colour, np.asarray(spread, dtype=np.float32)


def _edges(alpha: Plane, guess: Plane, zone: Mask, unit: float) -> dict[str, float]:
    ax, ay = (part[zone] for part in _gradient(alpha))
    gx, gy = (part[zone] for part in _gradient(guess))
    steep = ax * ax + ay * ay
    return {
        "along": _total(ax * gx + ay * gy),
        "own": _total(steep),
        "theirs": _total(gx * gx + gy * gy),
        "outline": _total(np.sqrt(steep)) * unit,
    }


def _brush(seen: View) -> NDArray[np.uint8]:
    half = int(np.clip(round(_ZONE * seen.unit), *_ZONE_PX))
    return np.ones((2 * half + 1,) * 2, np.uint8)


def _dot(one: Any, other: Any) -> Plane:
    """Sum over channels; cv2 does it in a tenth of numpy's time."""
    return np.asarray(cv2.transform(one * other, _ONES), dtype=np.float32)


def _gradient(plane: Any) -> tuple[Plane, Plane]:
    """Central differences along x and y, per pixel."""
    gx = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(gx, dtype=np.float32), np.asarray(gy, dtype=np.float32)


def _total(values: Any) -> float:
    return float(values.sum(dtype=np.float64))
