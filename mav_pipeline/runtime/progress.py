"""How a build shows that it lives: bars on a terminal, lines in a log. All to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as EtaColumn

from mav_pipeline.schema import ShardSpec
from mav_pipeline.shard_job import Progress as Totals

_log = logging.getLogger(__name__)


class Display(Protocol):
    """Shows where a run stands."""

    def shard_published(self) -> None: ...

    def shard_failed(self) -> None: ...

    def update(self, totals: Totals, workers: int, waiting: int) -> None:
        """Takes the crew's totals; called often, shows what is new when it is due."""
        ...


class _Counts:
    def __init__(self, shards: Sequence[ShardSpec]) -> None:
        self.shards, self.clips = len(shards), sum(len(shard.clips) for shard in shards)
        self.published = self.failed = 0
        self._start = time.monotonic()

    def shard_published(self) -> None:
        self.published += 1

    def shard_failed(self) -> None:
        self.failed += 1

    def text(self, totals: Totals, workers: int) -> str:
        rate = totals.frames / max(time.monotonic() - self._start, 1e-9)
        failed = f", {totals.failed} failed" if totals.failed else ""
        lost = f", {self.failed} failed" if self.failed else ""
        return (
            f"shards {self.published}/{self.shards}{lost}; "
            f"clips {totals.clips}/{self.clips}{failed}; "
            f"{totals.frames} alpha frames, {rate:.1f}/s; {workers} worker{'s' * (workers != 1)}"
        )


class _Lines(_Counts):
    def __init__(self, shards: Sequence[ShardSpec], every_s: float) -> None:
        super().__init__(shards)
        self._every_s, self._due = every_s, time.monotonic() + every_s

    def update(self, totals: Totals, workers: int, waiting: int) -> None:
        done = self.published + self.failed == self.shards
        if done or time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every_s
            _log.info("%s", self.text(totals, workers))


class _Bars(_Counts):
    def __init__(self, shards: Sequence[ShardSpec], bars: Progress) -> None:
        super().__init__(shards)
        self._bars = bars
        self._shards = bars.add_task("shards", total=self.shards, note="")
        self._clips = bars.add_task("clips", total=self.clips, note="")

    def update(self, totals: Totals, workers: int, waiting: int) -> None:
        note = self.text(totals, workers).split("; ", 2)[2]
        self._bars.update(self._shards, completed=self.published + self.failed)
        self._bars.update(self._clips, completed=totals.clips, note=note)


@contextlib.contextmanager
def open_display(shards: Sequence[ShardSpec], every_s: float) -> Iterator[Display]:
    """Bars where stderr is a terminal, else a log line every ``every_s`` seconds and at the end."""
    if not sys.stderr.isatty():
        yield _Lines(shards, every_s)
        return
    columns = (
        TextColumn("{task.description:>6}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        EtaColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(shards, bars)
