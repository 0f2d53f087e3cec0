"""What an object looks like, kept small, and how much of that a place in another frame shows. Pure.

    recall it: picture + mask -> Appearance -> find it: in another picture, near a place -> Likeness

An appearance is a template of a few hundred pixels and a table of which colours are the object's
and which those around it. It must be found by all: colours, pixels and their pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.media.masks import decode_rle, rle_box
from mav_pipeline.quality.region import Picture, Plane
from mav_pipeline.schema import Frame, Rle

Point = tuple[float, float]  # (y, x) in source pixels

_SIDE = 16.0  # sqrt(object area) in the template: enough to know it, and a millisecond a search
_LONGEST = 64.0  # side of the template, for objects that are long and thin
_AROUND = 0.5  # background looked at around the object / sqrt(its area)
_REACH = 0.6  # how far from its place an object is searched / sqrt(its area)
_BINS = 8  # of the table of colours, a channel
_RARE = np.float32(2e-3)  # share of the pixels below which a colour is nobody's
_FEWEST = 20, 40  # pixels of object and of background without which nothing can be told
_SEPARATE = 0.1  # share by which object and background must differ in the table
_FLAT = 4.0  # variance in levels: noise, no pattern


@dataclass(frozen=True, slots=True)
class Appearance:
    """An object on one frame.

    Attributes:
        template: (h, w, 3) RGB in levels; ``core`` (h, w) is 1 where it is the object's for sure.
        offset: (y, x) from the middle of the mask's box to the template's, in source pixels.
        step: source pixels a pixel of the template.
        colours: (8, 8, 8) by RGB: how far a colour is the object's, in [0, 1].
        own: mean of that over the object.
        apart: by how much it is less over the background.
        contrast: root mean square difference to the colours around it, in levels.
    """

    template: Picture
    core: Plane
    offset: Point
    step: float
    colours: NDArray[np.float32]
    own: float
    apart: float
    contrast: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """What was found where the pixels agree best.

    Attributes:
        at: (y, x) of the middle of the object's box, in source pixels.
        colour: share of it in the object's own colours, 1 as on the frame it is known from.
        distance: root mean square difference of the pixels / ``Appearance.contrast``.
        pattern: correlation with the template, in [-1, 1].
    """

    at: Point
    colour: float
    distance: float
    pattern: float


def middle(rle: Rle) -> Point:
    """(y, x) of the middle of a mask's box."""
    top, left, bottom, right = rle_box(rle)
    return (top + bottom) / 2, (left + right) / 2


def appearance(frame: Frame, rle: Rle) -> Appearance | None:
    """What the object looks like; None where it cannot be told from what is around it.

    Args:
        frame: (h, w, 3), the whole picture at any size; ``rle`` is at source resolution.
    """
    top, left, bottom, right = rle_box(rle)
    side = float(np.sqrt(rle.area))
    step = max(side / _SIDE, (bottom - top) / _LONGEST, (right - left) / _LONGEST)
    around = _AROUND * side
    corner = top - around, left - around
    size = round((bottom - top + 2 * around) / step), round((right - left + 2 * around) / step)
    shape = rle.height, rle.width
    rgb, inside = _sampled(frame, shape, corner, step, size), _inside(shape, corner, step, size)
    cover = _sampled(decode_rle(rle).view(np.uint8) * np.uint8(255), shape, corner, step, size)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    solid = (cover > 127).view(np.uint8)
    core = cv2.erode(solid, brush).astype(np.bool_)
    if 2 * np.count_nonzero(core) < np.count_nonzero(solid):  # too thin to have an inside
        core = solid.astype(np.bool_)
    around_it = (cv2.dilate((cover > 5).view(np.uint8), brush) == 0) & inside
    own, other = rgb[core], rgb[around_it]
    if len(own) < _FEWEST[0] or len(other) < _FEWEST[1]:
        return None
    a, b = _shares(own), _shares(other)
    colours = a / (a + b + _RARE)
    mine, theirs = (float(colours[_bins(pixels)].mean()) for pixels in (own, other))
    if mine - theirs < _SEPARATE:
        return None
    squares = (own.mean(axis=0) - other.mean(axis=0)) ** 2 + own.var(axis=0) + other.var(axis=0)
    rows, columns = (np.flatnonzero(core.any(axis=axis)) for axis in (1, 0))
    cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    at = [start + step * (s.start + s.stop) / 2 for start, s in zip(corner, cut, strict=True)]
    return Appearance(
        template=rgb[cut].copy(),
        core=core[cut].astype(np.float32),
        offset=(at[0] - (top + bottom) / 2, at[1] - (left + right) / 2),
        step=step,
        colours=colours,
        own=mine,
        apart=mine - theirs,
        contrast=float(np.sqrt(squares.mean())),
    )


def find(
    known: Appearance, frame: Frame, shape: tuple[int, int], at: Point, scale: float = 1.0
) -> Likeness:
    """Searches an object near a place.

    Args:
        shape: (H, W) of the source.
        at: where the middle of its box should be.
        scale: its size there / that which it is known in.
    """
    rows, columns = known.core.shape
    step = known.step * scale
    # In pixels of the template, whatever size the object has here.
    reach = max(2, round(_REACH * float(np.sqrt(known.core.sum()))))
    size = rows + 2 * reach, columns + 2 * reach
    corner = tuple(
        place + scale * away - step * pixels / 2
        for place, away, pixels in zip(at, known.offset, size, strict=True)
    )
    window = _sampled(frame, shape, (corner[0], corner[1]), step, size)
    inside = _inside(shape, (corner[0], corner[1]), step, size)
    apart, pattern = _compared(known, window)
    _, _, (x, y), _ = cv2.minMaxLoc(apart)
    here = slice(y, y + rows), slice(x, x + columns)
    found = known.colours[_bins(window[here])] * inside[here]
    share = float((found * known.core).sum() / known.core.sum())
    return Likeness(
        at=(at[0] + step * (y - reach), at[1] + step * (x - reach)),
        colour=share / known.own,
        distance=float(np.sqrt(max(0.0, float(apart[y, x])))) / max(known.contrast, 1.0),
        pattern=float(pattern[y, x]),
    )


def _compared(known: Appearance, window: Picture) -> tuple[Plane, Plane]:
    """Mean square difference, and correlation, of the template at each place of the window."""
    core, template = known.core, known.template
    count = 3 * float(core.sum())
    mask = cv2.merge([core] * 3)
    apart = cv2.matchTemplate(window, template, cv2.TM_SQDIFF, mask=mask) / count
    planes = [
        cv2.matchTemplate(plane, core, cv2.TM_CCORR) * 3 / count for plane in cv2.split(window)
    ]
    square = cv2.matchTemplate(cv2.multiply(window, window) @ _ONES, core, cv2.TM_CCORR) / count
    pixels = template[core > 0]
    means, own_square = pixels.mean(axis=0), float((pixels**2).mean())
    both = (square + own_square - apart) / 2  # mean product, from the square of the difference
    both = both - sum(p * float(m) for p, m in zip(planes, means, strict=True)) / 3
    spread = square - sum(plane * plane for plane in planes) / 3
    own_spread = max(own_square - float((means**2).mean()), _FLAT)
    pattern = both / np.sqrt(np.maximum(spread, _FLAT) * own_spread)
    return np.asarray(apart, np.float32), np.asarray(pattern, np.float32)


_ONES = np.ones(3, np.float32)


def _sampled(
    picture: NDArray[np.uint8], shape: tuple[int, ...], corner: Point, step: float, size: Any
) -> Picture:
    """(h, w, ...) pixels of ``step`` source pixels from ``corner`` on, averaged; edges go on."""
    down, right = (side / whole for side, whole in zip(picture.shape, shape, strict=False))
    times = int(np.clip(np.ceil(step * max(down, right) / 2), 1, 6))
    fine = down * step / times, right * step / times
    matrix = np.array(
        [
            [fine[1], 0, right * corner[1] + fine[1] / 2 - 0.5],
            [0, fine[0], down * corner[0] + fine[0] / 2 - 0.5],
        ]
    )
    shown = cv2.warpAffine(
        np.ascontiguousarray(picture),
        matrix,
        (size[1] * times, size[0] * times),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    small = cv2.resize(shown, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _inside(shape: tuple[int, ...], corner: Point, step: float, size: Any) -> NDArray[np.bool_]:
    """(h, w), whether each pixel's middle lies in the frame."""
    y, x = (start + step * (np.arange(n) + 0.5) for start, n in zip(corner, size, strict=True))
    return np.asarray(((y >= 0) & (y < shape[0]))[:, None] & ((x >= 0) & (x < shape[1])))


def _bins(pixels: Picture) -> tuple[NDArray[np.intp], ...]:
    """Places in the table of colours; the last axis is RGB in levels."""
    scaled = np.clip(np.rint(pixels * np.float32((_BINS - 1) / 255)), 0, _BINS - 1).astype(np.intp)
    return scaled[..., 0], scaled[..., 1], scaled[..., 2]


def _shares(pixels: Picture) -> NDArray[np.float32]:
    """(8, 8, 8) shares of the colours, spread to their neighbours."""
    flat = np.ravel_multi_index(_bins(pixels), (_BINS,) * 3)
    table: NDArray[np.float32] = (
        np.bincount(flat, minlength=_BINS**3).reshape((_BINS,) * 3).astype(np.float32)
    )
    for axis in range(3):
        edged = np.pad(table, [(1, 1) if n == axis else (0, 0) for n in range(3)])
        low, here, high = (np.take(edged, np.arange(k, k + _BINS), axis) for k in range(3))
        table = (low + 2 * here + high) / np.float32(4)
    return np.asarray(table / table.sum(), np.float32)
