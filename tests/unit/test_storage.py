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
import stamina
from botocore import exceptions as boto_errors
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.schema.errors import ChangedError, ConfigError, InputError, OutputError
from mav_pipeline.storage import (
    Entry,
    LocalStorage,
    NoFile,
    is_temporary,
    open_storage,
    read_many,
    read_ref,
    temporary_name,
)
from mav_pipeline.storage.s3_errors import ATTEMPTS, PassingError, as_os_errors, attempts
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
    with path.open("rb") as file:
        storage.publish(file, "published")
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


def test_publishing_keeps_what_is_there_and_the_temporary(storage: LocalStorage) -> None:
    paths = [storage.temporary("shards/a.tar") for _ in range(2)]
    times = []
    for path in paths:
        path.write_bytes(b"data")
        with path.open("rb") as file:
            storage.publish(file, "shards/a.tar")
        times.append((storage.root / "shards" / "a.tar").stat().st_ino)
    assert times[0] == times[1]
    assert all(path.exists() for path in paths)


def test_publishing_replaces_what_is_damaged(storage: LocalStorage) -> None:
    storage.put("shards/a.tar", b"dama")
    path = storage.temporary("shards/a.tar")
    path.write_bytes(b"data")
    with path.open("rb") as file:
        storage.publish(file, "shards/a.tar")
    assert storage.read("shards/a.tar") == b"data"


def test_a_file_whose_path_was_swept_is_published_all_the_same(storage: LocalStorage) -> None:
    path = storage.temporary("shards/a.tar")
    path.write_bytes(b"data")
    with path.open("rb") as file:
        path.unlink()
        storage.publish(file, "shards/a.tar")
        assert storage.read("shards/a.tar") == b"data"
        storage.delete("shards/a.tar")
        storage.publish(file, "shards/a.tar")
    assert storage.read("shards/a.tar") == b"data"
    assert names(storage) == ["shards/a.tar"]


# swapping


def test_a_swap_replaces_only_what_still_holds_the_old_bytes(storage: LocalStorage) -> None:
    storage.put("folder/a", b"old")
    assert storage.swap("folder/a", b"older", b"new") is False
    assert storage.swap("folder/a", b"ol", b"new") is False
    assert storage.read("folder/a") == b"old"
    assert storage.swap("folder/a", b"old", b"new") is True
    assert storage.swap("folder/a", b"old", b"newer") is False
    assert storage.read("folder/a") == b"new"
    assert names(storage) == ["folder/a"]


def test_what_is_not_there_is_not_swapped_into_being(storage: LocalStorage) -> None:
    storage.put("folder/b", b"")
    for name in ("a", "folder/a", "nowhere/a"):
        assert storage.swap(name, b"", b"new") is False
    assert names(storage) == ["folder/b"]


def test_one_of_many_racing_swappers_wins_and_readers_see_whole_files(
    storage: LocalStorage,
) -> None:
    racers, rounds, size = 6, 8, 20_000
    start, done = threading.Barrier(racers), threading.Event()

    def whole(letter: int) -> bytes:
        return bytes([letter]) * size

    def race(number: int, old: bytes) -> bool:
        start.wait()
        return storage.swap("receipt", old, whole(number))

    def watch() -> set[bytes]:
        seen = set()
        while not done.is_set():
            seen.add(storage.read("receipt"))
        return seen

    held = whole(255)
    storage.put("receipt", held)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(racers) as pool:
        watching = reader.submit(watch)
        try:
            for number in range(rounds):
                firsts = range(number * racers, (number + 1) * racers)
                won = [*pool.map(race, firsts, [held] * racers)]
                assert sum(won) == 1
                held = whole(firsts[won.index(True)])
                assert storage.read("receipt") == held
        finally:
            done.set()
        assert all(data == data[:1] * size for data in watching.result())
    assert names(storage) == ["receipt"]


def test_a_swapper_that_waited_looks_at_the_file_that_lies_there_by_then(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("a", b"old")

    def overtaken(file: Any, how: int) -> None:
        storage.put("a", b"another's")  # while we waited for the lock of the old file

    monkeypatch.setattr("mav_pipeline.storage.local.fcntl.flock", overtaken)
    assert storage.swap("a", b"old", b"new") is False
    assert storage.read("a") == b"another's"


def test_a_failed_swap_leaves_the_old_file_and_no_trace(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("a", b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            storage.swap("a", b"old", b"new")
    assert (names(storage), storage.read("a")) == (["a"], b"old")
    assert storage.swap("a", b"old", b"new") is True


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


def inputs(root: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the files, and why what else there is is none."""
    found = [*LocalStorage(root).inputs()]
    others = {entry.name: entry.why for entry in found if isinstance(entry, NoFile)}
    return [entry.name for entry in found if isinstance(entry, Entry)], others


def test_inputs_come_through_links_each_folder_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("root/b/2", "root/a", "root/c/d/e", "elsewhere/f", "elsewhere/g/h", "one/file"):
        write(tmp_path / name, name)
    (root / "again").symlink_to(root / "c" / "d")
    (root / "b" / "loop").symlink_to(root)
    (root / "away").symlink_to("../elsewhere")
    (root / "away_too").symlink_to("../elsewhere/g")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    (root / "c" / "linked").symlink_to(tmp_path / "one" / "file")
    (root / "dangling").symlink_to(root / "nowhere")
    (root / "round").symlink_to("round")
    os.mkfifo(root / "pipe")
    files, others = inputs(root)
    assert files == ["a", "b/2", "c/d/e", "c/linked", "away/f", "away/g/h"]
    assert others == {
        "again": "listed",
        "b/loop": "listed",
        "away_too": "listed",
        "away/back": "listed",
        "dangling": "dangling",
        "round": "dangling",
        "pipe": "special",
    }
    sizes = {entry.name: entry.size for entry in LocalStorage(root).inputs() if "c/" in entry.name}
    assert sizes["c/linked"] == len("one/file")


@given(st.data())
def test_any_links_between_folders_end_and_every_file_comes_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("linked")
    folders = [root / name for name in ("a", "a/b", "a/b/c", "d", "d/e")]
    for number, folder in enumerate(folders):
        write(folder / "file", str(number))
    ends = st.sampled_from([root, *folders])
    for number, (at, to) in enumerate(data.draw(st.lists(st.tuples(ends, ends), max_size=6))):
        (at / f"link{number}").symlink_to(to)
    files, others = inputs(root)
    assert files == ["a/b/c/file", "a/b/file", "a/file", "d/e/file", "d/file"]
    assert set(others.values()) <= {"listed"}


def test_size_and_existence_of_what_is_not_there(storage: LocalStorage) -> None:
    storage.put("a", b"123")
    assert (storage.size("a"), storage.size("b"), storage.size("a/b")) == (3, None, None)
    assert (storage.exists("a"), storage.exists("b"), storage.exists("a/b")) == (True, False, False)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    """A folder with one file, ``digits``, of 10 bytes; read-only."""
    root = tmp_path_factory.mktemp("ten")
    write(root / "digits", b"0123456789")
    return LocalStorage(root)


@given(st.integers(0, 15), st.integers(0, 15))
def test_a_range_is_that_part_of_the_file_and_ends_with_it(
    ten: LocalStorage, offset: int, count: int
) -> None:
    (entry,) = ten.entries()
    found = ten.read_range("digits", offset, count, entry.version)
    assert found == b"0123456789"[offset : offset + count]


@pytest.mark.parametrize("count", [0, 4])
def test_no_byte_of_another_version_is_read(storage: LocalStorage, count: int) -> None:
    storage.put("a", b"first")
    (planned,) = storage.entries()
    storage.put("a", b"other")
    os.utime(storage.root / "a", ns=(0, int(planned.version) + 1))
    (now,) = storage.entries()
    assert now.size == planned.size
    with pytest.raises(ChangedError):
        storage.read_range("a", 0, count, planned.version)
    assert storage.read_range("a", 0, count, now.version) == b"other"[:count]
    storage.delete("a")
    with pytest.raises(FileNotFoundError):
        storage.read_range("a", 0, count, now.version)


class LateFirst(LocalStorage):
    """The first file of each ``parallel`` is read last."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_already: list[str] = []
        self._turn = threading.Condition()

    def read(self, name: str) -> bytes:
        with self._turn:
            after = int(name) + 1
            if after % self.parallel:
                self._turn.wait_for(lambda: str(after) in self.read_already, timeout=60)
            self.read_already.append(name)
            self._turn.notify_all()
        return super().read(name)


def test_many_files_come_in_the_order_asked_for_whichever_is_there_first(tmp_path: Path) -> None:
    storage = LateFirst(tmp_path)
    asked = [str(number) for number in range(2 * storage.parallel)]
    for name in asked:
        storage.put(name, name.encode() * 3)
    assert [*read_many(storage, asked)] == [name.encode() * 3 for name in asked]
    assert storage.read_already.index("3") < storage.read_already.index("0")
    assert [*read_many(storage, [])] == []


def test_of_many_files_one_that_is_missing_is_an_error_in_its_place(storage: LocalStorage) -> None:
    storage.put("a", b"1")
    found = read_many(storage, ["a", "b", "a"])
    assert next(found) == b"1"
    with pytest.raises(FileNotFoundError):
        next(found)


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
    for root, path in ((str(tmp_path), tmp_path), ("~/x", Path.home() / "x")):
        opened = open_storage(root, "output.root", None)
        assert isinstance(opened, LocalStorage)
        assert opened.root == path
    for unset in (None, ""):
        with pytest.raises(ConfigError, match=r"output\.root is not set; add output\.root="):
            open_storage(unset, "output.root", None)
    with pytest.raises(ConfigError, match=r"source\.root=ftp://x: no storage for ftp"):
        open_storage("ftp://x", "source.root", None)


@pytest.mark.parametrize(
    ("root", "endpoint", "why"),
    [
        ("s3://", None, "output.root=s3:// names no bucket; write s3://bucket/prefix"),
        ("s3:///prefix", None, "output.root=s3:///prefix names no bucket"),
        ("gs://bucket", None, "output.root=gs://bucket: no storage for gs://; use a folder or s3"),
        ("s3://bucket", "no-url", "output.root=s3://bucket: storage.endpoint_url=no-url: Invalid"),
        ("s3://bucket/x", "http://", "storage.endpoint_url=http://: Invalid"),
    ],
)
def test_a_root_that_is_no_place_is_refused_before_a_server_is_asked(
    root: str, endpoint: str | None, why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(root, "output.root", endpoint)
    assert why in str(caught.value)


def test_swap_says_no_only_where_another_swapped(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("a", b"old")
    real = os.replace

    def swept(source: Path, target: Path) -> None:
        source.unlink()
        real(source, target)

    monkeypatch.setattr(os, "replace", swept)
    with pytest.raises(FileNotFoundError):
        storage.swap("a", b"old", b"new")
    assert storage.read("a") == b"old"


# what S3 raises


def refusal(code: str) -> Exception:
    return boto_errors.ClientError({"Error": {"Code": code, "Message": ""}}, "PutObject")


@pytest.mark.parametrize(
    ("raised", "known"),
    [
        (refusal("NoSuchKey"), FileNotFoundError),
        (refusal("AccessDenied"), PermissionError),
        (refusal("PreconditionFailed"), ChangedError),
        (refusal("InternalError"), OSError),
        (refusal("ConditionalRequestConflict"), PassingError),
        (boto_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), PassingError),
        (boto_errors.ReadTimeoutError(endpoint_url="x"), PassingError),
        (boto_errors.ResponseStreamingError(error="x"), PassingError),
        (boto_errors.EndpointConnectionError(endpoint_url="x"), OSError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:40],
)
def test_what_s3_raises_is_an_error_of_ours(raised: Exception, known: type) -> None:
    with pytest.raises(OSError, match="s3://b/a") as caught, as_os_errors("s3://b/a"):
        raise raised
    assert type(caught.value) is known


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (PassingError(errno.EIO, "it broke off"), ATTEMPTS),
        (OSError(errno.EIO, "botocore has tried"), 1),
        (FileNotFoundError(errno.ENOENT, "gone"), 1),
        (ChangedError(errno.ESTALE, "changed"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_passes_is_tried_again_and_not_for_ever(error: OSError, tries: int) -> None:
    tried = []

    def keep_trying() -> None:
        for attempt in attempts():
            with attempt:
                tried.append(attempt.num)
                raise error

    without_waits = stamina.set_testing(True, attempts=99, cap=True)
    with without_waits, pytest.raises(type(error)) as caught:
        keep_trying()
    assert caught.value is error
    assert len(tried) == tries
