"""A shard exists exactly once, from its receipt on; a sweep removes nothing that may be wanted."""

from __future__ import annotations

import json
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.receipts import commit as commit_open
from mav_pipeline.dataset.receipts import (
    confirm,
    published,
    read_receipt,
    record_failure,
    sweep,
)
from mav_pipeline.schema import DataFile, ShardFailure, ShardReceipt
from mav_pipeline.schema.errors import TransientError
from mav_pipeline.storage import LocalStorage, is_temporary, temporary_name
from tests.fakes import receipt, write

FAILURE = ShardFailure("mav-000000", "decode", "OSError", "it was full", 3)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "out")


def commit(storage: LocalStorage, about: ShardReceipt, *paths: Path, **how: Any) -> bool:
    """Commits finished files by their paths."""
    with paths[0].open("rb") as tar, paths[1].open("rb") as rows:
        return commit_open(storage, about, tar, rows, **how)


def finished(
    storage: LocalStorage, tar: bytes = b"tar", rows: bytes = b"rows"
) -> tuple[Path, Path]:
    """Local files of a shard, ready to be committed."""
    paths = tuple(storage.temporary(layout.data(f"mav-000000.{s}")) for s in ("tar", "parquet"))
    for path, data in zip(paths, (tar, rows), strict=True):
        path.write_bytes(data)
    return paths[0], paths[1]


def names(storage: LocalStorage) -> set[str]:
    return {entry.name for entry in storage.entries() if not entry.name.endswith(".tmp")}


def test_a_commit_makes_the_shard_exist(storage: LocalStorage) -> None:
    assert commit(storage, receipt(), *finished(storage)) is True
    assert read_receipt(storage, "mav-000000") == receipt()
    assert storage.read(layout.data(receipt().tar.name)) == b"tar"
    assert storage.read(layout.data(receipt().manifest.name)) == b"rows"


def test_the_receipt_comes_last(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    publish, create = storage.publish, storage.create

    def publishing(file: BufferedReader, name: str) -> None:
        order.append(name)
        publish(file, name)

    def creating(name: str, data: bytes) -> bool:
        order.append(name)
        return create(name, data)

    monkeypatch.setattr(storage, "publish", publishing)
    monkeypatch.setattr(storage, "create", creating)
    commit(storage, receipt(), *finished(storage))
    files = [layout.data(receipt().tar.name), layout.data(receipt().manifest.name)]
    assert order == [*files, layout.receipt("mav-000000")]


def test_the_second_of_two_builders_changes_nothing(storage: LocalStorage) -> None:
    commit(storage, receipt(worker={"host": "first"}), *finished(storage))
    before = {name: storage.read(name) for name in names(storage)}
    assert commit(storage, receipt(worker={"host": "second"}), *finished(storage)) is False
    assert {name: storage.read(name) for name in names(storage)} == before


def test_a_late_builder_with_other_bytes_writes_beside(storage: LocalStorage) -> None:
    commit(storage, receipt(), *finished(storage))
    other = receipt(tar=DataFile(f"mav-000000-{'c' * 16}.tar", 5, "c" * 64))
    assert commit(storage, other, *finished(storage, tar=b"other")) is False
    assert read_receipt(storage, "mav-000000") == receipt()
    assert storage.read(layout.data(receipt().tar.name)) == b"tar"


def test_a_file_swept_just_before_its_receipt_is_put_back(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = storage.create

    def swept(name: str, data: bytes) -> bool:
        storage.delete(layout.data(receipt().tar.name))
        storage.delete(layout.data(receipt().manifest.name))
        return create(name, data)

    monkeypatch.setattr(storage, "create", swept)
    assert commit(storage, receipt(), *finished(storage)) is True
    assert storage.read(layout.data(receipt().tar.name)) == b"tar"
    assert storage.read(layout.data(receipt().manifest.name)) == b"rows"


def test_a_rebuild_swept_before_its_receipt_with_its_temporaries_is_put_back(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(storage, receipt(), *finished(storage))
    old = storage.read(layout.receipt("mav-000000"))
    rebuilt = receipt(tar=DataFile(f"mav-000000-{'c' * 16}.tar", 5, "c" * 64))
    swap = storage.swap

    def swept(*args: Any) -> bool:
        sweep(storage)
        assert [e.name for e in storage.entries() if is_temporary(e.name)] == []
        assert not storage.exists(layout.data(rebuilt.tar.name))
        return swap(*args)

    monkeypatch.setattr(storage, "swap", swept)
    assert commit(storage, rebuilt, *finished(storage, tar=b"other"), replaces=old) is True
    assert read_receipt(storage, "mav-000000") == rebuilt
    assert storage.read(layout.data(rebuilt.tar.name)) == b"other"


def test_a_file_that_keeps_vanishing_is_no_success(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "publish", lambda path, name: None)
    with pytest.raises(TransientError, match="disappears"):
        commit(storage, receipt(), *finished(storage))


def test_a_commit_that_failed_after_its_receipt_is_made_again(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = finished(storage)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", _failing)
        with pytest.raises(OSError, match="Input/output"):
            commit(storage, receipt(), *files)
    assert commit(storage, receipt(), *files) is True, "it is no other builder's"


def _failing(name: str) -> None:
    raise OSError(5, "Input/output error")


def test_a_receipt_is_looked_for_some_seconds_and_must_be_of_this_set(
    storage: LocalStorage,
) -> None:
    waits: list[float] = []

    def late(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            storage.put(layout.receipt("mav-000000"), json.dumps(receipt().to_json()).encode())

    confirm(storage, receipt(), late)
    assert len(waits) == 3
    with pytest.raises(TransientError, match="cannot be read back from"):
        confirm(storage, receipt(fingerprint="a" * 64), lambda _: None)


def test_a_published_shard_is_no_failed_one(storage: LocalStorage) -> None:
    record_failure(storage, FAILURE)
    assert json.loads(storage.read("failures/mav-000000.json")) == {
        "shard": "mav-000000",
        "stage": "decode",
        "type": "OSError",
        "message": "it was full",
        "attempts": 3,
    }
    commit(storage, receipt(), *finished(storage))
    assert not storage.exists("failures/mav-000000.json")


def test_a_receipt_survives_json() -> None:
    again = json.loads(json.dumps(receipt(notes=("a",)).to_json()))
    assert ShardReceipt.from_json(again) == receipt(notes=("a",))


def test_no_receipt_is_none_and_a_strange_one_is_an_error(storage: LocalStorage) -> None:
    assert read_receipt(storage, "mav-000000") is None
    whole = receipt().to_json()
    for data in (b"", b"no json", b"[]", b"{}", json.dumps({**whole, "more": 1}).encode()):
        storage.put(layout.receipt("mav-000000"), data)
        with pytest.raises(ValueError, match=r"shards/mav-000000\.json is not a receipt"):
            read_receipt(storage, "mav-000000")
    storage.put(layout.receipt("mav-000001"), json.dumps(whole).encode())
    with pytest.raises(ValueError, match="is the receipt of mav-000000"):
        read_receipt(storage, "mav-000001")


def test_a_sweep_leaves_exactly_the_set(storage: LocalStorage) -> None:
    commit(storage, receipt(), *finished(storage))
    kept = names(storage)
    strays = [
        f"shards/mav-000000-{'c' * 16}.tar",
        f"shards/mav-000000-{'c' * 16}.parquet",
        f"shards/{temporary_name('mav-000000.tar')}",
        f"shards/{temporary_name('mav-000000.json')}",
        temporary_name("manifest.parquet"),
        temporary_name("run.json"),
    ]
    for name in strays:
        write(storage.root / name, "")
    sweep(storage)
    assert {entry.name for entry in storage.entries()} == kept


def test_a_sweep_spares_unpublished_shards_and_strangers(storage: LocalStorage) -> None:
    commit(storage, receipt(), *finished(storage))
    spared = [
        f"shards/mav-000001-{'c' * 16}.tar",  # another builder is about to publish it
        f"shards/{temporary_name('mav-000001.tar')}",
        "shards/notes.txt",
        "shards/mav-000000-short.tar",
        f"elsewhere/mav-000000-{'c' * 16}.tar",
        "run.json",
        "thesis.tex",
    ]
    for name in spared:
        write(storage.root / name, "")
    sweep(storage)
    assert {entry.name for entry in storage.entries()} >= set(spared)


def test_a_sweep_asks_the_receipt_just_before_each_delete(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(storage, receipt(), *finished(storage))
    rebuilt = receipt(tar=DataFile(f"mav-000000-{'c' * 16}.tar", 5, "c" * 64))
    write(storage.root / layout.data(rebuilt.tar.name), "rebuilt")
    entries = [*storage.entries()]

    def listed() -> list[object]:
        storage.put(layout.receipt("mav-000000"), json.dumps(rebuilt.to_json()).encode())
        return [*entries]

    monkeypatch.setattr(storage, "entries", listed)
    sweep(storage)
    assert storage.exists(layout.data(rebuilt.tar.name))
    assert not storage.exists(layout.data(receipt().tar.name))


def test_published_shards_are_those_with_a_receipt(storage: LocalStorage) -> None:
    assert published(storage) == []
    for name in ("mav-000002.json", "mav-000001.json", f"mav-000003-{'a' * 16}.tar"):
        storage.put(f"shards/{name}", b"")
    assert published(storage) == ["mav-000001", "mav-000002"]


def test_names_are_told_from_strangers() -> None:
    data = layout.data_name("mav-000012", "0123456789abcdef" * 4, "tar")
    assert data == "mav-000012-0123456789abcdef.tar"
    assert layout.shard_of_data(f"shards/{data}") == "mav-000012"
    assert layout.shard_of_receipt(layout.receipt("mav-000012")) == "mav-000012"
    assert layout.shard_of_receipt(f"shards/{data}") is None
    for stranger in (data, f"x/{data}", f"shards/{data}x", f"shards/sub/{data}"):
        assert layout.shard_of_data(stranger) is None
    ours = ["run.json", "report/x/y.png", "failures/mav-000000.json", layout.receipt("mav-000001")]
    assert all(layout.is_of_set(name) for name in ours)
    assert not any(layout.is_of_set(name) for name in ("thesis.tex", "shards/x.tar", "a/run.json"))
