"""What a mask says of alpha: where it is sure, a soft edge elsewhere, and how far to trust that.

    mask -> signed distance -> trimap + prior
         -> thin parts      -> weight of the prior

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import Mask

Floats = NDArray[np.float64]

#: Weight of the mask's own soft edge against the Laplacian, whose diagonal is about 8. It decides
#: where colours say nothing, and makes the system positive definite: no seed can be missing, and
#: conjugate gradients need some 50 steps, without an incomplete Cholesky, which may fail. On
#: sav_mini 1e-3, 0.02, 0.1 gave MAD 1.9, 1.8, 2.0 (the mask: 4.2).
PRIOR_WEIGHT = 0.02
#: What that weight gains where the mask is thin. There the band holds no sure pixel for colours to
#: spread from, and they come to "one half" on both sides: wires turn into fog.
THIN_WEIGHT = 0.3
#: Half width of the prior's ramp in pixels, about what a lens and a codec make of an edge. A ramp
#: over the whole band says "one half" of all that is thinner than the band.
RAMP = 1.5
#: Half width of the band in pixels where the mask is thin: single hairs leave it farther.
THIN_BAND = 6.0
#: Opening or closing by an ellipse of so many pixels across changes what is thin.
_THIN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
_THIN_BLUR = 2.5  # standard deviation, pixels: neighbours of thin parts are trusted alike


@dataclass(frozen=True, slots=True)
class Trimap:
    """What the mask says of a crop.

    Attributes:
        foreground, unknown: (h, w) bool; what is neither is background.
        prior: (h, w) in [0, 1]: 1 and 0 away from the mask's edge, a ramp of ``RAMP`` across it.
        weight: (h, w), how much the prior counts.
        inside, outside: (h, w) distance to the mask's edge, in pixels; negative beyond it.
    """

    foreground: Mask
    unknown: Mask
    prior: Floats
    weight: Floats
    inside: Floats
    outside: Floats


def crop_around(mask: Mask, margin: int) -> tuple[slice, slice]:
    """(rows, columns) of the non-empty mask's box, grown by ``margin`` and cut at the borders."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(top - margin, 0), top + height + margin)
    return rows, slice(max(left - margin, 0), left + width + margin)


def make_trimap(mask: Mask, half: float) -> Trimap:
    """An unknown band reaching ``half`` pixels to both sides of the mask's edge.

    A mask so thin that this would leave no sure foreground keeps its deepest half: the inner reach
    shrinks to half its greatest depth. Outside the band keeps its width, since a thin mask is not
    a more exact one; around thin parts it is ``THIN_BAND`` wide at least. The image border is no
    edge.
    """
    inside, outside = _depth(mask), _depth(~mask)
    thin = thinness(mask)
    reach = min(half, 0.5 * float(inside.max()))
    foreground = mask & (inside >= reach)
    wide = np.where(thin > 0.5, max(half, THIN_BAND), half)
    unknown = ~foreground & (mask | (outside < wide))
    # A mask whose greatest depth is less than the ramp is sure at that depth.
    ramp = np.where(mask, inside / min(RAMP, float(inside.max())), -outside / RAMP)
    prior = np.clip(0.5 + 0.5 * ramp, 0.0, 1.0)
    return Trimap(foreground, unknown, prior, PRIOR_WEIGHT + THIN_WEIGHT * thin, inside, outside)


def thinness(mask: Mask) -> Floats:
    """(h, w) in [0, 1]: how much of the neighbourhood is wires, hairs, or gaps as narrow."""
    margin = _THIN.shape[0]
    bits: Any = np.pad(mask.view(np.uint8), margin, mode="edge")
    changed = np.zeros(mask.shape, np.bool_)
    for step in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        without = cv2.morphologyEx(bits, step, _THIN)[margin:-margin, margin:-margin]
        changed |= without != mask.view(np.uint8)
    thin = cv2.GaussianBlur(changed.astype(np.float32), (0, 0), _THIN_BLUR)
    return np.asarray(thin, dtype=np.float64)


def _depth(mask: Mask) -> Floats:
    """Distance of a mask's pixels to its edge, half a pixel at the edge itself."""
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(distance, dtype=np.float64) - 0.5
