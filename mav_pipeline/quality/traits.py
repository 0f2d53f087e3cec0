"""What can be seen at a pixel that tells whether its alpha is right. Pure.

    patch, points, colours' alpha -> (points, traits)

Four kinds: what sampled colours say and how far they are to be trusted; how alpha lies in its
neighbourhood; where the mask's edge is; how much the picture changes there. Lengths are pixels:
lenses and codecs blur by pixels, whatever the size of an object. No trait is a colour, a place in
the frame or a size of the object.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.pairs import Floats, Places, Sampled, beside, likeness
from mav_pipeline.schema import AlphaFrame, Frame

_OWN = (
    *("guess", "spread", "apart", "gap", "gap_size", "fit", "own_fit", "likeness"),
    *("pairs_below", "pairs_above", "residual", "own_residual", "apart_least"),
    *("alpha", "unsure", "haze", "mean_3", "mean_9", "mean_25", "detail_3", "detail_9"),
    *("highest", "lowest", "range", "speck"),
    *("steps", "steps_guess", "steps_along", "gap_beside"),
    *("depth", "edge", "mask_9", "apart_9", "contrast_3", "contrast_7"),
)
#: Whose means over all points tell how hard an object is, and how far its colours can be trusted.
_SHARED = (
    *("spread", "own_residual", "residual", "gap_size"),
    *("unsure", "contrast_7", "likeness", "apart"),
)
#: What the fitted network is asked about, in this order.
NAMES = (*_OWN, *(f"all_{name}" for name in _SHARED))

_LEVELS = np.float32(255)
_HAZE = 0.05  # alpha so near to 0 or 1 is haze, if it should be 0 or 1
_NEAR = 4.0  # pixels from the mask's edge
_LITTLE = 1e-3  # share of pairs that fit, of which the logarithm is taken


def describe(
    alpha: AlphaFrame,
    bits: NDArray[np.uint8],
    rgb: Frame,
    points: Places,
    stands_for: Floats,
    found: Sampled,
) -> Floats:
    """(n, traits) in the order of ``NAMES``.

    Args:
        alpha, bits, rgb: (h, w, ...), ``bits`` 1 in the mask.
        points: (n,) pixels, each of which stands for so many; ``found`` says what colours make
            of them.
    """
    own = alpha.ravel()[points].astype(np.float32) / _LEVELS
    traits = {
        **_colours(own, found),
        **_levels(alpha, points, own),
        **_steps(alpha, points, own, found),
        **_mask(alpha, bits, points),
        **_picture(rgb, points),
    }
    share = stands_for / stands_for.sum()
    means = [np.full(len(points), (share * traits[name]).sum()) for name in _SHARED]
    return np.stack([*(traits[name] for name in _OWN), *means], axis=1).astype(np.float32)


def _colours(own: Floats, found: Sampled) -> dict[str, Floats]:
    gap = own - found.guess
    return {
        "guess": found.guess,
        "spread": found.spread,
        "apart": found.apart,
        "gap": gap,
        "gap_size": np.abs(gap),
        "fit": np.log(found.fit + np.float32(_LITTLE)),
        "own_fit": np.log(found.own_fit + np.float32(_LITTLE)),
        "likeness": likeness(found),
        "pairs_below": found.below,
        "pairs_above": found.above,
        "residual": found.rest,
        "own_residual": found.own_rest,
        "apart_least": found.apart_least,
    }


def _levels(alpha: AlphaFrame, points: Places, own: Floats) -> dict[str, Floats]:
    five = np.ones((5, 5), np.uint8)
    near, around, wide = (_at(cv2.blur(alpha, (n, n)), points) for n in (3, 9, 25))
    high, low = (_at(change(alpha, five), points) for change in (cv2.dilate, cv2.erode))
    return {
        "alpha": own,
        "unsure": 4 * own * (1 - own),
        "haze": _haze(own) + _haze(1 - own),
        "mean_3": near,
        "mean_9": around,
        "mean_25": wide,
        "detail_3": own - near,
        "detail_9": np.abs(own - around),
        "highest": high,
        "lowest": low,
        "range": high - low,
        "speck": np.abs(own - _at(cv2.medianBlur(alpha, 3), points)),
    }


def _haze(share: Floats) -> Floats:
    return np.asarray(np.exp(share / np.float32(-_HAZE)) * (share > 0), np.float32)


def _steps(alpha: AlphaFrame, points: Places, own: Floats, found: Sampled) -> dict[str, Floats]:
    """Of the four pixels beside: what alpha and alpha-hat change by, and how far they part."""
    there = alpha.ravel()[beside(points, alpha.shape)].astype(np.float32) / _LEVELS
    steps = there - own[:, None]
    apart = there - (found.guess[:, None] + found.steps)
    along = (steps * found.steps).mean(1)
    return {
        "steps": np.sqrt((steps * steps).mean(1)),
        "steps_guess": np.sqrt((found.steps * found.steps).mean(1)),
        "steps_along": np.sign(along) * np.sqrt(np.abs(along)),
        "gap_beside": np.abs(apart).mean(1),
    }


def _mask(alpha: AlphaFrame, bits: NDArray[np.uint8], points: Places) -> dict[str, Floats]:
    depth = _depth(bits, points) - _depth(1 - bits, points)
    mask, matte = (_at(cv2.blur(a, (9, 9)), points) for a in (bits * np.uint8(255), alpha))
    return {
        "depth": np.tanh(depth / np.float32(_NEAR)),
        "edge": np.exp(np.abs(depth) / np.float32(-_NEAR)),
        "mask_9": mask,
        "apart_9": np.abs(matte - mask),
    }


def _depth(bits: Any, points: Places) -> Floats:
    return np.asarray(cv2.distanceTransform(bits, cv2.DIST_L2, 3).ravel()[points], np.float32)


def _picture(rgb: Frame, points: Places) -> dict[str, Floats]:
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return {
        f"contrast_{size}": _at(
            cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((size, size), np.uint8)), points
        )
        for size in (3, 7)
    }


def _at(plane: Any, points: Places) -> Floats:
    return np.asarray(plane.ravel()[points], np.float32) / _LEVELS
