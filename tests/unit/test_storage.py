"""Files appear whole or not at all, are created once, and are read only as they were planned."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.errors import ConfigError, InputError, OutputError
from mav_pipeline.storage import LocalStorage, is_temporary, open_storage, read_ref, temporary_name
from tests.fakes import file_ref, write


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


def names(storage: LocalStorage) -> list[str]:
    return [entry.name for entry in storage.entries()]


# writing


def test_one_of_many_racing_creators_wins_and_its_bytes_stay(storage: LocalStorage) -> None:
    racers = 8
    start = threading.Barrier(racers)

    def race(number: int) -> bool:
        start.wait()
        return storage.create("shards/receipt.json", f"{number}".encode() * 1000)

    for _ in range(5):
        with ThreadPoolExecutor(racers) as pool:
            won = [*pool.map(race, range(racers))]
        assert sum(won) == 1
        winner = str(won.index(True)).encode()
        assert storage.read("shards/receipt.json") == winner * 1000
        assert names(storage) == ["shards/receipt.json"]
        storage.delete("shards/receipt.json")


def test_creating_never_replaces(storage: LocalStorage) -> None:
    assert storage.create("a", b"first") is True
    assert storage.create("a", b"second") is False
    assert storage.read("a") == b"first"
    assert names(storage) == ["a"]


def test_put_replaces_whole(storage: LocalStorage) -> None:
    storage.put("folder/a", b"first")
    storage.put("folder/a", b"second")
    assert storage.read("folder/a") == b"second"
    assert names(storage) == ["folder/a"]


def test_a_file_is_complete_at_the_instant_it_appears(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"x" * 100_000
    synced: list[int] = []
    placed: list[tuple[bytes, bool]] = []
    real_sync = os.fsync

    def sync(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real_sync(fd)

    def watch(real: Any) -> Any:
        def place(source: Path, target: Path) -> None:
            placed.append((source.read_bytes(), source.stat().st_ino in synced))
            assert not target.exists()
            real(source, target)

        return place

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", watch(os.replace))
    monkeypatch.setattr(os, "link", watch(os.link))
    storage.put("put", data)
    storage.create("created", data)
    path = storage.temporary("published")
    path.write_bytes(data)
    storage.publish(path, "published")
    assert placed == [(data, True)] * 3
    assert synced.count(storage.root.stat().st_ino) == 3  # the folder, after each


@pytest.mark.parametrize("method", ["put", "create"])
def test_a_failed_write_leaves_no_trace(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    storage.put("a", b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        getattr(storage, method)("a", b"new")
    assert names(storage) == ["a"]
    assert storage.read("a") == b"old"


def test_a_temporary_swept_by_another_builder_is_written_again(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, attempts = os.link, 0

    def swept(source: Path, target: Path) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            source.unlink()
        real(source, target)

    monkeypatch.setattr(os, "link", swept)
    assert storage.create("a", b"data") is True
    assert storage.read("a") == b"data"
    attempts = -9
    with pytest.raises(FileNotFoundError):
        storage.create("b", b"data")
    assert names(storage) == ["a"]


def test_publishing_keeps_what_exists_and_the_temporary(storage: LocalStorage) -> None:
    path = storage.temporary("shards/a.tar")
    path.write_bytes(b"first")
    storage.publish(path, "shards/a.tar")
    other = storage.temporary("shards/a.tar")
    other.write_bytes(b"second")
    storage.publish(other, "shards/a.tar")
    assert storage.read("shards/a.tar") == b"first"
    assert path.exists()
    assert other.exists()
    assert path != other


def test_deleting_what_is_gone_is_fine(storage: LocalStorage) -> None:
    storage.put("a", b"")
    storage.delete("a")
    storage.delete("a")
    assert not storage.exists("a")


# probing


def test_a_probe_accepts_a_fresh_folder_and_leaves_it_empty(storage: LocalStorage) -> None:
    storage.probe()
    assert names(storage) == []


def test_a_probe_refuses_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=f"output.root={root} must be a writable folder"):
            LocalStorage(root).probe()


def test_a_probe_refuses_what_cannot_be_written() -> None:
    with pytest.raises(OutputError, match="must be a writable folder"):
        LocalStorage("/proc/self/mav").probe()


def test_a_probe_refuses_a_file_system_without_hard_links(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(OutputError, match="with hard links: Operation not permitted"):
        storage.probe()
    assert names(storage) == []


def test_a_probe_refuses_links_that_overwrite(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", os.replace)
    with pytest.raises(OutputError, match="hard links overwrite"):
        storage.probe()
    assert names(storage) == []


# reading


def test_entries_come_in_order_and_enter_no_linked_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("b/2", "a", "b/1", "b.x", "c/d/e"):
        write(root / name, name)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "dangling").symlink_to(root / "nowhere")
    found = [*LocalStorage(root).entries()]
    assert [entry.name for entry in found if entry.name != "loop"] == [
        "a",
        "b/1",
        "b/2",
        "b.x",
        "c/d/e",
    ]
    assert not any(entry.name.startswith("loop/") for entry in found)
    assert [entry.size for entry in found if entry.name == "c/d/e"] == [5]
    assert [entry.name for entry in LocalStorage(root).entries("b")] == ["b/1", "b/2"]


def test_size_and_existence_of_what_is_not_there(storage: LocalStorage) -> None:
    storage.put("a", b"123")
    assert (storage.size("a"), storage.size("b"), storage.size("a/b")) == (3, None, None)
    assert (storage.exists("a"), storage.exists("b"), storage.exists("a/b")) == (True, False, False)


def read_problem(storage: LocalStorage, ref: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_ref(storage, ref)
    assert (caught.value.role, caught.value.stage) == ("video", "read")
    assert ref.label in caught.value.cause
    assert str(storage.root) not in str(caught.value)
    return caught.value.reason


def test_a_range_of_a_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", b"0123456789")
    ref = file_ref(tmp_path, path, "video")
    assert read_ref(LocalStorage(tmp_path), ref) == b"0123456789"
    assert read_ref(LocalStorage(tmp_path), replace(ref, offset=3, size=4)) == b"3456"


def test_a_file_that_is_no_longer_the_planned_one_is_not_read(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    path = write(tmp_path / "folder" / "a.mp4", b"0123456789")
    ref = file_ref(tmp_path, path, "video")
    mtime = path.stat().st_mtime_ns
    os.utime(path, ns=(mtime, mtime + 1))
    assert read_problem(storage, ref) == "changed"
    path.write_bytes(b"01234")
    os.utime(path, ns=(mtime, mtime))
    assert read_problem(storage, ref) == "truncated"
    path.unlink()
    assert read_problem(storage, ref) == "missing"
    path.mkdir()
    assert read_problem(storage, ref) == "missing"
    path.rmdir()
    path.parent.rmdir()
    write(path.parent, "a file now")
    assert read_problem(storage, ref) == "missing"


def test_a_file_that_may_not_be_read_is_the_datas_fault_a_broken_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    ref = file_ref(tmp_path, write(tmp_path / "a.mp4", b"1"), "video")
    for number in (errno.EACCES, errno.EIO):

        def fail(name: str, number: int = number) -> Any:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(storage, "open", fail)
        if number == errno.EACCES:
            assert read_problem(storage, ref) == "unreadable"
        else:
            with pytest.raises(OSError, match="Input/output"):
                read_ref(storage, ref)


# names and roots


def test_temporary_names_are_known_again_and_no_others() -> None:
    name = temporary_name("mav-000001.tar")
    assert is_temporary(name)
    assert is_temporary(f"shards/{name}")
    assert temporary_name("mav-000001.tar") != name
    others = ["mav-000001.tar", name[1:], name[:-4], ".x.tmp", name.replace("-", "-").upper(), ""]
    assert not any(is_temporary(other) for other in others)


def test_a_root_is_a_folder_and_is_named_by_its_key(tmp_path: Path) -> None:
    assert open_storage(str(tmp_path), "output.root", None).root == tmp_path
    assert open_storage("~/x", "output.root", None).root == Path.home() / "x"
    for unset in (None, ""):
        with pytest.raises(ConfigError, match=r"output\.root is not set; add output\.root="):
            open_storage(unset, "output.root", None)
    with pytest.raises(ConfigError, match=r"source\.root=ftp://x: no storage for ftp"):
        open_storage("ftp://x", "source.root", None)
