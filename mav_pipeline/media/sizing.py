"""Working sizes: what a backend sees of a source frame, and the way back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from mav_pipeline.schema import AlphaFrame, Frame, WorkingSize


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """How source frames become working frames (``matting.size``).

    Attributes:
        mode: ``fit`` scales isotropically to at most ``max_pixels``, never up, and pads to
            ``multiple``; ``native`` pads only; ``stretch`` scales both sides to ``width`` x
            ``height``, as the script released with VideoMaMa does.
        max_pixels: upper bound of the scaled area, for ``fit``.
        multiple: sides of the padded frame are multiples of this.
    """

    mode: Literal["fit", "native", "stretch"]
    max_pixels: int
    width: int
    height: int
    multiple: int = 1

    def __call__(self, height: int, width: int) -> WorkingSize:
        """The working size of a source of ``height`` x ``width`` pixels."""
        if self.mode == "stretch":
            h, w = self.height, self.width
        else:
            h, w = height, width
            if self.mode == "fit" and h * w > self.max_pixels:
                scale = (self.max_pixels / (h * w)) ** 0.5
                h, w = max(1, int(h * scale)), max(1, int(w * scale))
        m = self.multiple
        return WorkingSize(h, w, -(-h // m) * m, -(-w // m) * m)


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

    Bilinear, on 8 bits: it neither rings nor leaves [0, 255].
    """
    alpha = alpha[: size.height, : size.width]
    if alpha.shape == (height, width):
        return np.ascontiguousarray(alpha)
    scaled = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.uint8)
