"""Shards in plan order; what may pass is tried again after a wait, what may not is final."""

from __future__ import annotations

import pytest

from mav_pipeline.errors import ShardError
from mav_pipeline.runtime.queue import ShardQueue, Task
from mav_pipeline.schema import ShardFailure, ShardSpec

SPECS = [ShardSpec(number, ()) for number in range(3)]
PASSING = ShardError("publish", "OSError", "disk full", may_pass=True)
LASTING = ShardError("matting", "ValueError", "a bug", may_pass=False)


def queue(
    specs: list[ShardSpec] = SPECS, *, attempts: int = 3, wait: float = 2.0, jitter: float = 1.0
) -> ShardQueue:
    tasks = [Task(spec) for spec in specs]
    return ShardQueue(tasks, max_attempts=attempts, retry_wait_s=wait, jitter=lambda: jitter)


def taken(shards: ShardQueue, now: float) -> Task:
    task = shards.take(now)
    assert task is not None
    return task


def test_shards_come_in_plan_order_as_first_attempts() -> None:
    shards = queue()
    assert [taken(shards, 0.0) for _ in SPECS] == [Task(spec, 1) for spec in SPECS]
    assert shards.take(1e9) is None


def test_it_is_done_when_nothing_waits_and_nothing_is_built() -> None:
    shards = queue(SPECS[:1])
    assert (bool(shards), len(shards)) == (True, 1)
    task = taken(shards, 0.0)
    assert (bool(shards), len(shards)) == (True, 0)
    shards.published(task)
    assert not shards
    assert not queue([])


def test_a_failure_that_may_pass_waits_longer_each_time_then_is_final() -> None:
    shards, now = queue(SPECS[:1]), 100.0
    for attempt, wait in ((1, 2.0), (2, 4.0)):
        task = taken(shards, now)
        assert task.attempt == attempt
        assert shards.failed(task, PASSING, now) is None
        assert shards
        assert shards.take(now + wait - 0.01) is None
        now += wait
    failure = shards.failed(taken(shards, now), PASSING, now)
    assert failure == ShardFailure("mav-000000", "publish", "OSError", "disk full", 3)
    assert not shards


def test_a_failure_that_may_not_pass_is_final_at_once() -> None:
    shards = queue(SPECS[:1])
    failure = shards.failed(taken(shards, 0.0), LASTING, 0.0)
    assert failure == ShardFailure("mav-000000", "matting", "ValueError", "a bug", 1)
    assert not shards


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_waits_are_spread_between_half_and_whole(jitter: float, share: float) -> None:
    shards = queue(SPECS[:1], wait=10.0, jitter=jitter)
    shards.failed(taken(shards, 0.0), PASSING, 0.0)
    assert shards.take(10 * share - 0.01) is None
    assert shards.take(10 * share) is not None


def test_waits_end_at_a_minute() -> None:
    shards, now = queue(SPECS[:1], attempts=50, wait=10.0), 0.0
    for _ in range(20):
        shards.failed(taken(shards, now), PASSING, now)
        now += 60.0
    assert taken(shards, now).attempt == 21


def test_a_waiting_shard_holds_up_no_other() -> None:
    shards = queue()
    shards.failed(taken(shards, 0.0), PASSING, 0.0)
    assert [taken(shards, 0.0).spec.index for _ in range(2)] == [1, 2]
    assert shards.take(0.0) is None
    assert taken(shards, 2.0) == Task(SPECS[0], 2)
