"""A view in words: one line for a log, a panel for a terminal, neither wider than it may be."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mav_pipeline.build.record import Progress
from mav_pipeline.runtime.status.panel import clock, line, panel
from mav_pipeline.runtime.status.tally import View
from mav_pipeline.runtime.workers import PoolState

VIEW = View(
    elapsed_s=3723.0,
    shards={"planned": 16, "published": 12, "failed": 1, "building": 2, "waiting": 1},
    clips={"planned": 512, "done": 411, "failed": 3},
    frames=51204,
    frames_per_s=38.25,
    eta_s=247.0,
    pool=PoolState(Progress(), working=2, starting=1, gpus=1),
    busy={"decode": 0.31, "matting": 0.94, "score": 0.12, "encode": 0.08, "publish": 0.0},
    masklets={"accepted": 1290, "rejected": 31, "skipped": 5, "failed": 0},
    reasons={"outside_mass": 22, "core_loss": 9, "empty": 5},
    again=2,
    failures=("mav-000003 to be tried again, publish: OSError: [Errno 28] No space left",),
)


def drawn(view: View, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=True)
    console.print(panel(view, "mav build /data/mav"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_line_says_what_counts() -> None:
    assert line(VIEW) == (
        "shards 12/16, 1 failed; clips 411/512, 3 failed; 51204 alpha frames, 38.2/s; "
        "0:04:07 to go; 2 workers of 1 GPU, 1 starting; 94% matting"
    )


def test_a_line_is_silent_of_what_is_nought() -> None:
    shards = {"planned": 1, "published": 1, "failed": 0, "building": 0, "waiting": 0}
    clips = {"planned": 4, "done": 4, "failed": 0}
    done = View(elapsed_s=1, shards=shards, clips=clips, frames=8, frames_per_s=8, eta_s=0.0)
    assert line(done) == "shards 1/1; clips 4/4; 8 alpha frames, 8.0/s"


def test_a_panel_shows_all_of_a_view() -> None:
    text = drawn(VIEW)
    for part in (
        "mav build /data/mav",
        "12/16, 1 failed, 2 building, 1 waiting, 2 tried again",
        "411/512, 3 failed",
        "1,290 accepted, 31 rejected, 5 skipped",
        "51,204 alpha frames, 38.2/s",
        "1:02:03, about 0:04:07 to go",
        "2 workers of 1 GPU, 1 starting",
        "decode 31%, matting 94%",
        "22 outside_mass, 9 core_loss, 5 empty",
        "mav-000003 to be tried again, publish: OSError: [Errno 28] No space left",
    ):
        assert part in text, part


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_panel_is_as_wide_as_the_terminal(width: int) -> None:
    assert {len(row) for row in drawn(VIEW, width).splitlines()} == {width}


def test_markup_in_an_error_is_shown_as_it_is() -> None:
    assert "[bold]x[/nonsense]" in drawn(replace(VIEW, failures=("[bold]x[/nonsense]",)))


def test_failures_take_a_line_each_however_long_they_are() -> None:
    told = ("CUDA error:\n" + "a very long story " * 40, "the newest")
    short, long = drawn(replace(VIEW, failures=("a", "b"))), drawn(replace(VIEW, failures=told))
    assert len(long.splitlines()) == len(short.splitlines())
    assert "CUDA error: a very long" in long
    assert "the newest" in long.splitlines()[-2]


@given(st.floats(0, 1e7))
def test_a_clock_reads_back(seconds: float) -> None:
    text = clock(seconds)
    days, _, rest = text.rpartition(" d ")
    parts = [int(part) for part in rest.split(":")]
    if days:
        assert abs(int(days) * 86400 + parts[0] * 3600 + parts[1] * 60 - seconds) <= 60
    else:
        assert parts[0] * 3600 + parts[1] * 60 + parts[2] == round(seconds)
