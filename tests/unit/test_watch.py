"""A build seen from its output: until nothing is pending, through a storage's bad minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.runtime.watch import watch
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
    for number, shard in enumerate(NAMES):
        change_receipt(small_set, shard, published_at=f"2026-01-01T00:00:0{number * 2}+00:00")
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
    assert "ago" in lines[1]
    assert " to go" in lines[1]
    assert "3.0/s" in lines[1]  # the second shard's 6 frames in 2 s
    assert "ago" not in lines[2]


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
