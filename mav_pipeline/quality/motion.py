"""How a matte changes from frame to frame, beyond what its object does. Pure."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mav_pipeline.quality.region import Box, View, picture
from mav_pipeline.schema import AlphaFrame, Frame, Mask

_SIDE = 48  # of the square that flow is computed on
_LIKENESS = 0.06  # colour difference after the flow above which it is not believed
_Y, _X = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)


def compensated(
    seen: View, shape: tuple[int, ...], alpha: AlphaFrame, frame: Frame, shift: tuple[int, int]
) -> dict[str, float]:
    """Change of alpha along the picture's motion.

    Args:
        seen: this frame; ``shape`` is that of the source.
        alpha, frame: the frame before, whole.
        shift: (down, right) by which the object moved since, in source pixels.
    """
    # Moved by the centre's step, both boxes show the object in one place: flow is left the rest.
    then = _moved(seen.box, shift, shape)
    size = (_SIDE, _SIDE)
    before = picture(frame, then, shape, size)
    matte_before = picture(alpha, then, shape, size)
    rgb = cv2.resize(seen.rgb, size, interpolation=cv2.INTER_AREA)
    matte = cv2.resize(seen.alpha, size, interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor((rgb * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    gray_before = cv2.cvtColor(before, cv2.COLOR_RGB2GRAY)
    start: Any = None
    # Farneback's flow does not depend on the number of threads; DIS does.
    flow = cv2.calcOpticalFlowFarneback(gray, gray_before, start, 0.5, 2, 9, 2, 5, 1.1, 0)
    at = (_X + flow[..., 0], _Y + flow[..., 1])
    edge = cv2.BORDER_REPLICATE
    warped = cv2.remap(matte_before, *at, cv2.INTER_LINEAR, borderMode=edge)
    looks = cv2.remap(before, *at, cv2.INTER_LINEAR, borderMode=edge).astype(np.float32) / 255
    alike = cv2.cvtColor(cv2.absdiff(looks, rgb), cv2.COLOR_RGB2GRAY) < _LIKENESS
    change = np.abs(warped.astype(np.float32) / 255 - matte)
    return {
        "warp_change": float(change[alike].sum(dtype=np.float64)),
        "warp_alpha": float(matte[alike].sum(dtype=np.float64)),
    }


def _moved(box: Box, shift: tuple[int, int], shape: tuple[int, ...]) -> Box:
    """Where the box was before the shift, kept inside the frame."""
    down = min(max(-shift[0], -box[0]), shape[0] - box[2])
    right = min(max(-shift[1], -box[1]), shape[1] - box[3])
    return box[0] + down, box[1] + right, box[2] + down, box[3] + right


def centre(shown: Mask, box: Box) -> tuple[float, float]:
    """(y, x) of a mask's centre of mass in the frame; ``shown`` is what ``box`` holds of it."""
    bits = shown.view(np.uint8)
    # Counts along rows and columns are exact, and a tenth of the time of cv2.moments.
    rows, columns = (
        cv2.reduce(bits, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() for axis in (1, 0)
    )
    mass = int(rows.sum())
    across, down = (int(np.arange(len(n)) @ n) / mass for n in (columns, rows))
    return down + box[0], across + box[1]
