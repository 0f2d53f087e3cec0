"""Alpha of single pixels by the colours of object and background nearby.

    mask -> its deepest pixels and the ground's, place by place -> nearest of each to a pixel
         -> the alpha that each pair of colours gives it, weighed by how well it fits -> mean, trust

Where a mask is thin or too wide none of its pixels is sure, but the deepest of a neighbourhood are
the likeliest to be the object. Colour sampling after Wang and Cohen, "Optimized Color Sampling for
Robust Matting", CVPR 2007, with all pairs in place of the best. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.matting.trimap import Floats, Trimap
from mav_pipeline.schema import Frame, Mask

Values = NDArray[np.float32]  # (...)
Colours = NDArray[np.float32]  # (3, ...) RGB in [0, 1]

_NEIGHBOURS = 6  # colours of each side for a pixel: 36 pairs
_SAMPLES = 4_000  # colours of each side at most
_NEAR = 12  # pixels: as far from the band colours are looked for
_DEEP = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))  # what "the deepest" is asked of
_DEEP_SHARE = 0.6  # of the neighbourhood's greatest depth
_EDGE = 0.9  # pixels: what is nearer to the edge is mixed
_NOISE = 0.02  # what sensor and compression add to a colour in [0, 1]
_DOUBT = 0.02  # variance of alpha among pairs at which trust is one half
_APART = np.float32(0.01)  # squared distance of two colours at which a pair counts half
_NIL = np.float32(1e-4)  # squared distance that is none
_SHARP = np.float32(-1 / (4 * _NOISE**2))  # of a residual: two colours' noise in the exponent
_LEAST = np.float32(1e-6)  # weight of a pair that does not fit
_FITTING = 0.3  # share of pairs that must fit for full trust


@dataclass(frozen=True, slots=True)
class Evidence:
    """What colours say of some pixels.

    Attributes:
        alpha: (n,) in [0, 1].
        trust: (n,) in [0, 1]: 0 where no pair fits, or where those that do disagree.
    """

    alpha: Floats
    trust: Floats


def evidence(image: Frame, trimap: Trimap) -> Evidence | None:
    """Of the unknown pixels, in row-major order; None where a side has no pixel near them."""
    from scipy.spatial import cKDTree

    near = np.ones((2 * _NEAR + 1,) * 2, np.uint8)
    zone = cv2.dilate(trimap.unknown.view(np.uint8), near).view(np.bool_)
    mask = trimap.inside > 0
    planes = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
    places = np.argwhere(trimap.unknown)
    sides = []
    for depth, where in ((trimap.inside, mask), (trimap.outside, ~mask)):
        found = _deepest(depth, where & zone)
        if not len(found):
            return None
        count = min(_NEIGHBOURS, len(found))
        nearest = cKDTree(found).query(places, k=range(1, count + 1))[1]
        sides.append(_colours(planes, found[nearest.T]))
    return _pairs(_colours(planes, places), *sides)


def _deepest(depth: Floats, where: Mask) -> NDArray[np.int64]:
    """(n, 2) rows and columns of pixels about as deep as any near them, ``_SAMPLES`` at most."""
    known = np.where(where, depth, 0).astype(np.float32)
    most = cv2.dilate(known, _DEEP)
    found = np.argwhere(where & (known >= _DEEP_SHARE * most) & (known >= _EDGE))
    if not len(found):
        found = np.argwhere(where)
    return found[:: -(-len(found) // _SAMPLES) or 1]


def _colours(planes: Colours, places: NDArray[np.int64]) -> Colours:
    """(3, ...) of (..., 2) rows and columns."""
    return planes[:, places[..., 0], places[..., 1]]


def _pairs(colour: Colours, front: Colours, back: Colours) -> Evidence:
    """Mean alpha over all pairs of ``front`` and ``back``, each (3, k, n), and its trust."""
    pixel, fronts, backs = _dot(colour, colour), _dot(front, front), _dot(back, back)
    to_front, to_back = _dot(colour[:, None], front), _dot(colour[:, None], back)
    total, first, second = (np.zeros(pixel.shape, np.float32) for _ in range(3))
    for i, f in enumerate(front.transpose(1, 0, 2)):
        for j, b in enumerate(back.transpose(1, 0, 2)):
            both = _dot(f, b)
            # |F - B|^2, (I - B)(F - B) and |I - aF - (1 - a)B|^2, multiplied out.
            apart = np.maximum(fronts[i] - 2 * both + backs[j], 0) + _NIL
            along = to_front[i] - both - to_back[j] + backs[j]
            alpha = np.clip(along / apart, 0, 1)
            residual = pixel - 2 * to_back[j] + backs[j] - alpha * (2 * along - alpha * apart)
            weight = np.exp(residual * _SHARP) * apart / (apart + _APART) + _LEAST
            total += weight
            weight *= alpha
            first += weight
            weight *= alpha
            second += weight
    mean = front.mean(axis=1) - back.mean(axis=1)
    alpha = first / total
    doubt = np.maximum(second / total - alpha * alpha, 0) + _NOISE**2 / (_dot(mean, mean) + _NIL)
    fitting = np.minimum(total / np.float32(_FITTING * front.shape[1] * back.shape[1]), 1)
    trust = fitting * _DOUBT / (_DOUBT + doubt)
    return Evidence(alpha.astype(np.float64), trust.astype(np.float64))


def _dot(one: Colours, other: Colours) -> Values:
    """Over the channels, which come first."""
    found: Values = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return found
