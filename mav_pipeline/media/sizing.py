"""Working sizes: what a backend sees of a source frame, and the way back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from mav_pipeline.schema import AlphaFrame, Frame, WorkingSize

#: Of ``fit`` with sides that must be multiples: how far the aspect ratio may be off, and how much
#: of the area must be left, for a size without padding to be taken.
_ASPECT, _AREA = 0.02, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """How source frames become working frames (``matting.size``).

    Attributes:
        mode: ``fit`` scales to at most ``max_pixels``, never up: to a size whose sides are
            multiples, within 2% of the aspect ratio, if one keeps 90% of the area that there could
            be; else isotropically, padded to multiples. ``native`` pads only; ``stretch`` scales
            both sides to ``width`` x ``height``, as the script released with VideoMaMa does.
        max_pixels: upper bound of the padded area, for ``fit``; passed only where a single multiple
            a side passes it.
        multiple: sides of the padded frame are multiples of this.

    Frames shrink by area and masks too, at one half; the released script's are bilinear throughout,
    which leaves out pixels of what it shrinks by more than 2.
    """

    mode: Literal["fit", "native", "stretch"]
    max_pixels: int
    width: int
    height: int
    multiple: int = 1

    def __call__(self, height: int, width: int) -> WorkingSize:
        """The working size of a source of ``height`` x ``width`` pixels."""
        if self.mode == "stretch":
            return self._padded(self.height, self.width)
        if self.mode == "native":
            return self._padded(height, width)
        if self.multiple == 1:
            if height * width <= self.max_pixels:
                return source_size(height, width)
            scale = (self.max_pixels / (height * width)) ** 0.5
            return source_size(max(1, int(height * scale)), max(1, int(width * scale)))
        return self._whole(height, width) or self._scaled(height, width)

    def _whole(self, height: int, width: int) -> WorkingSize | None:
        """The largest size that needs no padding, if one is near enough to the source's."""
        m, found = self.multiple, []
        for h in range(m, height + 1, m):
            for w in {round(width * h / height / m) * m, width * h // height // m * m}:
                fits = m <= w <= width and h * w <= self.max_pixels
                off = abs(w * height / (h * width) - 1)
                if fits and off <= _ASPECT:
                    found.append((h * w, -off, w))
        area, _, w = max(found, default=(0, 0.0, 1))
        if area < _AREA * min(height * width, self.max_pixels):
            return None
        return source_size(area // w, w)

    def _scaled(self, height: int, width: int) -> WorkingSize:
        """The largest of the source's aspect ratio whose padded area is within the bound."""
        m, found = self.multiple, [(1, 1)]
        for padded in range(m, height + m, m):
            room = self.max_pixels // padded // m * m
            if not room:
                break
            h, w = min(padded, height), min(room, width)
            by_height = width * h <= w * height  # which side binds
            h, w = (h, width * h // height) if by_height else (height * w // width, w)
            found.append((max(1, h), max(1, w)))
        return self._padded(*max(found, key=lambda sides: sides[0] * sides[1]))

    def _padded(self, height: int, width: int) -> WorkingSize:
        m = self.multiple
        return WorkingSize(height, width, -(-height // m) * m, -(-width // m) * m)


def source_size(height: int, width: int) -> WorkingSize:
    """The working size that is the source itself."""
    return WorkingSize(height, width, height, width)


def pad(frame: Frame, size: WorkingSize) -> Frame:
    """Edge-pads a scaled frame, (h, w) or (h, w, c), at the bottom and the right."""
    below, right = size.pad_height - frame.shape[0], size.pad_width - frame.shape[1]
    if not (below or right):
        return frame
    widths = ((0, below), (0, right), (0, 0))[: frame.ndim]
    return np.pad(frame, widths, mode="edge")


def scale(frame: Frame, size: WorkingSize) -> Frame:
    """Brings a source frame, (H, W, 3), to its working size and pads it."""
    height, width = frame.shape[:2]
    if (height, width) != (size.height, size.width):
        shrinks = size.height * size.width < height * width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        frame = np.asarray(
            cv2.resize(frame, (size.width, size.height), interpolation=how), np.uint8
        )
    return pad(frame, size)


def restore(alpha: AlphaFrame, size: WorkingSize, height: int, width: int) -> AlphaFrame:
    """Brings one alpha frame from its working size back to ``height`` x ``width``.

    Bilinear, or by area where it shrinks, on 8 bits: it neither rings nor leaves [0, 255].
    """
    alpha = alpha[: size.height, : size.width]
    if alpha.shape == (height, width):
        return np.ascontiguousarray(alpha)
    shrinks = height * width < size.height * size.width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled = cv2.resize(alpha, (width, height), interpolation=how)
    return np.asarray(scaled, dtype=np.uint8)
