"""The picture of an evaluation: a dot a masklet and the mean, for each metric and stratum.

Drawn with matplotlib, on figures of its own: the same evaluation gives the same bytes, whatever
else of matplotlib is in use or set up.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mav_pipeline.evaluate.metrics import METRICS
from mav_pipeline.evaluate.result import Evaluation, MaskletMetrics
from mav_pipeline.evaluate.unseen import lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
_LABELS, _PANEL, _GAP, _ROW, _TOP, _BOTTOM, _MARGIN = 250, 112, 62, 24, 110, 44, 24  # pixels
_WIDTH = _LABELS + len(METRICS) * (_PANEL + _GAP) + _MARGIN
_TITLE, _HEAD, _TEXT = 13, 10, 8.5  # points
_DOT, _SPREAD = 3.8, 0.26  # a dot's width in points; how far dots stray from their row, in rows
_MOST = 400  # dots of a row: beyond, an even choice of them; means are of all
_TAIL = 98  # percentile at which an axis ends; what lies beyond is drawn at its end
_INK, _FAINT, _RULE = "#22262e", "#666c76", "#dfe3e9"
_DOTS, _MEAN = "#2f6fb5", "#c44428"
_OPACITY, _CROWD = (0.2, 0.65), 40  # of a dot: less the more there are, so that crowds show

_Row = tuple[str, Sequence[MaskletMetrics] | None]  # None: the name of a stratum


def draw(evaluation: Evaluation) -> bytes:
    """A PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows: list[_Row] = [("all masklets", evaluation.masklets)]
    for stratum, groups in evaluation.strata().items():
        rows += [(stratum, None), *groups.items()] if groups else []
    height = _TOP + len(rows) * _ROW + _BOTTOM
    buffer = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # not what a matplotlibrc says
        # A group may be called anything: what the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI)
        _heading(figure, evaluation, height)
        panels = [_panel(figure, column, len(rows), height) for column in range(len(METRICS))]
        _labels(panels[0], rows)
        for axes, metric in zip(panels, METRICS, strict=True):
            _metric(axes, metric, rows)
        # Which version drew it is left out of the file.
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _heading(figure: Figure, evaluation: Evaluation, height: int) -> None:
    masklets = evaluation.masklets
    frames = sum(masklet.metrics.frames for masklet in masklets)
    about = f"{len(masklets):,} masklets, {frames:,} frames; a dot is a masklet, "
    about += "at the far edge one beyond it; the line and the number are the mean; less is better, "
    about += f"but of {', '.join(m.title for m in METRICS.values() if m.better == 'more')} more"
    left = _MARGIN / _WIDTH
    figure.text(left, 1 - 30 / height, "Mattes against the truth", fontsize=_TITLE, color=_INK)
    figure.text(left, 1 - 52 / height, about, fontsize=_TEXT, color=_FAINT)
    unseen = "; ".join(lines(evaluation.unseen)) or "every masklet is seen"
    figure.text(left, 1 - 70 / height, unseen, fontsize=_TEXT, color=_INK, parse_math=False)


def _panel(figure: Figure, column: int, rows: int, height: int) -> Axes:
    """Axes whose y counts rows from the top."""
    left = (_LABELS + column * (_PANEL + _GAP)) / _WIDTH
    box = (left, _BOTTOM / height, _PANEL / _WIDTH, rows * _ROW / height)
    axes = figure.add_axes(box)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.patch.set_visible(False)  # or it would cover the rules between strata
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=_TEXT, labelcolor=_FAINT, pad=6)
    axes.grid(axis="x", color=_RULE, linewidth=0.8, clip_on=False)
    axes.set_axisbelow(True)
    return axes


def _labels(axes: Axes, rows: Sequence[_Row]) -> None:
    """Left of the first panel: the names of the rows and how many masklets each has."""
    edge = axes.get_yaxis_transform()  # x in widths of the panel, y in rows
    left, right = (_MARGIN - _LABELS) / _PANEL, (_WIDTH - _LABELS - _MARGIN) / _PANEL
    text: dict[str, Any] = {"transform": edge, "fontsize": _TEXT, "va": "center_baseline"}
    for place, (name, masklets) in enumerate(rows):
        if masklets is None:
            axes.text(left, place, name, color=_FAINT, style="italic", **text)
            rule: dict[str, Any] = {"transform": edge, "color": _RULE, "linewidth": 0.8}
            axes.plot([left, right], [place - 0.5] * 2, clip_on=False, **rule)
        else:
            axes.text(left + 0.08, place, name, color=_INK, parse_math=False, **text)
            axes.text(-0.14, place, f"{len(masklets):,}", color=_FAINT, ha="right", **text)


def _metric(axes: Axes, metric: str, rows: Sequence[_Row]) -> None:
    """Dots and means of one metric; the first row has all masklets, which set the axis."""
    found = [_values(masklets or (), metric) for _, masklets in rows]
    low, high = _span(found[0], METRICS[metric].better)
    axes.set_xlim(low, high)
    ticks = [low, (low + high) / 2, high]
    axes.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
    axes.set_title(METRICS[metric].title, loc="left", fontsize=_HEAD, color=_INK, pad=8)
    edge = axes.get_yaxis_transform()
    dots: dict[str, Any] = {"color": _DOTS, "markersize": _DOT, "markeredgewidth": 0}
    number: dict[str, Any] = {"transform": edge, "fontsize": _TEXT, "va": "center_baseline"}
    for place, values in enumerate(found):
        if not values:
            continue
        shown = np.clip(values[:: -(-len(values) // _MOST)], low, high)
        # The golden ratio's multiples stray evenly, however many there are.
        stray = (np.arange(len(shown)) * 0.6180339887 + 0.5) % 1 * 2 - 1
        opacity = float(np.clip(_CROWD / len(shown), *_OPACITY))
        axes.plot(shown, place + _SPREAD * stray, "o", alpha=opacity, clip_on=False, **dots)
        mean = float(np.mean(values))
        line = [float(np.clip(mean, low, high))] * 2, [place - 0.36, place + 0.36]
        axes.plot(*line, color=_MEAN, linewidth=1.6, clip_on=False)
        axes.text(1.06, place, f"{mean:.3g}", color=_MEAN, **number)


def _values(masklets: Sequence[MaskletMetrics], metric: str) -> list[float]:
    means = (masklet.metrics.means()[metric] for masklet in masklets)
    return [value for value in means if value is not None]


def _span(values: Sequence[float], better: str) -> tuple[float, float]:
    """Both ends of an axis: from 0 for errors, up to 100 for what is in percent of right."""
    if better == "less":
        return 0.0, _end(values)
    return 100.0 - _end([100.0 - value for value in values]), 100.0


def _end(values: Sequence[float]) -> float:
    """Where an axis ends: a round number, above 0 even where no matte errs."""
    most = float(np.percentile(values, _TAIL)) if values else 0.0
    if most == 0:
        return 1.0
    half = 10.0 ** math.floor(math.log10(most)) / 2
    return math.ceil(most / half) * half
