"""A build seen from its output: until nothing is pending, through a storage's bad minute."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.runtime.status.watch import watch
from mav_pipeline.schema import ShardFailure
from mav_pipeline.storage import Entry, LocalStorage
from tests.unit.test_built import change_receipt

NAMES = [f"mav-{number:06d}" for number in range(3)]


def hidden(root: Path, *shards: str) -> dict[str, bytes]:
    """The receipts of some shards, taken away."""
    taken = {}
    for shard in shards:
        path = root / layout.receipt(shard)
        taken[shard] = path.read_bytes()
        path.unlink()
    return taken


def test_it_goes_on_until_no_shard_is_pending(
    small_set: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    for number, shard in enumerate(NAMES):
        time = start + timedelta(minutes=20 * number)
        change_receipt(small_set, shard, published_at=time.isoformat())
    later = hidden(small_set, *NAMES[1:])

    def publish(_: float) -> None:
        shard = min(later)
        (small_set / layout.receipt(shard)).write_bytes(later.pop(shard))

    with caplog.at_level(logging.INFO, "mav_pipeline"):
        report = watch(BuiltSet.open(LocalStorage(small_set)), 0, publish)
    assert report.state == "complete"
    lines = [record.message for record in caplog.records]
    assert [text.partition(";")[0] for text in lines] == ["shards 1/3", "shards 2/3", "shards 3/3"]
    assert "clips 2/5" in lines[0]
    assert re.search(r"last shard 0:40:0\d ago", lines[1])
    # The second shard has 2 clips, and nothing came in the hour since the first: 1 clip is left.
    assert re.search(r"0:30:0\d to go", lines[1])
    assert "ago" not in lines[2]


def test_a_worker_whose_clock_is_ahead_does_not_make_time_run_back(
    small_set: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for shard in NAMES:
        change_receipt(small_set, shard, published_at=ahead)
    later = hidden(small_set, NAMES[2])

    def publish(_: float) -> None:
        (small_set / layout.receipt(NAMES[2])).write_bytes(later[NAMES[2]])

    with caplog.at_level(logging.INFO, "mav_pipeline"):
        watch(BuiltSet.open(LocalStorage(small_set)), 0, publish)
    assert "0.0/s; last shard 0:00:00 ago" in caplog.text


def test_shards_given_up_are_named_and_end_it(
    small_set: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hidden(small_set, NAMES[1])
    built = BuiltSet.open(LocalStorage(small_set))
    record_failure(built.storage, ShardFailure(NAMES[1], "publish", "OSError", "full", 3))
    with caplog.at_level(logging.INFO, "mav_pipeline"):
        report = watch(built, 0)
    assert (report.state, report.shards["failed"]) == ("incomplete", 1)
    assert "shards 2/3, 1 failed" in caplog.text


def test_a_read_that_fails_is_told_and_tried_again(
    small_set: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Flaky(LocalStorage):
        bad = 2

        def entries(self, under: str = "") -> Iterator[Entry]:
            if self.bad and under == layout.SHARDS:
                self.bad -= 1
                raise OSError(5, "the server is away")
            return super().entries(under)

    waits: list[float] = []
    report = watch(BuiltSet.open(Flaky(small_set)), 7, waits.append)
    assert report.state == "complete"
    assert waits == [7, 7]
    assert caplog.text.count("the server is away") == 2
