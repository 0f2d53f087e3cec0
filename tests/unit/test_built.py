"""A set as it lies there: where its build stands, and a clear word where it cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_run
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.schema import STAGES, ShardFailure
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import LocalStorage


def opened(root: Path) -> BuiltSet:
    return BuiltSet.open(LocalStorage(root))


def change_receipt(root: Path, shard: str, **values: Any) -> None:
    path = root / layout.receipt(shard)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_whole_set_is_complete_and_conserves_its_clips(small_set: Path) -> None:
    report = opened(small_set).report()
    assert report.state == "complete"
    assert report.shards == {"planned": 3, "published": 3, "failed": 0, "pending": 0}
    assert report.clips == {"planned": 5, "published": 3, "failed": 1, "skipped": 1, "pending": 0}
    assert report.masklets == {"accepted": 6, "rejected": 0, "skipped": 0, "failed": 0}
    assert report.frames == 3 * 2 * 3
    assert report.reasons == {"corrupt": 1, "no_annotation": 1}
    assert tuple(report.stages_s) == STAGES


def test_a_missing_receipt_is_pending_and_a_recorded_failure_failed(small_set: Path) -> None:
    for shard in ("mav-000000", "mav-000001"):
        (small_set / layout.receipt(shard)).unlink()
    built = opened(small_set)
    failure = ShardFailure("mav-000001", "publish", "OSError", "full", 3)
    record_failure(built.storage, failure)
    report = built.report()
    assert report.state == "incomplete"
    assert report.shards == {"planned": 3, "published": 1, "failed": 1, "pending": 1}
    assert report.clips["pending"] == 4
    assert built.failures() == {"mav-000001": failure}


def test_a_failure_left_beside_a_receipt_does_not_count(small_set: Path) -> None:
    built = opened(small_set)
    record_failure(built.storage, ShardFailure("mav-000001", "publish", "OSError", "full", 3))
    assert built.report().shards["failed"] == 0


def test_the_receipts_of_other_plans_are_not_counted(small_set: Path) -> None:
    whole = (small_set / layout.receipt("mav-000000")).read_text()
    (small_set / "shards" / "mav-000009.json").write_text(whole)
    assert [*opened(small_set).receipts()] == ["mav-000000", "mav-000001", "mav-000002"]


def test_the_rate_is_that_of_this_run_or_of_all_receipts_after_the_first(small_set: Path) -> None:
    built = opened(small_set)
    report = built.report(wall_s=4.0, built_frames=10)
    assert (report.wall_s, report.frames_per_s) == (4.0, 2.5)
    assert built.report(wall_s=0.0).frames_per_s == 0
    for second, shard in enumerate(("mav-000000", "mav-000001", "mav-000002")):
        time = f"2026-01-01T00:00:0{second * 2}+00:00"
        change_receipt(small_set, shard, published_at=time, frames=100 * (second + 1))
    report = built.report()
    assert (report.wall_s, report.frames_per_s, report.frames) == (4.0, 125.0, 600)


def test_rows_come_in_plan_order_whatever_became_of_the_clip(small_set: Path) -> None:
    rows = opened(small_set).rows()
    ids = rows["video_id"].to_pylist()
    assert ids == [f"sav_00000{n}" for n in (1, 1, 2, 2, 3, 3, 4, 5)]
    shards = rows["shard"].to_pylist()
    assert shards == sorted(shards)


def test_reasons_are_counted_most_frequent_first(small_set: Path) -> None:
    for shard, reasons in (("mav-000000", {"c": 1, "b": 1}), ("mav-000001", {"a": 1, "b": 2})):
        path = small_set / layout.receipt(shard)
        path.write_text(json.dumps({**json.loads(path.read_text()), "reasons": reasons}))
    (small_set / layout.receipt("mav-000002")).unlink()
    assert list(opened(small_set).report().reasons.items()) == [("b", 3), ("a", 1), ("c", 1)]


def test_a_receipt_is_read_again_only_once_it_has_changed(
    small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, read = opened(small_set), LocalStorage.read
    seen: list[str] = []

    def watched(storage: LocalStorage, name: str) -> bytes:
        seen.append(name)
        return read(storage, name)

    monkeypatch.setattr(LocalStorage, "read", watched)
    first = built.receipts()
    assert sorted(seen) == [layout.receipt(shard) for shard in first]
    assert built.receipts() == first
    assert len(seen) == len(first)
    path = small_set / layout.receipt("mav-000001")
    path.write_text(json.dumps({**json.loads(path.read_text()), "frames": 12345}))
    assert built.receipts()["mav-000001"].frames == 12345
    assert seen[len(first) :] == [layout.receipt("mav-000001")]


def test_no_build_no_run(tmp_path: Path) -> None:
    assert read_run(LocalStorage(tmp_path)) is None
    assert read_run(LocalStorage(tmp_path / "nowhere")) is None
    with pytest.raises(OutputError, match="holds no build"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [("no json", "is no json"), ("[]", "no fingerprint"), ('{"a": 1}', "no fingerprint")],
)
def test_a_strange_run_is_refused(tmp_path: Path, data: str, message: str) -> None:
    (tmp_path / layout.RUN).write_text(data)
    with pytest.raises(OutputError, match=message):
        read_run(LocalStorage(tmp_path))


def test_an_output_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        read_run(LocalStorage(tmp_path / "file"))


@pytest.mark.parametrize("data", [None, b"", b"no parquet"])
def test_a_missing_or_broken_plan_is_refused(small_set: Path, data: bytes | None) -> None:
    (small_set / layout.PLAN).unlink()
    if data is not None:
        (small_set / layout.PLAN).write_bytes(data)
    with pytest.raises(OutputError, match=r"plan\.parquet"):
        opened(small_set)


def test_a_broken_receipt_manifest_or_failure_is_an_output_error(small_set: Path) -> None:
    built = opened(small_set)
    manifest = built.receipts()["mav-000001"].manifest.name
    (small_set / layout.data(manifest)).write_bytes(b"no parquet")
    with pytest.raises(OutputError, match=manifest):
        built.rows()
    (small_set / layout.data(manifest)).unlink()
    with pytest.raises(OutputError, match=manifest):
        built.rows()
    (small_set / layout.receipt("mav-000001")).write_text("{}")
    with pytest.raises(OutputError, match="remove it, and `mav build` builds the shard anew"):
        built.receipts()
    built.storage.put(layout.failure("mav-000000"), b"{}")
    with pytest.raises(OutputError, match="failures/"):
        built.failures()
