"""What is too much to hold goes to disk, is read back from there, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mav_pipeline.dataset import shard_tar
from mav_pipeline.dataset.shard_tar import ShardTar, stored_samples
from mav_pipeline.schema import FileRef, Sample, open_content, read_content, size_of
from mav_pipeline.schema.errors import InputError
from mav_pipeline.storage import LocalStorage, Spool, fetch_ref, spool


def file_ref(path: Path, size: int | None = None) -> FileRef:
    stat = path.stat()
    version = str(stat.st_mtime_ns)
    return FileRef("video", path.name, 0, size or stat.st_size, version, path.name)


def test_parts_are_read_by_many_at_once() -> None:
    parts = [bytes([number]) * 100_000 for number in range(20)]
    spooled = Spool()
    blobs = [spooled.add(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(read_content, blobs * 3)] == parts * 3
    assert [size_of(blob) for blob in blobs] == [100_000] * 20
    with open_content(blobs[7]) as stream:
        stream.seek(-3, os.SEEK_END)
        assert stream.read() == bytes([7]) * 3


def test_a_blob_outlives_its_spool() -> None:
    blob = Spool().add(b"here")
    assert read_content(blob) == b"here"


def test_a_large_input_is_spooled_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "HELD", 1000)
    data = os.urandom(12_345)
    (tmp_path / "a.mp4").write_bytes(data)
    content = fetch_ref(LocalStorage(tmp_path), file_ref(tmp_path / "a.mp4"))
    assert not isinstance(content, bytes)
    assert read_content(content) == data
    (tmp_path / "b.mp4").write_bytes(data[:1000])
    assert isinstance(fetch_ref(LocalStorage(tmp_path), file_ref(tmp_path / "b.mp4")), bytes)


def test_a_large_input_that_is_cut_is_named_as_a_small_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(2500))
    said = []
    for held in (1000, 10_000):
        monkeypatch.setattr(spool, "HELD", held)
        with pytest.raises(InputError) as caught:
            fetch_ref(LocalStorage(tmp_path), file_ref(tmp_path / "a.mp4", 4000))
        said.append((caught.value.reason, str(caught.value)))
    assert said == [("truncated", "read of video: a.mp4 ends after 2500 of 4000 bytes")] * 2


def test_a_tar_of_spooled_members_is_that_of_bytes(tmp_path: Path) -> None:
    spooled = Spool()
    members = [("json", b"{}"), ("rgb.mp4", os.urandom(3_000_000)), ("a.alpha.mkv", b"x")]
    samples = [
        Sample("a", tuple(members)),
        Sample("a", tuple((name, spooled.add(data)) for name, data in members)),
    ]
    digests = set()
    for number, sample in enumerate(samples):
        with ShardTar(tmp_path / f"{number}.tar") as tar:
            tar.add(sample)
        digests.add(tar.sha256)
    assert len(digests) == 1


def test_of_a_large_sample_the_rest_is_read_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"json": b"{}", "rgb.mp4": b"r" * 500, "a.alpha.mkv": b"a" * 600, "z": b"z"}
    with ShardTar(tmp_path / "x.tar") as tar:
        tar.add(Sample("a", tuple(members.items())))
        tar.add(Sample("b", (("json", b"{}"),)))
    monkeypatch.setattr(shard_tar, "HELD", 510)
    found = dict(stored_samples(LocalStorage(tmp_path), "x.tar"))
    held = [name for name, content in found["a"].items() if isinstance(content, bytes)]
    assert held == ["json", "rgb.mp4"]
    assert {name: read_content(content) for name, content in found["a"].items()} == members
    assert found["b"] == {"json": b"{}"}


def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import sys, time; from mav_pipeline.storage import Spool; s = Spool()\n"
        "s.add(bytes(1_000_000)); print('there', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        process.send_signal(signal.SIGKILL)
    assert [*tmp_path.iterdir()] == []
