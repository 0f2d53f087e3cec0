"""The error that is to be expected at a pixel, by its traits: a small fitted network. Pure.

    traits (n, k) -> scaled -> tanh -> tanh -> logistic -> expected |alpha - truth| (n,)

It was fitted to mattes of rendered clips whose truth is known, spoilt in many ways, such that what
it says at single pixels and what it says of whole mattes are both right; ``points.json`` holds it,
``python -m scripts.calibration`` writes it, ``docs/quality.md`` says how well it works on sources
and damages that it has not seen. ``traits`` says what it looks at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.pairs import Floats
from mav_pipeline.quality.traits import NAMES

Doubles = NDArray[np.float64]

FILE = "points.json"
#: Scaled traits beyond this are no more than unusual: nothing was fitted out there.
UNUSUAL = 4.0


@dataclass(frozen=True, slots=True)
class Network:
    """Layers of a matrix (in, out) and a bias (out,); the last one has one output.

    Attributes:
        names: of the k traits, in order.
        mean, scale: (k,) by which traits are scaled.
    """

    names: tuple[str, ...]
    mean: Doubles
    scale: Doubles
    layers: tuple[tuple[Doubles, Doubles], ...]

    def __call__(self, traits: Floats) -> Doubles:
        """(n,) in (0, 1).

        The same on every machine of a kind: einsum sums in one order, which BLAS does not.
        """
        values = np.clip((traits - self.mean) / self.scale, -UNUSUAL, UNUSUAL)
        *hidden, (matrix, bias) = self.layers
        for weights, offset in hidden:
            values = np.tanh(np.einsum("ni,io->no", values, weights) + offset)
        odds = np.einsum("ni,io->no", values, matrix)[:, 0] + bias[0]
        return np.asarray(1 / (1 + np.exp(-odds)))

    def document(self) -> dict[str, Any]:
        """As ``FILE`` holds it."""
        return {
            "traits": [*self.names],
            "mean": _rounded(self.mean),
            "scale": _rounded(self.scale),
            "layers": [
                {"matrix": [_rounded(row) for row in matrix], "bias": _rounded(bias)}
                for matrix, bias in self.layers
            ],
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Network:
        return cls(
            names=tuple(document["traits"]),
            mean=np.array(document["mean"], np.float64),
            scale=np.array(document["scale"], np.float64),
            layers=tuple(
                (np.array(layer["matrix"], np.float64), np.array(layer["bias"], np.float64))
                for layer in document["layers"]
            ),
        )


@cache
def shipped() -> Network:
    """The network that scores are computed with."""
    text = resources.files("mav_pipeline.quality").joinpath(FILE).read_text("utf-8")
    found = Network.of(json.loads(text))
    assert found.names == NAMES, f"{FILE} is of other traits: run python -m scripts.calibration"
    return found


def _rounded(values: Doubles) -> Sequence[float]:
    return [float(f"{value:.5g}") for value in values]
