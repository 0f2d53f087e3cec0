"""Fits the network of ``quality.expected`` to points of mattes whose truth is known. Pure.

    loss = over mattes |log expected - log error|, robustly
         + over points cross-entropy
         + over pairs of one masklet's mattes, how far they are in the wrong order

The first says what a whole matte's error is, from .005 up, whatever its size; the second which of
its pixels are wrong; the third tells the truth from what a backend makes of the same mask. Sources
weigh alike, as in ``fit``.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.expected import UNUSUAL, Network

from .cases import Row
from .fit import FLOOR, shares
from .points import Points

Singles = NDArray[np.float32]
Places = NDArray[np.int64]

WIDTHS = (16, 8)  # of the hidden layers: 24 and 12 were no better on sources left out
_EACH = 64  # points of a matte that are drawn to fit to
_TIMES = 30  # that all mattes are gone through
_GROUPS = 5  # masklets with one of their masks, whose mattes are gone through at a time
_RATE = 3e-3  # of Adam, falling to 0 as a cosine
_MOMENTS = (0.9, 0.999)
_TINY = 1e-8
_LEAST_SCALE = 1e-3
#: Times what a damaged matte weighs: most mattes are undamaged, and the truth must be told from
#: what a backend makes.
_PLAIN = 3
_PAIRS = np.float32(0.5)  # weight of the loss of pairs
_SOFT = np.float32(0.5)  # difference of logarithms at which a pair is about settled
_START = -3.0  # odds of an error before anything is fitted: few pixels are wrong
_SEED = 0


@dataclass(slots=True)
class _Data:
    """Mattes' points, drawn and scaled.

    Attributes:
        traits: (rows, each, k); ``weight`` (rows, each) is 0 where a matte has fewer points.
        wrong: (rows, each) in [0, 1].
        aim: (rows,) logarithm of the error; ``share`` what a row weighs, 1 in the mean.
        groups: rows of one masklet with one mask.
    """

    traits: Singles
    weight: Singles
    wrong: Singles
    aim: Singles
    share: Singles
    groups: list[Places]


def untrained(names: Sequence[str]) -> Network:
    """One that knows nothing, for scores whose network is still to be fitted."""
    count = len(names)
    layers = ((np.zeros((count, 1)), np.full(1, _START)),)
    return Network(tuple(names), np.zeros(count), np.ones(count), layers)


def train(rows: Sequence[Row], points: Sequence[Points], names: Sequence[str]) -> Network:
    """A network for these mattes; rows without points are passed over.

    Args:
        names: of the traits.
    """
    rng = np.random.default_rng(_SEED)
    some = [n for n, seen in enumerate(points) if len(seen.wrong)]
    data, mean, scale = _drawn([rows[n] for n in some], [points[n] for n in some], rng)
    widths = (data.traits.shape[-1], *WIDTHS, 1)
    values: list[Singles] = []
    for before, after in itertools.pairwise(widths):
        bound = before**-0.5
        values.append(rng.uniform(-bound, bound, (before, after)).astype(np.float32))
        values.append(np.zeros(after, np.float32))
    values[-1][:] = _START
    _descend(data, values, rng)
    pairs = zip(values[::2], values[1::2], strict=True)
    layers = tuple((m.astype(np.float64), b.astype(np.float64)) for m, b in pairs)
    return Network(tuple(names), mean, scale, layers)


def _drawn(
    rows: Sequence[Row], points: Sequence[Points], rng: np.random.Generator
) -> tuple[_Data, NDArray[np.float64], NDArray[np.float64]]:
    count = points[0].traits.shape[1]
    traits = np.zeros((len(rows), _EACH, count), np.float32)
    weight, wrong = (np.zeros((len(rows), _EACH), np.float32) for _ in range(2))
    for index, seen in enumerate(points):
        chosen = rng.permutation(len(seen.wrong))[:_EACH]
        some = slice(len(chosen))
        traits[index, some] = seen.traits[chosen]
        weight[index, some] = seen.weight[chosen] * (len(seen.wrong) / len(chosen))
        wrong[index, some] = seen.wrong[chosen] / np.float32(255)
    there = traits[weight > 0]
    mean, scale = there.mean(axis=0), there.std(axis=0) + _LEAST_SCALE
    np.clip((traits - mean) / scale, -UNUSUAL, UNUSUAL, out=traits)
    aim = np.log(np.array([row.error for row in rows]) + FLOOR).astype(np.float32)
    share = shares([(row.source, row.mask == "faithful") for row in rows])
    share *= [_PLAIN if row.plain else 1 for row in rows]
    share *= len(rows) / share.sum()
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        places[row.group].append(index)
    groups = [np.array(at) for at in places.values()]
    data = _Data(traits, weight, wrong, aim, share.astype(np.float32), groups)
    return data, mean.astype(np.float64), scale.astype(np.float64)


def _descend(data: _Data, values: list[Singles], rng: np.random.Generator) -> None:
    """Adam: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015."""
    total = _TIMES * -(-len(data.groups) // _GROUPS)
    means, squares = ([np.zeros_like(value) for value in values] for _ in range(2))
    for step, chosen in enumerate(_batches(data.groups, rng)):
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / total))
        keep = [1 - moment ** (step + 1) for moment in _MOMENTS]
        for value, slope, mean, square in zip(
            values, _slopes(data, chosen, values), means, squares, strict=True
        ):
            mean += (1 - _MOMENTS[0]) * (slope - mean)
            square += (1 - _MOMENTS[1]) * (slope * slope - square)
            value -= rate * (mean / keep[0]) / (np.sqrt(square / keep[1]) + _TINY)


def _batches(groups: Sequence[Places], rng: np.random.Generator) -> Iterator[list[Places]]:
    for _ in range(_TIMES):
        order = rng.permutation(len(groups))
        for first in range(0, len(groups), _GROUPS):
            yield [groups[n] for n in order[first : first + _GROUPS]]


def _slopes(data: _Data, groups: Sequence[Places], values: Sequence[Singles]) -> list[Singles]:
    """Of the loss of some groups with respect to each matrix and bias."""
    chosen = np.concatenate(groups)
    each, count = data.traits.shape[1:]
    layers = [*zip(values[::2], values[1::2], strict=True)]
    ins = [data.traits[chosen].reshape(-1, count)]
    for matrix, bias in layers[:-1]:
        ins.append(np.tanh(ins[-1] @ matrix + bias))
    odds = ins[-1] @ layers[-1][0] + layers[-1][1]
    expected = (1 / (1 + np.exp(-odds))).reshape(-1, each)
    weight, share = data.weight[chosen], data.share[chosen] / np.float32(len(chosen))
    whole = (weight * expected).sum(axis=1) + np.float32(FLOOR)
    level, aim = np.log(whole), data.aim[chosen]
    gap = level - aim
    pull = share * gap / np.sqrt(1 + gap * gap)
    ends = np.cumsum([len(group) for group in groups])
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        at = slice(start, stop)
        pull[at] += _PAIRS / len(groups) * _order(level[at], aim[at], data.share[chosen][at])
    back = (pull / whole)[:, None] * weight * expected * (1 - expected)
    back += share[:, None] * (weight > 0) * (expected - data.wrong[chosen]) / np.float32(each)
    back = back.reshape(-1, 1)
    found: list[Singles] = []
    for inner, (matrix, _) in zip(reversed(ins), reversed(layers), strict=True):
        found += [back.sum(axis=0), inner.T @ back]
        back = (back @ matrix.T) * (1 - inner * inner)
    return found[::-1]


def _order(level: Singles, aim: Singles, share: Singles) -> Singles:
    """Slope of the loss of pairs with respect to each level; pairs that differ more weigh more."""
    apart = np.clip(aim[None] - aim[:, None], 0, _SOFT) * np.sqrt(share[None] * share[:, None])
    short = apart / (1 + np.exp((level[None] - level[:, None]) / _SOFT)) / _SOFT
    return np.asarray((short.sum(axis=1) - short.sum(axis=0)) / (apart.sum() + _TINY), np.float32)
