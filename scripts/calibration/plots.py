"""Draws what a quality is worth: error bars, and what a gate costs and finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .judge import Judged

_FIGURE = (6.4, 4.2)  # inches, at 90 dots an inch
_LEAST = 0.002  # what is better than that is drawn there


def write_plots(judged: Judged, edges: Sequence[float], folder: Path) -> None:
    """``estimate.png`` and ``gate.png``."""
    _scatter(judged, edges, folder / "estimate.png")
    _gates(judged, folder / "gate.png")


def _scatter(judged: Judged, edges: Sequence[float], path: Path) -> None:
    figure, axis = plt.subplots(figsize=_FIGURE, layout="constrained")
    faithful = np.array([row.mask == "faithful" for row in judged.rows])
    for chosen, name in ((~faithful, "coarse masks"), (faithful, "faithful masks")):
        error = np.maximum(judged.error[chosen], _LEAST)
        axis.plot(error, judged.quality[chosen], ".", ms=2, alpha=0.35, label=name)
    for low, high, _, (least, middle, most) in judged.bars(edges):
        ends = [max(least, _LEAST), most]
        axis.plot(ends, [(low + high) / 2] * 2, color="black", lw=1.5)
        axis.plot(max(middle, _LEAST), (low + high) / 2, "o", color="black", ms=4)
    axis.plot([], [], "o-", color="black", label="error: .1, .5, .9 of what has that quality")
    axis.set(xscale="log", ylim=(0, 1), xlabel="error: sum |alpha - truth| / sum truth")
    axis.set(ylabel="quality")
    _save(figure, axis, path)


def _gates(judged: Judged, path: Path) -> None:
    figure, axis = plt.subplots(figsize=_FIGURE, layout="constrained")
    steps = np.linspace(0, 1, 101)
    for name in judged.names("source"):
        part = judged.where(source=name)
        lost, found = np.array([part.lost_and_found(float(least)) for least in steps]).T
        axis.plot(lost, found, label=name)
    axis.axvline(0.03, color="black", lw=0.8, ls=":")
    axis.axhline(0.5, color="black", lw=0.8, ls=":")
    axis.set(xlabel="share of true mattes below a least quality", xlim=(0, 1))
    axis.set(ylabel="share of bad mattes below it", ylim=(0, 1))
    _save(figure, axis, path)


def _save(figure: Figure, axis: Axes, path: Path) -> None:
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
