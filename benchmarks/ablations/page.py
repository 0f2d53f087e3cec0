"""``python -m benchmarks.ablations.page FOLDER``: writes docs/ablations.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "ablations.md"
TEXT = Path(__file__).with_name("page.md")
ABLATIONS = ("backend", "masks", "size", "window")

#: Key of a point, title, form.
COLUMNS = (
    ("error", "error", "{:.3f}"),
    ("quality", "quality", "{:.2f}"),
    ("matted_per_s", "backend frames/s", "{:.1f}"),
    ("frames_per_s", "build frames/s", "{:.1f}"),
    ("memory_mb", "memory MB", "{:.0f}"),
)
PLOTTED = ("error", "quality", "matted_per_s", "memory_mb")


def main() -> None:
    """The page and a plot for each ablation that was run."""
    folder = Path(sys.argv[1])
    text = TEXT.read_text(encoding="utf-8")
    for name in ABLATIONS:
        path = folder / f"{name}.jsonl"
        points = latest(map(json.loads, path.read_text().splitlines())) if path.is_file() else []
        if points:
            draw(points, REPOSITORY / f"docs/ablations/{name}.png")
        text = text.replace("{" + name + "}", section(name, points))
    PAGE.write_text(text, encoding="utf-8")


def latest(points: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last measurement of each combination, in the order of the first."""
    return [*{label(point): point for point in points}.values()]


def label(point: Mapping[str, Any]) -> str:
    """``closed_form, down8``: the values of the swept keys."""
    return ", ".join(str(value) for value in point["settings"].values())


def section(name: str, points: Sequence[Mapping[str, Any]]) -> str:
    """The table of one ablation, its errors by stratum, and its plot."""
    if not points:
        return "Not run."
    keys = [key.rpartition(".")[2] for key in points[0]["settings"]]
    measured = [
        [*p["settings"].values(), *(_shown(p[key], form) for key, _, form in COLUMNS)]
        for p in points
    ]
    groups = [(s, g) for s, found in points[0]["strata"].items() for g in found]
    split = [
        [*p["settings"].values(), *(f"{p['strata'][s][g][0]:.3f}" for s, g in groups)]
        for p in points
    ]
    counts = points[0]["strata"]
    heads = [f"{g} ({counts[s][g][1]})" for s, g in groups]
    return "\n\n".join(
        (
            table([*keys, *(title for _, title, _ in COLUMNS)], measured),
            f"Error by environment, size, motion and resolution (masklets of "
            f"{points[0]['masklets']}):",
            table([*keys, *heads], split),
            f"![error, quality, speed and memory by {name}](ablations/{name}.png)",
        )
    )


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def draw(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A panel for each column, a bar for each point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    titles = {key: (title, form) for key, title, form in COLUMNS}
    shown = [key for key in PLOTTED if all(p[key] is not None for p in points)]
    size = (2.6 * len(shown) + 1.6, 0.3 * len(points) + 1.0)
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, layout="constrained")
    for axis, key in zip(axes, shown, strict=True):
        title, form = titles[key]
        bars = axis.barh([label(p) for p in points], [p[key] for p in points], color="#2f6fb5")
        axis.bar_label(bars, fmt=form, padding=3, fontsize=8)
        axis.margins(x=0.25)
        axis.set_title(title, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
