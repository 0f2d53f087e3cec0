"""docs/benchmarks.md by sections: a run replaces what it has measured and leaves the rest."""

from __future__ import annotations

import datetime
import os
import platform
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Written by `make bench`, `make bench-model` and `make bench-gpu`; do not edit the tables. Rates and
ratios are medians where nothing else is said, all of a table from one run. The machines are shared
and noisy: ratios say more than rates. Goals are the project's own.
"""

Row = tuple[str, ...]


def table(head: Row, rows: list[Row]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write_section(title: str, body: str) -> None:
    """Puts ``body`` under ``## title``, in place of what stood there, or at the end."""
    text = PAGE.read_text() if PAGE.exists() else _HEAD
    section = f"## {title}\n\n{body.strip()}\n"
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if pattern.search(text):
        text = pattern.sub(lambda _: f"{section}\n", text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    PAGE.write_text(text.rstrip() + "\n")


def tell_section(title: str, head: str, columns: Row, rows: list[Row]) -> None:
    """Writes a section of some words and a table, and prints it."""
    body = f"{head}\n\n{table(columns, rows)}"
    write_section(title, body)
    sys.stdout.write(f"{title}\n{body}\n")


def has_section(title: str) -> bool:
    """Whether ``## title`` stands in the page."""
    return PAGE.exists() and f"## {title}\n" in PAGE.read_text()


def machine(device: str = "no GPU") -> str:
    """Date and machine in words."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    date = datetime.date.today().isoformat()
    python = f"Python {platform.python_version()}"
    return f"{date}, {cores} cores of {cpu}, {memory:.0f} GB, {python}, {device}."
