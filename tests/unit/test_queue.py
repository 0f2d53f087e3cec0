"""Shards in plan order; what may pass is tried again after a wait, what may not is final.

Of lost workers a node is nobody's fault, a death makes its shards suspects, two make a culprit.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.runtime.queue import Lost, ShardQueue, Task
from mav_pipeline.schema import ClipRef, Problem, ShardFailure, ShardSpec
from mav_pipeline.schema.errors import ShardError

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


# lost workers

UNREAD = Problem("skipped", "no_annotation", "plan of masklets: there is none")
CLIPS = tuple(ClipRef(video_id, (), UNREAD if video_id == "b" else None) for video_id in "abcd")
SHARD = ShardSpec(5, CLIPS)
DIED = Lost("the worker died")
WITH_NODE = Lost("the worker died, with its node", with_node=True)


def of_clip(video_id: str) -> Lost:
    return Lost("the worker died", clip=video_id)


def crashed(spec: ShardSpec) -> list[str]:
    """Ids of the clips in quarantine."""
    return [c.video_id for c in spec.clips if c.problem and c.problem.reason == "crash"]


@pytest.mark.parametrize("clip", [None, "a"])
@pytest.mark.parametrize("task", [Task(SHARD), Task(SHARD, 2, True, True, ("a",))])
def test_a_lost_node_gives_the_same_attempt_again_for_ever(task: Task, clip: str | None) -> None:
    shards = ShardQueue([task], max_attempts=2, retry_wait_s=0.0)
    for _ in range(50):
        assert shards.lost(taken(shards, 0.0), replace(WITH_NODE, clip=clip), 0.0) is None
        assert shards.outstanding == 1
    assert taken(shards, 0.0) == task


def test_a_lost_node_costs_a_wait() -> None:
    shards = queue([SHARD], wait=2.0)
    shards.lost(taken(shards, 10.0), WITH_NODE, 10.0)
    assert shards.take(11.99) is None
    assert shards.take(12.0) is not None


def test_a_death_makes_a_shard_a_suspect_that_is_built_alone() -> None:
    shards = queue([SHARD])
    assert shards.lost(taken(shards, 0.0), DIED, 0.0) is None
    again = taken(shards, 2.0)
    assert again == Task(SHARD, attempt=2, alone=True)
    shards.lost(again, WITH_NODE, 2.0)
    assert taken(shards, 60.0).alone, "a lost node clears nobody"


def test_a_rebuild_stays_a_rebuild_whatever_it_dies_of() -> None:
    shards = ShardQueue([Task(SHARD, rebuild=True)], max_attempts=9, retry_wait_s=0.0)
    for lost in (WITH_NODE, DIED, of_clip("a"), of_clip("a"), DIED):
        assert shards.lost(taken(shards, 0.0), lost, 0.0) is None
    assert taken(shards, 0.0).rebuild


def test_deaths_that_no_clip_is_blamed_for_use_up_the_attempts() -> None:
    shards = queue([SHARD], attempts=3)
    for _ in range(2):
        assert shards.lost(taken(shards, 1e9), DIED, 0.0) is None
    failure = shards.lost(taken(shards, 1e9), DIED, 0.0)
    assert failure == ShardFailure("mav-000005", "matting", "WorkerLost", "the worker died", 3)
    assert not shards


def test_a_clip_blamed_twice_becomes_a_failed_one_and_its_shard_goes_on() -> None:
    shards = queue([SHARD], attempts=1)
    task = taken(shards, 0.0)
    for deaths in (("c",), ("c", "c")):
        assert shards.lost(task, of_clip("c"), 0.0) is None
        task = taken(shards, 1e9)
        assert (task.attempt, task.deaths) == (len(deaths) + 1, deaths)
        assert crashed(task.spec) == (["c"] if len(deaths) == 2 else [])
    problem = task.spec.clips[2].problem
    assert problem is not None
    assert (problem.status, problem.reason) == ("failed", "crash")
    assert "2 workers died of it" in problem.message
    assert [*task.spec.clips[:2], *task.spec.clips[3:]] == [*CLIPS[:2], CLIPS[3]]
    assert task.spec.name == SHARD.name


def test_two_clips_blamed_once_each_are_no_culprits() -> None:
    shards = queue([SHARD])
    for video_id in "ac":
        shards.lost(taken(shards, 1e9), of_clip(video_id), 0.0)
    assert taken(shards, 1e9).spec == SHARD


CROWDED = Lost("killed for lack of memory", memory="crowded")


def test_a_death_for_lack_of_memory_beside_others_is_nobodys_fault() -> None:
    shards = queue([SHARD], attempts=1)
    for short in range(5):
        task = taken(shards, 1e9)
        assert (task.attempt, task.alone, task.deaths, task.short) == (1, False, (), short)
        assert task.wants_node is (short >= 2), "two are enough for a node to itself"
        assert shards.lost(task, replace(CROWDED, clip="a"), 0.0) is None
    assert crashed(taken(shards, 1e9).spec) == []


def test_a_clip_that_needs_more_memory_than_a_node_has_says_so() -> None:
    shards, alone = queue([SHARD]), replace(CROWDED, memory="alone", clip="c")
    for _ in range(2):
        assert shards.lost(taken(shards, 1e9), alone, 0.0) is None
    problem = taken(shards, 1e9).spec.clips[2].problem
    assert problem is not None
    assert problem.reason == "host_memory"
    assert "for lack of memory with its node to itself" in problem.message


def test_a_shard_that_needs_more_memory_than_a_node_has_is_built_clip_by_clip() -> None:
    shards = queue([SHARD])
    assert shards.lost(taken(shards, 0.0), replace(CROWDED, memory="alone"), 0.0) is None
    assert taken(shards, 1e9).alone


EVENTS = st.permutations(
    [of_clip(video_id) for video_id in "aacd"] + [DIED] * 3 + [WITH_NODE] * 3 + [PASSING] * 3
)


@given(EVENTS, st.integers(1, 6))
def test_a_clips_deaths_and_lost_nodes_use_up_no_attempt_all_else_does(
    events: list[Lost | ShardError], attempts: int
) -> None:
    shards, own, blamed = queue([SHARD], attempts=attempts), 0, 0
    for event in events:
        task = taken(shards, 1e9)
        own += event in (DIED, PASSING)
        assert task.attempt - len(task.deaths) == 1 + own - (event in (DIED, PASSING))
        if isinstance(event, Lost):
            failure = shards.lost(task, event, 0.0)
            blamed += event.clip is not None
        else:
            failure = shards.failed(task, event, 0.0)
        assert (failure is not None) == (own == attempts)
        assert shards.outstanding == (failure is None)
        if failure is not None:
            assert failure.attempts == attempts + blamed
            return
    assert crashed(taken(shards, 1e9).spec) == ["a"]


def test_outstanding_are_those_that_wait_and_those_being_built() -> None:
    shards = queue(attempts=1)
    assert (shards.outstanding, len(shards)) == (3, 3)
    first, second = taken(shards, 0.0), taken(shards, 0.0)
    assert (shards.outstanding, len(shards)) == (3, 1)
    shards.lost(first, WITH_NODE, 0.0)
    assert (shards.outstanding, len(shards)) == (3, 2)
    shards.published(second)
    assert (shards.outstanding, len(shards)) == (2, 2)
    assert shards.lost(taken(shards, 0.0), DIED, 0.0) is not None
    assert (shards.outstanding, len(shards)) == (1, 1)


def test_a_shard_whose_workers_die_of_a_clip_in_quarantine_comes_to_an_end() -> None:
    shards = queue([SHARD], attempts=3)
    for _ in range(2 + 3):
        failure = shards.lost(taken(shards, 1e9), of_clip("d"), 0.0)
    assert failure is not None
    assert failure.type == "WorkerLost"


def test_a_second_clip_of_the_same_id_keeps_its_own_problem() -> None:
    twice = Problem("failed", "duplicate_id", "it stands twice")
    shards = queue([ShardSpec(0, (ClipRef("a", ()), ClipRef("a", (), twice)))])
    for _ in range(2):
        shards.lost(taken(shards, 1e9), of_clip("a"), 0.0)
    first, second = taken(shards, 1e9).spec.clips
    assert first.problem is not None
    assert (first.problem.reason, second.problem) == ("crash", twice)
