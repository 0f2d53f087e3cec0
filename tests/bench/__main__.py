"""``python -m tests.bench [folder]``: measures, prints, and writes docs/benchmarks.md.

The folder keeps the rendered clips between runs; without one they go with the run.
"""

from __future__ import annotations

import datetime
import logging
import os
import platform
import sys
import tempfile
from pathlib import Path

from . import corpus, measure

_PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Written by `make bench`; do not edit. Medians of {repeats}, all of a table in one run; the machine
is shared and noisy, so ratios say more than rates. Goals are the project's own.

Measured on {date}: {machine}.
"""


def main() -> None:
    """Runs every measurement."""
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="mav-bench-") as temporary:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        tables = [_speed(root), _memory(root)]
    head = _HEAD.format(
        repeats=measure.REPEATS, date=datetime.date.today().isoformat(), machine=_machine()
    )
    _PAGE.write_text("\n".join([head, *tables]))
    sys.stdout.write("\n".join(tables))


def _speed(root: Path) -> str:
    clips = corpus.sample(root / "sample", clips=4)
    rows = [*measure.closed_form(clips, root / "out"), *measure.floor(clips, root / "out")]
    title = "## Speed\n\nFour rendered clips of 1280x720, 60 annotated frames each, two a shard."
    return title + "\n\n" + _table(("what", "measured", "goal"), rows)


def _memory(root: Path) -> str:
    rows = []
    for (width, height), goal in (((1920, 1080), 1.5), ((3840, 2160), 2.5)):
        for masklets in (1, 12):
            clips = corpus.large(root / "large", width, height, masklets)
            peak = measure.memory(clips, root / "out", "binary")
            what = f"{width}x{height}, 20 s, {masklets} masklets"
            rows.append((what, f"{peak:.2f} GB", f"<= {goal} GB"))
    title = "## Memory\n\nPeak of a worker above the backend's own (VmHWM), a shard of three clips."
    return title + "\n\n" + _table(("clip", "measured", "goal"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {cpu}, {memory:.0f} GB, Python {platform.python_version()}, no GPU"


if __name__ == "__main__":
    main()
