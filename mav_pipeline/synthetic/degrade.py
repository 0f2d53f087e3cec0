"""Masks made as poor as real ones may be: downsampled, polygons, blobs, lost frames. Pure.

Downsampling and polygons are those of VideoMaMa's mask ablation (arXiv 2601.14255).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mav_pipeline.schema import Mask, Masks

_PAPER = 1024  # longer side of the frames that VideoMaMa sees

Degradation = Callable[[Masks], Masks]


def _each(change: Callable[[Mask], Mask]) -> Degradation:
    return lambda masks: np.stack([change(mask) if mask.any() else mask for mask in masks])


def _downsample(times: float, *, scaled: bool) -> Callable[[Mask], Mask]:
    def change(mask: Mask) -> Mask:
        height, width = mask.shape
        factor = times * max(height, width) / _PAPER if scaled else times
        small = (max(1, round(width / factor)), max(1, round(height / factor)))
        share = cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        back = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
        found = np.asarray(back > 0.5)
        return found if found.any() else mask  # a tracker would not lose it

    return change


def _polygon(epsilon: float) -> Callable[[Mask], Mask]:
    def change(mask: Mask) -> Mask:
        found = np.zeros(mask.shape, np.uint8)
        outlines, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        for outline in outlines:
            simple = cv2.approxPolyDP(outline, epsilon * cv2.arcLength(outline, True), True)
            cv2.fillPoly(found, [simple], 1)
        return found.astype(np.bool_)

    return change


def _blob(share: float) -> Callable[[Mask], Mask]:
    """A hand that paints over hair, leaves and gaps: closed, then grown."""

    def change(mask: Mask) -> Mask:
        side = float(np.sqrt(np.count_nonzero(mask)))
        wide, narrow = max(3, round(4 * share * side)) | 1, max(3, round(share * side)) | 1
        closing = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
        growing = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (narrow, narrow))
        padded = np.pad(mask.astype(np.uint8), wide)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, closing)[wide:-wide, wide:-wide]
        return np.asarray(cv2.dilate(closed, growing).astype(np.bool_))

    return change


def _lost(every: int) -> Degradation:
    """A tracker that loses its object on one frame of ``every``, never on the first."""

    def change(masks: Masks) -> Masks:
        found = masks.copy()
        found[every - 1 :: every] = False
        return found

    return change


#: Name -> what it makes of (T, H, W) masks. x8, x32, .001 and .005 (of the arc length) are the
#: paper's, the first two in proportion to its frames; "32 px" is x32 on small frames themselves,
#: which leaves 12 x 7 pixels of a picture of 384 x 216, fewer than most objects need.
DEGRADATIONS: dict[str, Degradation] = {
    "down8": _each(_downsample(8, scaled=True)),
    "down32": _each(_downsample(32, scaled=True)),
    "32 px": _each(_downsample(32, scaled=False)),
    "poly.001": _each(_polygon(0.001)),
    "poly.005": _each(_polygon(0.005)),
    "poly.02": _each(_polygon(0.02)),
    "blob.06": _each(_blob(0.06)),
    "blob.12": _each(_blob(0.12)),
    "lost.1": _lost(10),
    "lost.3": _lost(3),
}
