"""A shard tar is the same whenever and wherever it is written, and a torn one is noticed."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from mav_pipeline.dataset.shard_tar import ShardTar, read_samples
from mav_pipeline.schema import Sample

SAMPLES = [
    Sample("sav_000002", (("json", b"{}"), ("rgb.mp4", b"video"), ("manual_000.alpha.mkv", b"a"))),
    Sample("sav_000001", (("json", b'{"a":1}'), ("rgb.00000.jpg", b"picture" * 3000))),
]


def written(path: Path, samples: list[Sample]) -> ShardTar:
    with ShardTar(path) as tar:
        for sample in samples:
            tar.add(sample)
    return tar


def tar_of(*names: str) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    buffer.seek(0)
    return buffer


def test_samples_come_back_in_their_order(tmp_path: Path) -> None:
    written(tmp_path / "a.tar", SAMPLES)
    with (tmp_path / "a.tar").open("rb") as file:
        found = [*read_samples(file)]
    assert found == [(sample.key, dict(sample.members)) for sample in SAMPLES]


def test_members_that_are_not_wanted_are_passed_over(tmp_path: Path) -> None:
    written(tmp_path / "a.tar", SAMPLES)
    with (tmp_path / "a.tar").open("rb") as file:
        found = [*read_samples(file, lambda key, extension: key + extension > "sav_000002k")]
    assert found == [("sav_000002", {"rgb.mp4": b"video", "manual_000.alpha.mkv": b"a"})]


def test_size_and_hash_are_those_of_the_file(tmp_path: Path) -> None:
    tar = written(tmp_path / "a.tar", SAMPLES)
    data = (tmp_path / "a.tar").read_bytes()
    assert (tar.bytes, tar.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_bytes_depend_on_the_samples_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path / "a.tar", SAMPLES)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    second = written(tmp_path / "folder.tar", SAMPLES)
    assert first.sha256 == second.sha256
    assert written(tmp_path / "c.tar", SAMPLES[::-1]).sha256 != first.sha256


def test_members_carry_nothing_of_the_machine(tmp_path: Path) -> None:
    written(tmp_path / "a.tar", SAMPLES)
    with tarfile.open(tmp_path / "a.tar") as tar:
        for info in tar:
            owner = (info.uid, info.gid, info.uname, info.gname)
            assert (info.mtime, info.mode, owner) == (0, 0o644, (0, 0, "", ""))
            assert isinstance(info.mtime, int)


def test_an_empty_shard_is_a_whole_tar(tmp_path: Path) -> None:
    written(tmp_path / "a.tar", [])
    with (tmp_path / "a.tar").open("rb") as file:
        assert [*read_samples(file)] == []


def test_a_failure_leaves_a_torn_archive_not_a_closed_one(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.tar", SAMPLES)
    with pytest.raises(RuntimeError), ShardTar(tmp_path / "torn.tar") as tar:  # noqa: PT012
        for sample in SAMPLES:
            tar.add(sample)
        raise RuntimeError
    assert (tmp_path / "torn.tar").stat().st_size < whole.bytes


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        written(tmp_path / "a.tar", SAMPLES)


@pytest.mark.parametrize("keep", [100, 513, 1540, 9000])
def test_an_archive_torn_inside_a_member_is_noticed(tmp_path: Path, keep: int) -> None:
    written(tmp_path / "a.tar", SAMPLES)
    data = (tmp_path / "a.tar").read_bytes()[:keep]
    with pytest.raises(ValueError, match="not a whole tar"):
        list(read_samples(io.BytesIO(data)))


def test_what_is_no_tar_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not a whole tar"):
        list(read_samples(io.BytesIO(b"text" * 1000)))


def test_a_sample_must_lie_together_and_hold_each_member_once() -> None:
    with pytest.raises(ValueError, match="a does not lie together"):
        list(read_samples(tar_of("a.json", "b.json", "a.mkv")))
    with pytest.raises(ValueError, match=r"a\.json is no file, or stands twice"):
        list(read_samples(tar_of("a.json", "a.json")))
