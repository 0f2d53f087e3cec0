"""The last step describes exactly the published set, and making it again makes the same."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize, is_final
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.storage import LocalStorage, temporary_name
from tests.fakes import write


def opened(root: Path) -> BuiltSet:
    return BuiltSet.open(LocalStorage(root))


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_index_and_the_list_name_the_tars_in_order(small_set: Path) -> None:
    receipts = opened(small_set).receipts()
    tars = [layout.data(receipt.tar.name) for receipt in receipts.values()]
    assert (small_set / layout.SHARD_LIST).read_text().splitlines() == tars
    index = json.loads((small_set / layout.INDEX).read_text())
    assert [entry["url"] for entry in index["shardlist"]] == tars
    assert [entry["nsamples"] for entry in index["shardlist"]] == [2, 1, 0]
    sizes = [(small_set / tar).stat().st_size for tar in tars]
    assert [entry["filesize"] for entry in index["shardlist"]] == sizes


def test_a_finished_folder_of_tars_is_exactly_the_set(small_set: Path) -> None:
    tars = sorted(f"shards/{path.name}" for path in (small_set / "shards").glob("*.tar"))
    assert tars == (small_set / layout.SHARD_LIST).read_text().splitlines()


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
    assert not is_final(built), "there is no report yet"
    write(small_set / "report" / "index.html", "")
    assert is_final(built)
    for name in (
        layout.MANIFEST,
        layout.SHARD_LIST,
        layout.CARD,
        layout.CROISSANT,
        layout.INDEX,
    ):
        data = (small_set / name).read_bytes()
        (small_set / name).unlink()
        assert not is_final(built), name
        (small_set / name).write_bytes(data)
    assert is_final(built)
    (small_set / layout.receipt("mav-000001")).unlink()
    assert not is_final(built)


def test_an_unfinished_set_describes_what_is_published(small_set: Path) -> None:
    (small_set / layout.receipt("mav-000001")).unlink()
    finalize(opened(small_set))
    lines = (small_set / layout.SHARD_LIST).read_text().splitlines()
    assert [line[:17] for line in lines] == ["shards/mav-000000", "shards/mav-000002"]
    assert decode_rows((small_set / layout.MANIFEST).read_bytes()).num_rows == 5
