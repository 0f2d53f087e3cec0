"""The last step describes exactly the published set, and making it again makes the same."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
import webdataset

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize, is_final, is_indexed
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.dataset.verify import verify
from mav_pipeline.schema import ShardFailure
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import LocalStorage, temporary_name
from tests.fakes import build_set, config, write


def opened(root: Path) -> BuiltSet:
    return BuiltSet.open(LocalStorage(root))


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_index_and_the_list_name_the_tars_in_order(small_set: Path) -> None:
    *tars, empty = (layout.data(r.tar.name) for r in opened(small_set).receipts().values())
    assert (small_set / layout.SHARD_LIST).read_text().splitlines() == tars
    index = json.loads((small_set / layout.INDEX).read_text())
    assert [entry["url"] for entry in index["shardlist"]] == tars
    assert [entry["nsamples"] for entry in index["shardlist"]] == [2, 1]
    assert [(entry["url"], entry["nsamples"]) for entry in index["empty"]] == [(empty, 0)]
    for entry in (*index["shardlist"], *index["empty"]):
        assert entry["filesize"] == (small_set / entry["url"]).stat().st_size


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files left open
def test_a_reader_of_each_listed_tar_alone_finds_a_sample(small_set: Path) -> None:
    """As eight workers do that share eight shards; of an empty one webdataset makes an error."""
    for tar in (small_set / layout.SHARD_LIST).read_text().splitlines():
        assert [*webdataset.WebDataset(str(small_set / tar), shardshuffle=False)]
    (empty,) = json.loads((small_set / layout.INDEX).read_text())["empty"]
    with pytest.raises(ValueError, match="No samples"):
        [*webdataset.WebDataset(str(small_set / empty["url"]), shardshuffle=False)]


def test_a_finished_folder_of_tars_is_exactly_the_set(small_set: Path) -> None:
    tars = sorted(f"shards/{path.name}" for path in (small_set / "shards").glob("*.tar"))
    index = json.loads((small_set / layout.INDEX).read_text())
    assert tars == sorted(entry["url"] for entry in (*index["shardlist"], *index["empty"]))


def test_a_set_without_a_sample_lists_nothing(small_source: Path, tmp_path: Path) -> None:
    places = {"source.root": str(small_source), "output.root": str(tmp_path / "out")}
    built = build_set(config({**places, "source.include": ["sav_000004", "sav_000005"]}))
    finalize(built)
    assert (tmp_path / "out" / layout.SHARD_LIST).read_text() == ""
    assert json.loads((tmp_path / "out" / layout.INDEX).read_text())["shardlist"] == []
    assert verify(LocalStorage(tmp_path / "out"), VerifyConfig(deep=True, clean=False)).ok
    assert is_indexed(built)


def test_the_manifest_holds_all_rows(small_set: Path) -> None:
    merged = decode_rows((small_set / layout.MANIFEST).read_bytes())
    rows = opened(small_set).rows()
    assert isinstance(rows, pa.Table)
    assert merged.to_pylist() == rows.to_pylist()
    assert merged.num_rows == 8


def test_finalizing_again_makes_the_same(small_set: Path) -> None:
    before = contents(small_set)
    write(small_set / "shards" / temporary_name("mav-000000.tar"), "")
    finalize(opened(small_set))
    assert contents(small_set) == before


def test_a_set_is_final_until_something_is_missing_or_more_is_published(small_set: Path) -> None:
    built = opened(small_set)
    assert not is_final(built, report=True), "there is no report yet"
    assert is_final(built, report=False)
    write(small_set / layout.REPORT_PAGE, "")
    assert is_final(built, report=True)
    for name in (
        layout.MANIFEST,
        layout.SHARD_LIST,
        layout.CARD,
        layout.CROISSANT,
        layout.INDEX,
    ):
        data = (small_set / name).read_bytes()
        (small_set / name).unlink()
        assert not is_final(built, report=True), name
        (small_set / name).write_bytes(data)
    assert is_final(built, report=True)
    (small_set / layout.receipt("mav-000001")).unlink()
    assert not is_final(built, report=True)


def test_an_empty_shard_that_is_missing_keeps_a_set_from_being_final(small_set: Path) -> None:
    (small_set / layout.receipt("mav-000002")).unlink()
    assert not is_final(opened(small_set), report=False)


def test_the_index_of_a_set_of_format_1_may_list_empty_shards(small_set: Path) -> None:
    index, run = (json.loads((small_set / n).read_text()) for n in (layout.INDEX, layout.RUN))
    index["shardlist"] += index.pop("empty")
    former = json.dumps(index, sort_keys=True, indent=1)
    (small_set / layout.INDEX).write_text(former)
    assert not is_indexed(opened(small_set))
    (small_set / layout.RUN).write_text(json.dumps({**run, "format": 1}))
    assert is_indexed(opened(small_set))


def test_a_set_with_a_failed_shard_describes_what_is_published(small_set: Path) -> None:
    (small_set / layout.receipt("mav-000001")).unlink()
    failure = ShardFailure("mav-000001", "matting", "ValueError", "a bug", 3)
    record_failure(LocalStorage(small_set), failure)
    finalize(opened(small_set))
    lines = (small_set / layout.SHARD_LIST).read_text().splitlines()
    assert [line[:17] for line in lines] == ["shards/mav-000000"]
    assert decode_rows((small_set / layout.MANIFEST).read_bytes()).num_rows == 5


def test_nothing_final_is_written_over_pending_shards(small_set: Path) -> None:
    (small_set / layout.receipt("mav-000001")).unlink()
    before = contents(small_set)
    with pytest.raises(OutputError, match=r"1 of 3 shards in .* are pending"):
        finalize(opened(small_set))
    assert contents(small_set) == before
