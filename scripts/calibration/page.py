"""Writes docs/quality.md, its plots, and the weights that the quality is computed with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mav_pipeline.config import QualityConfig
from mav_pipeline.quality import judge
from mav_pipeline.quality.rule import HALF
from scripts.reference import metrics

from .cases import PLANS
from .fit import Floats, auc
from .judge import Judged, Result

REPOSITORY = Path(__file__).resolve().parents[2]
_FIGURE = (6.4, 4.2)  # inches, at 100 dots an inch
WEIGHTS = REPOSITORY / "mav_pipeline" / "quality" / "weights.json"
PAGE = REPOSITORY / "docs" / "quality.md"


def write_weights(weights: Mapping[str, float]) -> None:
    """Where ``quality.rule`` reads them, the next time it is imported."""
    WEIGHTS.write_text(json.dumps(dict(weights), indent=2) + "\n", encoding="utf-8")


def write_page(
    weights: Mapping[str, float],
    fitted: Judged,
    judged: Judged,
    real: Judged | None,
    gates: QualityConfig,
) -> None:
    """The page and its plots."""
    # Masks of "32 px" are beyond use: they are reported on their own, and would else set the tone.
    usual, useless = (
        Judged([row for row in judged.rows if (row.mask == "32 px") is lost], weights)
        for lost in (False, True)
    )
    _scatter(usual, REPOSITORY / "docs/quality/estimate.png")
    _curves(usual, REPOSITORY / "docs/quality/told.png")
    text = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    parts = {
        "half": f"{HALF:g}",
        "counts": _counts(fitted, judged),
        "weights": _table(("term", "weight"), ((k, f"{v:.4f}") for k, v in weights.items())),
        "judged": _results(judged.masks()),
        "strata": _results(usual.strata()),
        "fitted": _results(fitted.masks()),
        "limit": f"{judged.limit:.3f}",
        "real": "not measured: the shared data was not at hand." if real is None else _real(real),
        "bases": _table(
            ("matte", "mask", "median error", "median quality"),
            ((b, k, f"{e:.3f}", f"{q:.2f}") for b, k, e, q in judged.bases()),
        ),
        "damages": _table(
            ("damage", "error", "/ closed_form's", "quality", "AUC of it", "best score", "its AUC"),
            (
                (d, f"{e:.3f}", f"{r:.1f}", f"{q:.2f}", f"{a:.3f}", s, f"{b:.3f}")
                for d, e, r, q, a, s, b in judged.damages()
            ),
        ),
        "thresholds": _table(
            ("quality below", "good mattes", "bad mattes", "mean error of the rest"),
            ((f"{t:g}", f"{g:.1%}", f"{b:.1%}", f"{e:.3f}") for t, g, b, e in usual.thresholds()),
        ),
        "gates": _gates(usual, gates),
        "useless": _gates(useless, gates),
        "metrics": metrics(),
    }
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    PAGE.write_text(text, encoding="utf-8")


def _counts(fitted: Judged, judged: Judged) -> str:
    parts = []
    for name, half in (("fit", fitted), ("judge", judged)):
        plan = PLANS[name]  # type: ignore[index]
        damages = ", ".join(
            f"{damage} ({', '.join(f'{s:g}' for s in strengths)})"
            for damage, (_, strengths) in plan.damages.items()
        )
        masklets = len({(row.clip, row.masklet) for row in half.rows})
        parts.append(
            f"- **{name}**: {len(half.rows):,} mattes of {masklets} masklets of "
            f"{len({row.clip for row in half.rows})} clips, seeds {plan.seeds[0]} to "
            f"{plan.seeds[-1]}; masks faithful, {', '.join(plan.masks)}; damages {damages}."
        )
    return "\n".join(parts)


def _results(results: Iterable[tuple[str, Result]]) -> str:
    ways = ("AUC, own limit", "of the true error", "within masklets", "AUC, one limit")
    head = ("on", "mattes", "Spearman", *ways)
    return _table(head, (_row(name, result) for name, result in results))


def _row(name: str, r: Result) -> tuple[str, ...]:
    values = (r.rank, r.told, r.ceiling, r.within, r.fixed)
    return name, f"{r.count:,}", *(f"{value:.3f}" for value in values)


def _real(real: Judged) -> str:
    plain = [
        (row.masklet, row.mask, row.base, f"{error:.3f}", f"{estimate:.3f}", f"{value:.2f}")
        for row, error, estimate, value in zip(
            real.rows, real.error, real.estimate, real.quality, strict=True
        )
        if row.damage == "none"
    ]
    head = ("masklet", "mask", "matte", "error", "estimate", "quality")
    return f"{_results(real.masks())}\n\n{_table(head, plain)}"


def _gates(judged: Judged, gates: QualityConfig) -> str:
    reasons = [judge(row.scores, gates).reasons for row in judged.rows]
    names = sorted({reason for found in reasons for reason in found})
    lost = judged.error > 0.5
    lines = []
    for name in (*names, "any"):
        hit = np.array([bool(found) if name == "any" else name in found for found in reasons])
        shares = (hit[~judged.bad], hit[judged.bad], hit[lost])
        lines.append((name, *(f"{share.mean():.1%}" for share in shares)))
    return _table(("gate", "of good mattes", "of bad mattes", "of mattes with error > 0.5"), lines)


def _scatter(judged: Judged, path: Path) -> None:
    figure, axis = plt.subplots(figsize=_FIGURE, layout="constrained")
    faithful = np.array([row.mask == "faithful" for row in judged.rows])
    least = 0.003  # what is better than that is drawn there
    for chosen, name in ((~faithful, "coarse masks"), (faithful, "faithful masks")):
        error = np.maximum(judged.error[chosen], least)
        axis.plot(error, judged.quality[chosen], ".", ms=2, alpha=0.5, label=name)
    steps = np.geomspace(least, 1, 60)
    axis.plot(steps, 1 / (1 + steps / HALF), color="black", label="a perfect estimate")
    axis.set(xscale="log", ylim=(0, 1), xlabel="error: sum |alpha - truth| / sum truth")
    axis.set(ylabel="quality")
    _save(figure, axis, path)


def _curves(judged: Judged, path: Path) -> None:
    figure, axis = plt.subplots(figsize=_FIGURE, layout="constrained")
    faithful = np.array([row.mask == "faithful" for row in judged.rows])
    wrong = judged.error > judged.limit
    for name, chosen in (("faithful", faithful), ("coarse", ~faithful)):
        for limit, bad, style in (("own limit", judged.bad, "-"), ("one limit", wrong, "--")):
            estimate, found = judged.estimate[chosen], bad[chosen]
            area = f"{name} masks, {limit}: AUC {auc(estimate, found):.3f}"
            axis.plot(*_roc(estimate, found), style, label=area)
    true = _roc(judged.error[faithful], judged.bad[faithful])
    axis.plot(*true, ":", color="black", label="the true error, faithful, own limit")
    axis.set(xlabel="share of good mattes rejected", ylabel="share of bad mattes found")
    _save(figure, axis, path)


def _save(figure: Figure, axis: Axes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _roc(badness: Floats, bad: np.ndarray) -> tuple[Floats, Floats]:
    order = np.argsort(-badness, kind="stable")
    found, lost = np.cumsum(bad[order]), np.cumsum(~bad[order])
    return lost / lost[-1], found / found[-1]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
