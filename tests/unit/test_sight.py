"""Driver and workers find what the other has written, or one of them looks at another place."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mav_pipeline.build import sight
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import LocalStorage
from tests.fakes import write


@pytest.fixture
def output(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "out")


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "_WAITS_S", (0.0, 0.0))


def names(storage: LocalStorage) -> list[str]:
    return [entry.name for entry in storage.entries()]


def test_each_finds_the_others_mark_and_nothing_stays(output: LocalStorage) -> None:
    mark = sight.leave(output)
    answered = sight.answer(LocalStorage(output.root), mark)
    sight.take(output, answered)
    assert names(output) == [mark.name], "the driver removes its own, once all have come"


def test_a_worker_that_looks_at_another_place_writes_nothing_there(
    output: LocalStorage, tmp_path: Path
) -> None:
    elsewhere = LocalStorage(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"is not what it is on .*mount one file system"):
        sight.answer(elsewhere, sight.leave(output))
    assert not elsewhere.root.exists()


def test_a_copy_of_the_set_is_another_place(output: LocalStorage, tmp_path: Path) -> None:
    for root in (output.root, tmp_path / "copy"):
        write(root / "run.json", '{"fingerprint": "f"}')
    answered = sight.answer(LocalStorage(tmp_path / "copy"), sight.mark_of_run(output))
    with pytest.raises(OutputError, match="what a worker wrote there is not to be seen"):
        sight.take(output, answered)


def test_another_set_in_the_same_folder_is_another_place(
    output: LocalStorage, tmp_path: Path
) -> None:
    write(output.root / "run.json", '{"fingerprint": "f"}')
    write(tmp_path / "old" / "run.json", '{"fingerprint": "g"}')
    with pytest.raises(OutputError, match=r"run\.json, written there, is not here"):
        sight.answer(LocalStorage(tmp_path / "old"), sight.mark_of_run(output))


def test_what_a_worker_may_not_write_is_said(
    output: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = sight.leave(output)

    def denied(name: str, data: bytes) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr(output, "put", denied)
    with pytest.raises(OutputError, match="cannot be read and written by a worker on"):
        sight.answer(output, mark)
