"""Keeps what was measured: one file a source, one line a unit, appended as it is done.

The points of a unit lie in a file of their own, written before the line. A line counts while the
code that made it is unchanged. A torn last line, of a run that was stopped while it wrote, is
measured again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import cv2

from . import cases, points
from .cases import Row
from .code import code
from .points import Points
from .sources import sources

_log = logging.getLogger(__name__)

#: What moves a row. The rule, its weights and the network do not: they are applied to rows and
#: points; and frames that a tracker lost are none of a subject's.
_MOVES = (
    "quality",
    "matting",
    "synthetic",
    "media/masks.py",
    "./damages",
    "./cases.py",
    "./sources.py",
    "./subjects.py",
)
_NOT = ("rule.py", "gates.py", "gaps.py", "likeness.py", "lost.py", "expected.py")


def version() -> str:
    """Of the code that makes rows."""
    return code(*_MOVES, without=_NOT)


def measured(shared: Path, work: Path, processes: int) -> tuple[list[Row], list[Points]]:
    """The rows of all sources and their points; what ``work`` lacks is measured, unit by unit."""
    known = sources(shared)
    for folder in ("rows", "points"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    now = version()
    done = {name: dict(_stored(_file(work, name), now)) for name in known}
    todo = [(n, u) for n, source in known.items() for u in source.units if u not in done[n]]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        jobs = {pool.submit(_unit, name, unit, shared, work): (name, unit) for name, unit in todo}
        for number, job in enumerate(as_completed(jobs), 1):
            name, unit = jobs[job]
            found = job.result()
            done[name][unit] = found
            line = {"unit": unit, "code": now, "rows": [asdict(row) for row in found]}
            with _file(work, name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            _log.info("%d of %d: %s %s, %d mattes", number, len(todo), name, unit, len(found))
    order = [(name, unit) for name, source in known.items() for unit in source.units]
    rows = [row for name, unit in order for row in done[name][unit]]
    return rows, [one for at in order for one in points.load(_points(work, *at, now))]


def _file(work: Path, source: str) -> Path:
    return work / "rows" / f"{source}.jsonl"


def _points(work: Path, source: str, unit: str, now: str) -> Path:
    return work / "points" / f"{source} {unit} {now}.npz"


def _stored(file: Path, now: str) -> Iterator[tuple[str, list[Row]]]:
    if not file.exists():
        return
    text = file.read_text(encoding="utf-8")
    whole, end, torn = text.rpartition("\n")
    if torn:
        file.write_text(whole + end, encoding="utf-8")
    for line in whole.splitlines():
        found = json.loads(line)
        if found["code"] == now:
            yield found["unit"], [Row(**row) for row in found["rows"]]


def _unit(source: str, unit: str, shared: Path, work: Path) -> list[Row]:
    """In a process of its own, which opens the sources anew: they hold functions."""
    cv2.setNumThreads(1)
    subjects = sources(shared)[source].subjects(unit, work)
    found = [pair for subject in subjects for pair in cases.rows(subject)]
    points.save(_points(work, source, unit, version()), [seen for _, seen in found])
    return [row for row, _ in found]
