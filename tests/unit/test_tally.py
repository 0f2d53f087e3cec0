"""Where a run stands: counts that add up, rates of the last minutes, news that is told once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.build.record import Progress
from mav_pipeline.runtime.status.tally import FAILURES, WINDOW_S, Tally, View
from mav_pipeline.runtime.workers import PoolState
from mav_pipeline.schema import STAGES, ClipRef, ShardFailure, ShardSpec
from tests.fakes import receipt

SHARDS = [ShardSpec(n, tuple(ClipRef(f"c{n}{i}", (), None) for i in range(10))) for n in range(10)]


def pool(
    clips: int = 0, frames: int = 0, *, working: int = 1, failed: int = 0, **stages_s: float
) -> PoolState:
    seconds = {**dict.fromkeys(STAGES, 0.0), **stages_s}
    return PoolState(Progress(clips, frames, failed, seconds), working=working)


def failure(shard: str) -> ShardFailure:
    return ShardFailure(shard, "publish", "OSError", "disk full", 3)


def view(tally: Tally, state: PoolState, now: float, **counts: int) -> View:
    return tally.view(state, **{"building": 0, "waiting": 0, **counts}, now=now)


def test_before_the_first_clip_there_is_no_time_left_to_tell() -> None:
    first = view(Tally(SHARDS, 100.0), pool(), 100.0)
    assert (first.elapsed_s, first.eta_s, first.busy) == (0.0, None, {})
    assert first.clips == {"planned": 100, "done": 0, "failed": 0}
    assert not first.is_done


def test_rates_are_those_of_the_last_minutes() -> None:
    tally = Tally(SHARDS, 0.0)
    for second in range(400):  # 10 frames/s and a clip in 10 s, then 1 frame/s and one in 100 s
        fast = min(second, 200)
        slow = max(0, second - 200)
        state = pool(fast // 10 + slow // 100, 10 * fast + slow)
        now = view(tally, state, float(second))
        if second == 200:
            assert now.frames_per_s == pytest.approx(10, rel=0.02)
            assert now.eta_s == pytest.approx(800, rel=0.1)
    assert now.frames_per_s == pytest.approx(1, rel=0.02)
    assert now.eta_s is not None
    assert now.eta_s > 3000


def test_a_run_that_stands_still_has_no_rate_and_no_end() -> None:
    tally = Tally(SHARDS, 0.0)
    view(tally, pool(5, 50), 10.0)
    still = [view(tally, pool(5, 50), 10.0 + second) for second in range(int(WINDOW_S) + 5)]
    assert still[0].frames_per_s > 0
    assert (still[-1].frames_per_s, still[-1].eta_s) == (0.0, None)


def test_busy_is_a_share_of_the_time_of_the_workers_there_are() -> None:
    tally = Tally(SHARDS, 0.0)
    for second in range(1, 61):
        state = pool(0, 0, working=4, matting=3.6 * second, decode=1.0 * second)
        now = view(tally, state, float(second))
    assert now.busy["matting"] == pytest.approx(0.9)
    assert now.busy["decode"] == pytest.approx(0.25)
    assert now.busy["publish"] == 0


def test_receipts_know_more_than_workers_that_have_not_answered_yet() -> None:
    tally = Tally(SHARDS, 0.0)
    counts = {"planned": 10, "published": 9, "failed": 1, "skipped": 0, "samples": 9}
    tally.published(receipt(SHARDS[0].name, clips=counts, frames=70))
    now = view(tally, pool(), 5.0)
    assert now.clips == {"planned": 100, "done": 10, "failed": 1}
    assert (now.frames, now.frames_per_s) == (70, 14.0)


def test_the_clips_of_a_shard_that_is_given_up_are_not_waited_for() -> None:
    tally = Tally(SHARDS, 0.0)
    tally.failed(failure("mav-000003"), 10)
    assert view(tally, pool(45, 45), 45.0).eta_s == pytest.approx(45)
    assert view(tally, pool(90, 90), 90.0).eta_s == 0


def test_clips_that_are_built_again_are_not_more_than_there_are() -> None:
    assert view(Tally(SHARDS, 0.0), pool(130, 9), 5.0).clips["done"] == 100


def test_the_last_failures_are_kept_in_words() -> None:
    tally = Tally(SHARDS, 0.0)
    for shard in SHARDS:
        tally.again(shard.name, "the worker died")
    tally.failed(failure("mav-000003"), 10)
    shown = view(tally, pool(), 1.0).failures
    assert len(shown) == FAILURES
    assert shown[-1] == "mav-000003 given up, publish: OSError: disk full"
    assert shown[-2] == "mav-000009 to be tried again, the worker died"


@given(st.lists(st.sampled_from(["published", "failed", "again", "view"]), max_size=40))
def test_each_end_is_told_once_and_counts_add_up(events: list[str]) -> None:
    tally, views = Tally(SHARDS, 0.0), []
    for now, event in enumerate([*events, "view"]):
        tell: dict[str, Any] = {
            "published": lambda: tally.published(receipt()),
            "failed": lambda: tally.failed(failure("mav-000000"), 10),
            "again": lambda: tally.again("mav-000000", "why"),
            "view": lambda: views.append(view(tally, pool(), float(now))),  # noqa: B023
        }
        tell[event]()
    assert sum(len(v.ended.published) for v in views) == events.count("published")
    assert sum(len(v.ended.failed) for v in views) == events.count("failed")
    assert sum(v.ended.again for v in views) == events.count("again") == views[-1].again
    assert views[-1].masklets.get("accepted", 0) == events.count("published")
    assert views[-1].shards["published"] == events.count("published")
    assert views[-1].shards["failed"] == events.count("failed")
