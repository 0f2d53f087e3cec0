"""A ``View`` as a person reads it: a panel for a terminal, one line for a log."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mav_pipeline.runtime.status.tally import View

_REASONS = 5  # of the most frequent, shown


def line(view: View) -> str:
    """Counts, rate and time left, and nothing that is nought and may be."""
    shards, clips = view.shards, view.clips
    parts = [
        _counted("shards", shards["published"], shards["planned"], {"failed": shards["failed"]}),
        _counted("clips", clips["done"], clips["planned"], {"failed": clips["failed"]}),
        f"{view.frames} alpha frames, {view.frames_per_s:.1f}/s",
    ]
    if view.eta_s is not None and not view.is_done:
        parts.append(f"{clock(view.eta_s)} to go")
    if view.last_s is not None and not view.is_done:
        parts.append(f"last shard {clock(view.last_s)} ago")
    if view.pool is not None:
        parts.append(_workers(view))
        parts += [f"{view.busy['matting']:.0%} matting"] if view.busy else []
    return "; ".join(parts)


def panel(view: View, title: str) -> RenderableType:
    """Everything in a view, as wide as the terminal."""
    shards, clips = view.shards, view.clips
    rows = Table.grid(padding=(0, 2, 0, 0), expand=True)
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(ratio=1)
    counts = {name: shards[name] for name in ("failed", "building", "waiting") if name in shards}
    counts["tried again"] = view.again
    rows.add_row("shards", _bar(shards["published"], shards["planned"], counts))
    rows.add_row("clips", _bar(clips["done"], clips["planned"], {"failed": clips["failed"]}))
    if view.masklets:
        rows.add_row("masklets", Text(_listed(view.masklets)))
    rows.add_row("frames", Text(f"{view.frames:,} alpha frames, {view.frames_per_s:,.1f}/s"))
    left = f", about {clock(view.eta_s)} to go" if view.eta_s is not None else ""
    rows.add_row("time", Text(clock(view.elapsed_s) + ("" if view.is_done else left)))
    if view.last_s is not None and not view.is_done:
        rows.add_row("last shard", Text(f"{clock(view.last_s)} ago"))
    if view.pool is not None:
        rows.add_row("workers", Text(_workers(view)))
    if view.busy:
        shares = (f"{stage} {share:.0%}" for stage, share in view.busy.items())
        rows.add_row("stages", Text(", ".join(shares) + " busy"))
    if view.reasons:
        rows.add_row("reasons", Text(_listed(dict(islice(view.reasons.items(), _REASONS)))))
    parts: list[RenderableType] = [rows]
    parts += [_one_line(failure) for failure in view.failures]
    return Panel(Group(*parts), title=Text(title, style="bold"), title_align="left")


def clock(seconds: float) -> str:
    """``0:04:07``, or ``3 d 04:00`` where hours say enough."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02}:{minutes:02}" if days else f"{hours}:{minutes:02}:{rest:02}"


def _one_line(failure: str) -> Text:
    """Five tracebacks would push the panel's end off the terminal; the log has them whole."""
    return Text(" ".join(failure.split()), style="yellow", no_wrap=True, overflow="ellipsis")


def _bar(done: int, planned: int, counts: Mapping[str, int]) -> RenderableType:
    cells = Table.grid(padding=(0, 2, 0, 0), expand=True)
    cells.add_column(ratio=1)
    cells.add_column(no_wrap=True)
    cells.add_row(
        ProgressBar(max(1, planned), done, complete_style="cyan", finished_style="green"),
        Text(", ".join([f"{done}/{planned}", *_some(counts)])),
    )
    return cells


def _counted(what: str, done: int, planned: int, counts: Mapping[str, int]) -> str:
    return ", ".join([f"{what} {done}/{planned}", *_some(counts)])


def _some(counts: Mapping[str, int]) -> list[str]:
    return [f"{count} {name}" for name, count in counts.items() if count]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _workers(view: View) -> str:
    assert view.pool is not None
    pool = view.pool
    text = f"{pool.working} worker{'s' * (pool.working != 1)}"
    if pool.gpus:
        text += f" of {pool.gpus:g} GPU{'s' * (pool.gpus > 1)}"
    return f"{text}, {pool.starting} starting" if pool.starting else text
