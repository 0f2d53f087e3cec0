"""The loop: every shard ends published or recorded, whatever single ones do."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from mav_pipeline.build.record import Progress
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.runtime.driver import forget, run_shards
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.status.tally import View
from mav_pipeline.runtime.workers import PoolState
from mav_pipeline.schema import Plan, ShardSpec
from mav_pipeline.schema.errors import Interrupted, OutageError, ShardError, TransientError
from mav_pipeline.storage import LocalStorage, Output
from tests.fakes import FakePool, config

SHARDS = [ShardSpec(number, ()) for number in range(4)]
NAMES = [shard.name for shard in SHARDS]
PASSING = ShardError("publish", "OSError", "disk full", may_pass=True)
LASTING = ShardError("matting", "ValueError", "a bug", may_pass=False)


def run(
    pool: FakePool,
    root: Path,
    *,
    attempts: int = 3,
    stop: threading.Event | None = None,
    seen: bool = True,
    outage_s: float = 0,
) -> list[View]:
    views: list[View] = []
    if seen:
        pool.output = LocalStorage(root)
    run_shards(
        pool,
        [Task(shard) for shard in SHARDS],
        Output(lambda: LocalStorage(root), outage_s, stop),
        config({"runtime.max_attempts": attempts, "runtime.retry_wait_s": 0}),
        [views.append],
    )
    return views


def ended(views: list[View]) -> tuple[int, int, int]:
    """Shards published, shards failed and attempts followed by another, each told once."""
    last = views[-1]
    assert last.is_done
    assert sum(len(view.ended.published) for view in views) == last.shards["published"]
    assert sum(len(view.ended.failed) for view in views) == last.shards["failed"]
    assert sum(view.ended.again for view in views) == last.again
    for view in views:
        states = ("published", "failed", "building", "waiting")
        assert sum(view.shards[state] for state in states) == view.shards["planned"] == 4
    return last.shards["published"], last.shards["failed"], last.again


def recorded(root: Path) -> dict[str, dict[str, object]]:
    return {path.stem: json.loads(path.read_text()) for path in root.glob("failures/*.json")}


@pytest.mark.parametrize("room", [1, 2, 9])
def test_every_shard_is_built_once_in_order(tmp_path: Path, room: int) -> None:
    pool = FakePool(room=room)
    views = run(pool, tmp_path)
    assert pool.attempts == [(name, 1) for name in NAMES]
    assert ended(views) == (4, 0, 0)
    assert recorded(tmp_path) == {}


def test_what_may_pass_is_tried_again_and_holds_up_no_other(tmp_path: Path) -> None:
    pool = FakePool({NAMES[1]: [PASSING, PASSING]})
    views = run(pool, tmp_path)
    assert sorted(pool.attempts) == sorted(
        [(name, 1) for name in NAMES] + [(NAMES[1], 2), (NAMES[1], 3)]
    )
    assert ended(views) == (4, 0, 2)
    assert recorded(tmp_path) == {}


def test_a_shard_that_keeps_failing_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    pool = FakePool({NAMES[1]: [PASSING] * 9, NAMES[2]: [LASTING] * 9})
    views = run(pool, tmp_path, attempts=2)
    assert ended(views) == (2, 2, 1)
    assert views[-1].failures[-1].startswith(f"{NAMES[1]} given up, publish: OSError: disk full")
    assert pool.attempts.count((NAMES[2], 1)) == 1
    assert (NAMES[2], 2) not in pool.attempts
    assert max(attempt for _, attempt in pool.attempts) == 2
    failure = {"stage": "publish", "type": "OSError", "message": "disk full", "attempts": 2}
    bug = {"stage": "matting", "type": "ValueError", "message": "a bug", "attempts": 1}
    assert recorded(tmp_path) == {
        NAMES[1]: {"shard": NAMES[1], **failure},
        NAMES[2]: {"shard": NAMES[2], **bug},
    }


def test_what_another_run_gave_up_is_pending_once_it_is_taken_up(tmp_path: Path) -> None:
    run(FakePool({NAMES[1]: [LASTING]}), tmp_path)
    built = BuiltSet(LocalStorage(tmp_path), {}, Plan(tuple(SHARDS), {}))
    assert built.report().shards["failed"] == 1
    forget(built, [Task(SHARDS[0]), Task(SHARDS[1], rebuild=True)])
    assert [*recorded(tmp_path)] == [NAMES[1]]
    forget(built, [Task(SHARDS[1])])
    assert recorded(tmp_path) == {}
    assert built.report().shards["pending"] == 1


def test_a_receipt_that_cannot_be_read_back_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mav_pipeline.dataset.receipts._SEEN_LATE_S", (0.0,))
    pool = FakePool(room=1)
    with pytest.raises(TransientError, match=r"mav-000000.json cannot be read back from .* here"):
        run(pool, tmp_path, seen=False)
    assert pool.attempts == [(NAMES[0], 1)], "it ends with the first one"


def test_an_outage_that_passed_costs_no_attempt(tmp_path: Path) -> None:
    passed = ShardError("publish", "WriteError", "it was full", True, "passed")
    pool = FakePool({NAMES[1]: [passed, PASSING]})
    assert ended(run(pool, tmp_path, attempts=1)) == (3, 1, 1)
    assert recorded(tmp_path)[NAMES[1]]["attempts"] == 1


def test_an_outage_that_lasts_ends_the_build(tmp_path: Path) -> None:
    lasts = ShardError("publish", "OutageError", "output.root=x refuses: 403", True, "lasts")
    pool = FakePool({NAMES[0]: [lasts]})
    with pytest.raises(OutageError, match="refuses: 403"):
        run(pool, tmp_path)
    assert recorded(tmp_path) == {}, "no shard is to blame"


def test_nothing_is_handed_out_while_workers_wait_for_the_output(tmp_path: Path) -> None:
    class Waiting(FakePool):
        looks = 0

        def state(self) -> PoolState:
            self.looks += 1
            waits = int(self.looks < 6)
            assert waits == 0 or not self.attempts
            return PoolState(Progress(waits=waits), working=1)

    pool = Waiting()
    assert ended(run(pool, tmp_path)) == (4, 0, 0)


def test_one_attempt_means_no_retry(tmp_path: Path) -> None:
    pool = FakePool({NAMES[0]: [PASSING]})
    run(pool, tmp_path, attempts=1)
    assert [*recorded(tmp_path)] == [NAMES[0]]


def test_a_stop_interrupts_and_hands_out_nothing_more(tmp_path: Path) -> None:
    stop = threading.Event()

    class StoppedCrew(FakePool):
        def wait(self, timeout_s: float) -> list[object]:  # type: ignore[override]
            stop.set()
            return super().wait(timeout_s)  # type: ignore[return-value]

    pool = StoppedCrew(room=1)
    with pytest.raises(Interrupted, match="goes on from here"):
        run(pool, tmp_path, stop=stop)
    assert pool.attempts == [(NAMES[0], 1)]
    assert recorded(tmp_path) == {}
