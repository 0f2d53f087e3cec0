"""Writes docs/quality.md, its plots, and the weights that the quality is computed with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mav_pipeline.config import QualityConfig
from mav_pipeline.quality import judge
from mav_pipeline.quality.rule import HALF

from .cases import PLANS
from .fit import Floats, auc
from .judge import Judged, Result
from .plots import Plot

REPOSITORY = Path(__file__).resolve().parents[2]
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
        "judged": _results(judged),
        "fitted": _results(fitted),
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


def _results(half: Judged) -> str:
    return _table(
        ("masks", "mattes", "Spearman", "AUC", "AUC of the true error", "AUC within masklets"),
        (_row(name, result) for name, result in half.masks()),
    )


def _row(name: str, r: Result) -> tuple[str, ...]:
    values = (r.rank, r.told, r.ceiling, r.within)
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
    return f"{_results(real)}\n\n{_table(head, plain)}"


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
    plot = Plot("", "error: sum |alpha - truth| / sum truth", "quality", 0.003, 1.0)
    faithful = np.array([row.mask == "faithful" for row in judged.rows])
    for tone, chosen in ((1, ~faithful), (0, faithful)):
        plot.points(judged.error[chosen], judged.quality[chosen], tone, radius=1)
    steps = np.geomspace(0.003, 1, 60)
    plot.line(steps, 1 / (1 + steps / HALF), 2)
    plot.legend("faithful masks", "coarse masks", "a perfect estimate", low=False)
    plot.save(path)


def _curves(judged: Judged, path: Path) -> None:
    title = "share of bad mattes found"
    plot = Plot("", "share of good mattes rejected", title, 0, 1, log=False)
    faithful = np.array([row.mask == "faithful" for row in judged.rows])
    names = []
    for tone, (name, chosen) in enumerate((("faithful", faithful), ("coarse", ~faithful))):
        estimate, bad = judged.estimate[chosen], judged.bad[chosen]
        plot.line(*_roc(estimate, bad), tone)
        names.append(f"{name} masks, AUC {auc(estimate, bad):.3f}")
    plot.line(*_roc(judged.error[faithful], judged.bad[faithful]), 2)
    plot.legend(*names, "the true error, faithful", low=True)
    plot.save(path)


def _roc(badness: Floats, bad: np.ndarray) -> tuple[Floats, Floats]:
    order = np.argsort(-badness, kind="stable")
    found, lost = np.cumsum(bad[order]), np.cumsum(~bad[order])
    return lost / lost[-1], found / found[-1]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
