"""Verifying finds whatever is wrong with a set, says where, and removes only what it may."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import decode_rows, encode_rows
from mav_pipeline.dataset.verify import Verification, verify
from mav_pipeline.schema import FORMAT
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import LocalStorage, temporary_name
from tests.fakes import write


def verified(root: Path, *, deep: bool = False, clean: bool = False) -> Verification:
    return verify(LocalStorage(root), VerifyConfig(deep=deep, clean=clean))


def receipt(root: Path, shard: str = "mav-000000") -> dict[str, Any]:
    return dict(json.loads((root / layout.receipt(shard)).read_text()))


def replace_file(root: Path, kind: str, data: bytes, shard: str = "mav-000000") -> None:
    """Puts other contents under a receipt that agrees with them: only a deep look can tell."""
    found = receipt(root, shard)
    (root / layout.data(found[kind]["name"])).unlink()
    digest = hashlib.sha256(data).hexdigest()
    suffix = "tar" if kind == "tar" else "parquet"
    name = layout.data_name(shard, digest, suffix)
    found[kind] = {"name": name, "bytes": len(data), "sha256": digest}
    (root / layout.data(name)).write_bytes(data)
    (root / layout.receipt(shard)).write_text(json.dumps(found))


def data_of(root: Path, kind: str, shard: str = "mav-000000") -> Path:
    return root / layout.data(receipt(root, shard)[kind]["name"])


def whats(found: Verification) -> str:
    return "\n".join(f"{finding.path}: {finding.what}" for finding in found.findings)


def test_a_whole_set_has_no_findings(small_set: Path) -> None:
    found = verified(small_set, deep=True)
    assert found.ok, whats(found)
    assert found.shards == {"planned": 3, "published": 3, "whole": 3}
    assert (found.samples, found.alphas) == (3, 6)
    assert found.strays == []
    assert (found.to_json()["ok"], found.to_json()["state"]) == (True, "complete")


def test_a_set_without_its_last_step_is_unfinished(small_set: Path) -> None:
    (small_set / layout.INDEX).unlink()
    found = verified(small_set)
    assert (found.ok, found.is_finished) == (True, False)


def test_an_unfinished_build_is_not_wrong(small_set: Path) -> None:
    for name in (layout.INDEX, layout.receipt("mav-000001")):
        (small_set / name).unlink()
    found = verified(small_set, deep=True)
    assert not found.findings
    assert found.shards == {"planned": 3, "published": 2, "whole": 2}
    assert found.to_json()["state"] == "incomplete"


def test_no_build_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no build"):
        verified(tmp_path)


@pytest.mark.parametrize("kind", ["tar", "manifest"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing, though a receipt names it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), r"has \d+ bytes, its receipt"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), r"has \d+ bytes, its receipt"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "another sha256"),
    ],
    ids=["gone", "short", "long", "flipped"],
)
def test_a_damaged_data_file_is_named(
    small_set: Path, kind: str, damage: Callable[[Path], object], message: str
) -> None:
    path = data_of(small_set, kind)
    damage(path)
    found = verified(small_set)
    assert not found.ok
    assert found.shards["whole"] == 2
    (finding,) = found.findings
    assert finding.path == f"shards/{path.name}"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(finding.what)


def test_a_broken_receipt_is_named_and_the_rest_still_checked(small_set: Path) -> None:
    (small_set / layout.receipt("mav-000001")).write_text("{}")
    data_of(small_set, "tar").unlink()
    found = verified(small_set)
    assert "shards/mav-000001.json is not a receipt" in whats(found)
    assert "is missing" in whats(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "0" * 64}, "its fingerprint is 000"),
        ({"masklets": {"accepted": 3, "rejected": 1, "skipped": 0, "failed": 0}}, "has masklets"),
        ({"clips": {"published": 1, "failed": 0, "skipped": 0, "samples": 2}}, "for 1 clips"),
    ],
)
def test_a_receipt_that_tells_another_story_is_named(
    small_set: Path, change: dict[str, Any], message: str
) -> None:
    path = small_set / layout.receipt("mav-000000")
    path.write_text(json.dumps({**receipt(small_set), **change}))
    found = verified(small_set)
    assert message in whats(found)
    assert found.shards["whole"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:2], "has rows of 1 clips, the plan names 2"),
        (lambda rows: rows[::-1], "in another order"),
        (lambda rows: [{**row, "status": "rejected"} for row in rows], "gives no reason"),
    ],
)
def test_rows_that_do_not_fit_the_plan_are_named(
    small_set: Path, change: Callable[[list[Any]], list[Any]], message: str
) -> None:
    rows = decode_rows(data_of(small_set, "manifest").read_bytes()).to_pylist()
    replace_file(small_set, "manifest", encode_rows(change(rows), FORMAT))
    assert message in whats(verified(small_set))


def test_a_manifest_that_is_none_is_named(small_set: Path) -> None:
    replace_file(small_set, "manifest", b"no parquet")
    assert "cannot be read" in whats(verified(small_set))


# deep


def test_a_torn_tar_under_a_fitting_receipt_is_found_by_a_deep_look(small_set: Path) -> None:
    data = data_of(small_set, "tar").read_bytes()
    replace_file(small_set, "tar", data[:600])  # in the first member
    (small_set / layout.INDEX).unlink()
    assert verified(small_set).ok
    assert "not a whole tar" in whats(verified(small_set, deep=True))


def test_a_tar_cut_between_samples_is_found_by_a_deep_look(small_set: Path) -> None:
    path = data_of(small_set, "tar")
    data = path.read_bytes()
    replace_file(small_set, "tar", data[: data.index(b"sav_000002.json")])
    found = whats(verified(small_set, deep=True))
    assert "has 1 samples, its receipt says 2" in found
    assert "sav_000002 manual_000 is accepted in the rows only" in found


def test_a_sample_that_does_not_decode_is_found_by_a_deep_look(small_set: Path) -> None:
    data = data_of(small_set, "tar").read_bytes()
    replace_file(small_set, "tar", data.replace(b"\x1a\x45\xdf\xa3", b"\0\0\0\0", 1))
    found = verified(small_set, deep=True)
    assert "sample sav_000001: not an FFV1 Matroska file" in whats(found)
    assert found.samples == 3


# the final files


@pytest.mark.parametrize("name", [layout.SHARD_LIST, layout.MANIFEST])
def test_a_missing_final_file_is_found(small_set: Path, name: str) -> None:
    (small_set / name).unlink()
    assert "the final files cannot be read" in whats(verified(small_set))


def test_final_files_of_another_set_are_found(small_set: Path) -> None:
    (small_set / layout.receipt("mav-000001")).unlink()
    found = whats(verified(small_set))
    assert "is not in both the index and the receipts" in found
    (small_set / layout.SHARD_LIST).write_text("shards/other.tar\n")
    assert "shards.txt: differs from index.json" in whats(verified(small_set))


def test_a_listed_shard_without_a_sample_is_found_but_in_sets_of_format_1(small_set: Path) -> None:
    index, run = (json.loads((small_set / n).read_text()) for n in (layout.INDEX, layout.RUN))
    index["shardlist"] += index.pop("empty")
    (small_set / layout.INDEX).write_text(json.dumps(index))
    lines = "".join(f"{entry['url']}\n" for entry in index["shardlist"])
    (small_set / layout.SHARD_LIST).write_text(lines)
    (finding,) = verified(small_set).findings
    assert finding.path == layout.INDEX
    assert f"{index['shardlist'][2]['url']} holds no sample" in finding.what
    (small_set / layout.RUN).write_text(json.dumps({**run, "format": 1}))
    assert "holds no sample" not in whats(verified(small_set))


def test_a_shard_with_samples_among_the_empty_ones_is_found(small_set: Path) -> None:
    index = json.loads((small_set / layout.INDEX).read_text())
    moved = index["shardlist"].pop(0)
    index["empty"].append(moved)
    (small_set / layout.INDEX).write_text(json.dumps(index))
    found = whats(verified(small_set))
    assert f"{moved['url']} holds samples" in found
    assert "shards.txt: differs from index.json" in found


# strays


def test_strays_are_reported_and_only_those_of_our_form_removed(small_set: Path) -> None:
    ours = [
        f"shards/mav-000000-{'0' * 16}.tar",
        f"shards/mav-000009-{'0' * 16}.parquet",
        f"shards/{temporary_name('mav-000000.tar')}",
        temporary_name("manifest.parquet"),
    ]
    strangers = ["shards/notes.txt", "thesis.tex"]
    for name in (*ours, *strangers):
        write(small_set / name, "")
    before = verified(small_set)
    assert not before.ok
    assert (sorted(before.strays), before.removed) == (sorted([*ours, *strangers]), [])
    cleaned = verified(small_set, clean=True)
    assert sorted(cleaned.removed) == sorted(ours)
    assert not cleaned.ok, "the strangers are still there"
    for name in strangers:
        (small_set / name).unlink()
    assert verified(small_set, deep=True).ok


def test_cleaning_a_whole_set_removes_nothing(small_set: Path) -> None:
    before = sorted(path for path in small_set.rglob("*"))
    assert verified(small_set, clean=True).ok
    assert sorted(path for path in small_set.rglob("*")) == before


def test_rows_of_another_version_are_a_finding(small_set: Path) -> None:
    """However they came there: a build that would write them is refused."""
    run = json.loads((small_set / "run.json").read_text())
    run["columns"] = [*run["columns"], "later"]
    (small_set / "run.json").write_text(json.dumps(run))
    found = verify(LocalStorage(small_set), VerifyConfig(deep=False, clean=False))
    assert len(found.findings) == found.shards["published"] == 3
    assert all("another version wrote it" in finding.what for finding in found.findings)
