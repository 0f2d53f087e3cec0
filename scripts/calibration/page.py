"""Writes docs/quality.md, its plots, and the weights that the quality is computed with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np

from mav_pipeline.config import QualityConfig
from mav_pipeline.quality.rule import HALF
from mav_pipeline.quality.traits import NAMES
from scripts.reference import metrics

from .cases import MASKS, Row
from .damages import FIT, JUDGE
from .fit import left_out
from .gate_page import gate_parts, table
from .judge import CLEAR, Judged, bad_limit, estimated
from .mistakes import Mistake, write_pictures
from .network import WIDTHS
from .plots import write_plots
from .shipped import REPOSITORY
from .sources import FRAMES, Source

PAGE = REPOSITORY / "docs" / "quality.md"
PICTURES = REPOSITORY / "docs" / "quality"
#: Between these qualities errors are told in quantiles.
EDGES = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
#: What a score that may be decided by should reach, by the field of ``Result``.
_AIMS = (
    ("Spearman over all", "rank", ".90 faithful, .83 coarse"),
    ("Spearman within a masklet", "within", "the same"),
    ("truth over mask", "over_mask", ".90"),
    ("truth over closed_form", "over_closed", ".70"),
    ("which is better", "which", ".85"),
)


@dataclass(frozen=True)
class Page:
    """What the page tells of.

    Attributes:
        scored: rows as networks that lack a source say; None is the one as shipped.
        weights: as shipped.
        gates: the default ones.
    """

    scored: Mapping[str | None, Sequence[Row]]
    known: Mapping[str, Source]
    weights: Mapping[str, float]
    gates: QualityConfig

    @property
    def rows(self) -> Sequence[Row]:
        return self.scored[None]

    @cached_property
    def limit(self) -> float:
        return bad_limit(self.rows)

    @cached_property
    def unseen(self) -> Judged:
        """Sources and damages that network and weights which judge them were not fitted to."""
        rows, estimate = left_out(self.scored, self.known)
        return Judged(rows, estimate, self.limit)

    @cached_property
    def shipped(self) -> Judged:
        """Everything, by the weights as shipped."""
        return Judged(self.rows, estimated(self.rows, self.weights), self.limit)


def write_page(page: Page, work: Path) -> None:
    """The page, its plots and its pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    write_plots(page.unseen, EDGES, PICTURES)
    shown = [name for name, source in page.known.items() if source.shown]
    seen = page.unseen.of([row.source in shown for row in page.unseen.rows])
    mistakes, fine = write_pictures(seen, page.known, work, PICTURES)
    text = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    parts = {"mistakes": _mistakes(mistakes), "fine": _fine(page, fine)}
    for name, part in (_made(page) | parts).items():
        text = text.replace("{" + name + "}", part)
    PAGE.write_text(text, encoding="utf-8")


def _made(page: Page) -> dict[str, str]:
    unseen, shipped = page.unseen, page.shipped
    return gate_parts(unseen, page.gates) | {
        "half": f"{HALF:g}",
        "limit": f"{page.limit:.3f}",
        "clear": f"{CLEAR:.0%}",
        "frames": str(FRAMES),
        "weights": table(("term", "weight"), ((k, f"{v:.4f}") for k, v in page.weights.items())),
        "counts": _counts(page),
        "damages_fitted": _strengths(FIT),
        "damages_judged": _strengths(JUDGE),
        "traits": str(len(NAMES)),
        "widths": " and ".join(str(width) for width in WIDTHS),
        "aims": _aims(unseen),
        "by_source": _results(unseen, "source"),
        "by_source_faithful": _results(unseen.where(mask="faithful"), "source"),
        "by_mask": _results(unseen, "mask"),
        "shipped": _results(shipped, "source"),
        "plain": _plain(unseen),
        "perfect": _perfect(unseen),
        "bars": _bars(unseen),
        "damages": _damages(unseen),
        "metrics": metrics(),
    }


def _counts(page: Page) -> str:
    lines = []
    for name, source in page.known.items():
        rows = [row for row in page.rows if row.source == name]
        subjects = len({row.subject for row in rows})
        use = "fitted and judged" if source.fitted else "judged alone"
        lines.append((name, source.about, str(subjects), f"{len(rows):,}", use))
    return table(("source", "what it is", "masklets", "mattes", "use"), lines)


def _strengths(damages: Mapping[str, tuple[object, tuple[float, ...]]]) -> str:
    return "; ".join(
        f"{name} ({', '.join(f'{s:g}' for s in strengths)})"
        for name, (_, strengths) in damages.items()
    )


def _results(judged: Judged, by: str) -> str:
    head = ("", "mattes", "Spearman", "within a masklet", "truth over mask", "over closed_form")
    names = MASKS if by == "mask" else judged.names(by)
    parts = {"all": judged} | {name: judged.where(**{by: name}) for name in names}
    lines = []
    for name, part in parts.items():
        r = part.result
        lines.append(
            (
                name,
                f"{r.count:,}",
                *(f"{value:.2f}" for value in (r.rank, r.within, r.over_mask, r.over_closed)),
                *(f"{value:.2f}" for value in (r.which, r.clear, r.told)),
            )
        )
    return table((*head, "which is better", "where it is clear", "AUC"), lines)


def _aims(judged: Judged) -> str:
    """Aims beside what is reached, over all sources."""
    faithful = judged.where(mask="faithful").result
    coarse = judged.of([row.mask != "faithful" for row in judged.rows]).result
    return table(
        ("", "aim", "faithful masks", "coarse masks"),
        (
            (name, aim, *(f"{getattr(one, key):.2f}" for one in (faithful, coarse)))
            for name, key, aim in _AIMS
        ),
    )


def _plain(judged: Judged) -> str:
    """Median error and quality of what is not damaged, by source and kind of mask."""
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(judged.rows):
        if row.plain:
            mask = "faithful" if row.mask == "faithful" else "coarse"
            found[row.source, mask, row.base].append(index)
    lines = []
    bases = ("truth", "mask", "closed_form", "closed_form of the faithful mask")
    for source, mask in dict.fromkeys((source, mask) for source, mask, _ in found):
        cells = []
        for base in bases:
            at = found.get((source, mask, base), [])
            error, value = (median(a[at]) if at else 0 for a in (judged.error, judged.quality))
            cells.append(f"{error:.3f}: {value:.2f}" if at else "")
        lines.append((source, mask, *cells))
    return table(("source", "mask", *bases), lines)


def _perfect(judged: Judged) -> str:
    lines = []
    for name in judged.names("source"):
        part = judged.where(source=name)
        for mask in ("faithful", "coarse"):
            chosen = [(row.mask == "faithful") == (mask == "faithful") for row in part.rows]
            one = part.of(chosen)
            values = one.quality[one.perfect]
            shares = (f"{value:.2f}" for value in np.quantile(values, (0.5, 0.1, 0.03)))
            lines.append((name, mask, str(len(values)), *shares))
    head = ("source", "mask", "true mattes", "median quality", "the least tenth", "the least 3%")
    return table(head, lines)


def _bars(judged: Judged) -> str:
    lines = (
        (f"{low:g} to {high:g}", f"{count:,}", *(f"{value:.3f}" for value in spread))
        for low, high, count, spread in judged.bars(EDGES)
    )
    return table(("quality", "mattes", "error: a tenth below", "half", "nine tenths"), lines)


def _damages(judged: Judged) -> str:
    """Damages of the truth with faithful masks: is the spoilt matte below the truth?"""
    truths = judged.plain("truth")
    found: dict[tuple[str, float], list[tuple[float, float, float]]] = defaultdict(list)
    for index, row in enumerate(judged.rows):
        if row.mask == "faithful" and row.base == "truth" and not row.plain:
            told = judged.estimate[index] > judged.estimate[truths[row.group]]
            values = (judged.error[index], judged.quality[index], float(told))
            found[row.damage, row.strength].append(values)
    lines = []
    for (damage, strength), values in found.items():
        error, quality, told = np.array(values).T
        cells = (f"{np.median(error):.3f}", f"{np.median(quality):.2f}", f"{told.mean():.0%}")
        lines.append((f"{damage} {strength:g}", str(len(values)), *cells))
    order = {f"{name} {s:g}": i for i, (name, s) in enumerate(_listed())}
    head = ("damage", "mattes", "median error", "median quality", "told from the truth")
    return table(head, sorted(lines, key=lambda line: order[line[0]]))


def _listed() -> list[tuple[str, float]]:
    return [(name, s) for name, (_, strengths) in JUDGE.items() for s in strengths]


def _fine(page: Page, rows: Sequence[Row]) -> str:
    """Errors of the mattes shown, and of their masks."""

    def of_mask(row: Row) -> float:
        wanted = (row.subject, row.mask, "mask", "none")
        found = (r for r in page.rows if (r.subject, r.mask, r.base, r.damage) == wanted)
        return next(found).error

    lines = [(row.source, f"{of_mask(row):.3f}", f"{row.error:.3f}") for row in rows]
    return table(("kind", "error of the mask", "of closed_form"), lines)


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    lines = (
        (
            str(number),
            m.row.source,
            m.row.mask,
            m.row.base if m.row.plain else f"{m.row.base}, {m.row.damage} {m.row.strength:g}",
            f"{m.row.error:.3f}",
            f"{m.estimate:.3f}",
            f"{m.quality:.2f}",
        )
        for number, m in enumerate(mistakes, 1)
    )
    return table(("row", "source", "mask", "matte", "error", "estimate", "quality"), lines)
