"""What pairs of a sure object and a sure background colour nearby say of single pixels.

    points, sure pixels -> nearest of each side -> all pairs -> alpha-hat, its spread, its fit

As in robust matting (Wang and Cohen, "Optimized Color Sampling for Robust Matting", CVPR 2007),
with the mean over pairs that fit in place of the best. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.schema import Frame

Floats = NDArray[np.float32]
Places = NDArray[np.int64]  # pixels in row-major order

NEAREST = 6  # samples of each side: 36 pairs a point
_NOISE = np.float32(0.02**2)  # squared: what sensor and compression add to a colour in [0, 1]
_FIT = 3 * _NOISE  # squared residual of a pair that halves its say, or so
_APART = 6 * _NOISE  # squared |F - B| at which a pair has half a say
_CLEAR = 0.3  # say that a pair has by its |F - B|, from which its residual counts
FAR = np.float32(0.5)  # residual that is the most
_NIL = np.float32(1e-6)
_LITTLE = np.float32(1e-3)  # share of fitting pairs below which none fits


@dataclass(frozen=True, slots=True)
class Sampled:
    """Alpha as the sampled colours give it, at n points.

    Attributes:
        guess: (n,) in [0, 1].
        spread: (n,) how far the pairs disagree, and what noise makes of them.
        steps: (n, 4) by which a pixel to each side of a point lies above it, by the same pairs.
        fit: (n,) mean over pairs of how well the best alpha explains the colour, in [0, 1].
        own_fit: (n,) the same of the alpha that the matte has.
        apart, apart_least: (n,) |F - B|: root mean square of the pairs that have a say, the least.
        rest, own_rest: (n,) least |I - aF - (1 - a)B| of a pair that is told apart, with the best
            alpha and the matte's own; ``FAR`` at most.
        above, below: (n,) mean over pairs of how far the matte's alpha lies above, below theirs.
    """

    guess: Floats
    spread: Floats
    steps: Floats
    fit: Floats
    own_fit: Floats
    apart: Floats
    apart_least: Floats
    rest: Floats
    own_rest: Floats
    above: Floats
    below: Floats

    def first(self, count: int) -> Sampled:
        """Those of the first points."""
        return Sampled(**{f.name: getattr(self, f.name)[:count] for f in fields(self)})


def explain(
    rgb: Frame, points: Places, object_at: Places, ground_at: Places, alpha: Floats
) -> Sampled:
    """Alpha of each point by all pairs of its nearest samples; no point explains itself.

    Args:
        object_at, ground_at: more than ``NEAREST`` sure pixels of each.
        alpha: (n,) in [0, 1], what the matte says.
    """
    width = rgb.shape[1]
    pixel = _colours(rgb, points)
    front = _colours(rgb, _nearest(points, object_at, width))  # (3, k, n)
    back = _colours(rgb, _nearest(points, ground_at, width))
    both = _dot(front[:, :, None], back[:, None])  # (k, k, n)
    to_front, to_back = _dot(pixel[:, None], front), _dot(pixel[:, None], back)
    backs = _dot(back, back)
    # |F - B|^2, (I - B)(F - B), |I - B|^2, multiplied out.
    apart = np.maximum(_dot(front, front)[:, None] - 2 * both + backs, 0)
    along = to_front[:, None] - both - to_back + backs
    over = _dot(pixel, pixel) - 2 * to_back + backs

    place = np.clip(along / (apart + _NIL), 0, 1)
    clear = apart / (apart + _APART)
    rest, own_rest = (
        np.maximum(over - share * (2 * along - share * apart), 0) for share in (place, alpha)
    )
    fit, own_fit = (np.exp(part / (-2 * _FIT)) for part in (rest, own_rest))
    say = (fit + _NIL) * clear + _NIL
    say /= say.sum((0, 1))
    guess = (say * place).sum((0, 1))
    parted = np.maximum((say * place * place).sum((0, 1)) - guess * guess, 0)
    noise = (say * (_NOISE / (apart + _NOISE))).sum((0, 1))
    # Of a pixel beside it only its place along the same lines is asked: a tenth of the time.
    lean = say / (apart + _APART)
    line = (front * lean.sum(1)).sum(1) - (back * lean.sum(0)).sum(1)
    change = _colours(rgb, beside(points, rgb.shape)) - pixel[:, :, None]
    steps = np.clip(guess[:, None] + _dot(change, line[:, :, None]), 0, 1) - guess[:, None]
    return Sampled(
        guess=guess,
        spread=np.sqrt(parted + noise),
        steps=steps,
        fit=(fit * clear).mean((0, 1)),
        own_fit=(own_fit * clear).mean((0, 1)),
        apart=np.sqrt((say * apart).sum((0, 1))),
        apart_least=np.sqrt(apart.min((0, 1))),
        rest=_least(rest, clear),
        own_rest=_least(own_rest, clear),
        above=(say * np.maximum(alpha - place, 0)).sum((0, 1)),
        below=(say * np.maximum(place - alpha, 0)).sum((0, 1)),
    )


def _least(rest: Any, clear: Any) -> Floats:
    found = np.where(clear > _CLEAR, rest, FAR * FAR).min((0, 1))
    return np.asarray(np.minimum(np.sqrt(found), FAR), np.float32)


def likeness(found: Sampled) -> Floats:
    """(n,) how well the matte's own alpha explains a colour, 1 as well as any; up to 2."""
    return np.minimum(found.own_fit / (found.fit + _LITTLE), np.float32(2))


def beside(points: Places, shape: tuple[int, ...]) -> Places:
    """(n, 4) pixels below, above, right and left; at the border of the picture the point itself."""
    y, x = np.divmod(points, shape[1])
    down, up = np.minimum(y + 1, shape[0] - 1), np.maximum(y - 1, 0)
    right, left = np.minimum(x + 1, shape[1] - 1), np.maximum(x - 1, 0)
    pairs = ((down, x), (up, x), (y, right), (y, left))
    return np.stack([rows * shape[1] + columns for rows, columns in pairs], axis=1)


def _nearest(points: Places, samples: Places, width: int) -> Places:
    """(NEAREST, n) of the samples, without the point itself."""
    from scipy.spatial import cKDTree  # a quarter of what every command would else wait for

    away, at = cKDTree(_xy(samples, width)).query(_xy(points, width), NEAREST + 1)
    itself = away[:, :1] < 0.5
    return np.asarray(samples[np.where(itself, at[:, 1:], at[:, :-1])].T, dtype=np.int64)


def _xy(places: Places, width: int) -> Floats:
    return np.stack(np.divmod(places, width), axis=1).astype(np.float32)


def _colours(rgb: Frame, places: Places) -> Floats:
    """(3, ...) RGB in [0, 1] of pixels (...)."""
    found = rgb.reshape(-1, 3)[places].astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(np.moveaxis(found, -1, 0))


def _dot(one: Any, other: Any) -> Any:
    """Over the channels, which come first."""
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
