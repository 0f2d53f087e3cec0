"""What the page says of gates: the best one, what others would do, the defaults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mav_pipeline.config import QualityConfig
from mav_pipeline.quality import judge

from .gate import COST, FOUND, Gate, best_gate, by_source
from .judge import Judged

CHOICES = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)  # of a least quality, to be told of
#: An error beyond which a matte is lost, whatever its object.
_LOST = 0.5


def gate_parts(judged: Judged, gates: QualityConfig) -> dict[str, str]:
    """By their places in the page."""
    gate = best_gate(judged)
    return {
        "gate": _gate(judged, gate),
        "choices": _choices(judged),
        "gate_words": _gate_words(gate),
        "gate_faithful": _gate_words(best_gate(judged.where(mask="faithful"))),
        "gates": _gates(judged, gates),
    }


def _gate(judged: Judged, gate: Gate) -> str:
    lines = [
        (name, f"{cost:.1%}", f"{found:.0%}") for name, cost, found in by_source(judged, gate.least)
    ]
    lines.append(("all", f"{gate.cost:.1%}", f"{gate.found:.0%}"))
    return table(("source", "true mattes lost", "bad mattes found"), lines)


def _choices(judged: Judged) -> str:
    faithful = judged.where(mask="faithful")
    coarse = judged.of([row.mask != "faithful" for row in judged.rows])
    lines = []
    for least in CHOICES:
        cost, name = max((cost, name) for name, cost, _ in by_source(judged, least))
        shares = [share for part in (faithful, coarse) for share in part.lost_and_found(least)]
        kept = judged.error[judged.quality >= least]
        cells = (*(f"{share:.0%}" for share in shares), f"{name}: {cost:.0%}")
        lines.append((f"{least:g}", *cells, f"{kept.mean():.3f}"))
    kinds = [
        f"{what}, {mask}" for mask in ("faithful", "coarse") for what in ("true lost", "bad found")
    ]
    return table(("min_quality", *kinds, "most lost", "mean error of the rest"), lines)


def _gate_words(gate: Gate) -> str:
    most = f"The strictest `min_quality` that costs no source over {COST:.0%} of its true mattes"
    found = f"{most}\nis **{gate.least:g}**: it finds {gate.found:.0%} of the bad ones"
    if gate.worth:
        return f"{found}, and a default must find {FOUND:.0%}."
    return f"{found}. A default must find {FOUND:.0%}: there is\nno such gate, and none is on."


def _gates(judged: Judged, gates: QualityConfig) -> str:
    values = zip(judged.rows, judged.quality, strict=True)
    reasons = [judge({**row.scores, "quality": float(q)}, gates).reasons for row, q in values]
    names = sorted({reason for found in reasons for reason in found})
    lines = []
    for name in (*names, "any"):
        hit = np.array([bool(found) if name == "any" else name in found for found in reasons])
        kinds = (judged.perfect, judged.error > judged.limit, judged.error > _LOST)
        lines.append((name, *(f"{hit[kind].mean():.1%}" for kind in kinds)))
    head = ("gate", "of true mattes", "of bad mattes", f"of mattes with error > {_LOST:g}")
    return table(head, lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
