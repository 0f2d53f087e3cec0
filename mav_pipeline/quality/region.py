"""Where scores look: boxes around the mask, and views of them at bounded size. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import AlphaFrame, Frame, Mask

Plane = NDArray[np.float32]  # (h, w)
Picture = NDArray[np.float32]  # (h, w, 3) RGB in [0, 1]
Box = tuple[int, int, int, int]  # top, left, bottom, right, end exclusive

_REACH = 0.05  # half width of the border zone / sqrt(object area), both inwards and outwards
_REACH_PX = (3, 32)  # its bounds: below, a mask's own error; above, a zone that swallows detail
_MARGIN = 0.2  # what a view shows around the mask's box / sqrt(object area): enough background
_LEAST_MARGIN = 8
#: A view has at most so many pixels. The error of a matte is relative to its object, so that what
#: shrinking hides is small; and an object that fills 720p costs what one of 80 pixels does.
VIEW_PIXELS = 6_400

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class View:
    """A frame around its object, alpha and picture on one grid.

    Attributes:
        alpha: (h, w) in [0, 1].
        mask: (h, w), the mask at one half.
        rgb: (h, w, 3).
        unit: sqrt(mask area), in pixels of the view: what lengths are measured in.
        box: what it shows, in source pixels.
    """

    alpha: Plane
    mask: Mask
    rgb: Picture
    unit: float
    box: Box


def reach(area: int) -> int:
    """Half width of the border zone of an object of ``area`` pixels."""
    return int(np.clip(round(_REACH * float(np.sqrt(area))), *_REACH_PX))


def grow(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    """``box`` with ``by`` more pixels on each side, cut at the frame."""
    top, left, bottom, right = box
    return (
        max(0, top - by),
        max(0, left - by),
        min(shape[0], bottom + by),
        min(shape[1], right + by),
    )


def crop(array: NDArray[_T], box: Box) -> NDArray[_T]:
    """A contiguous copy of what the box holds."""
    return np.ascontiguousarray(array[box[0] : box[2], box[1] : box[3]])


def margin(area: int) -> int:
    """What a view shows around the mask's box, in source pixels."""
    return max(_LEAST_MARGIN, round(_MARGIN * float(np.sqrt(area))))


def view(alpha: AlphaFrame, mask: Mask, area: int, frame: Frame, box: Box) -> View:
    """Shows ``box`` of (H, W) alpha and mask and of a frame of any size, shrunk where it is large.

    Args:
        area: of the mask, in source pixels.
        frame: (h, w, 3), the whole picture that alpha and mask lie on.
    """
    height, width = box[2] - box[0], box[3] - box[1]
    scale = min(1.0, (VIEW_PIXELS / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    bits = crop(mask, box).view(np.uint8) * np.uint8(255)
    return View(
        alpha=shrink(crop(alpha, box), size).astype(np.float32) / np.float32(255),
        mask=np.asarray(shrink(bits, size) > 127),
        rgb=picture(frame, box, mask.shape, size).astype(np.float32) / np.float32(255),
        unit=float(np.sqrt(area)) * scale,
        box=box,
    )


def picture(frame: Frame, box: Box, shape: tuple[int, ...], size: tuple[int, int]) -> Frame:
    """What a box of a source of ``shape`` shows in ``frame``, as (width, height) = ``size``."""
    height, width = box[2] - box[0], box[3] - box[1]
    if frame.shape[:2] == shape and height * width <= 4 * size[0] * size[1]:
        return shrink(crop(frame, box), size)
    # Sampled at twice the size, then averaged: exact where the frame has another size than the
    # source, and a third of the time of averaging a large crop.
    down, right = frame.shape[0] / shape[0], frame.shape[1] / shape[1]
    step_y, step_x = down * height / (2 * size[1]), right * width / (2 * size[0])
    matrix = np.array(
        [
            [step_x, 0, right * box[1] + 0.5 * step_x - 0.5],
            [0, step_y, down * box[0] + 0.5 * step_y - 0.5],
        ]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    twice = (2 * size[0], 2 * size[1])
    fine = cv2.warpAffine(frame, matrix, twice, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return shrink(np.asarray(fine, dtype=np.uint8), size)


def shrink(array: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scaled to (width, height): averaged where that is smaller, else interpolated."""
    if array.shape[1::-1] == size:
        return array
    smaller = size[0] * size[1] < array.shape[0] * array.shape[1]
    how: Any = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(array, size, interpolation=how), dtype=np.uint8)
