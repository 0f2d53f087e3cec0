"""The output fails or refuses while a build runs: nothing is matted twice for it, or in vain."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import proxy, seaweed

from .console import Running, mav, shard_bytes
from .space import small_file_system
from .strike import Strike


def to_shards(method: str, path: str) -> bool:
    return method in ("PUT", "POST") and "/shards/" in path


def test_a_refusal_ends_the_build_and_the_next_one_publishes_what_waited(
    server: seaweed.Server,
    binary_args: tuple[str, ...],
    expected: dict[str, str],
    tmp_path: Path,
) -> None:
    client = server.client()
    seaweed.make_bucket(client, "outage")
    words = ("build", *binary_args, "output.root=s3://outage/out")
    env = {**seaweed.ENV, "TMPDIR": str(tmp_path)}
    denied = proxy.Faults(1.0, ("deny",), only=to_shards)
    with proxy.running(server.endpoint_url, denied) as hurt:
        done = mav(*words, f"storage.endpoint_url={hurt.endpoint_url}", env=env)
    assert done.code == 3, done.stderr
    assert "output.root=s3://outage/out refuses" in done.stderr
    assert "AccessDenied" in done.stderr
    assert "Traceback" not in done.stderr
    tars = [path for method, path in hurt.requests if method == "PUT" and ".tar" in path]
    assert 2 <= len(tars) <= 4, "each of the two shards at work is tried twice at most"
    (kept,) = tmp_path.glob("mav-kept-*")
    count = len(list(kept.iterdir()))
    assert count >= 1
    done = mav(*words, f"storage.endpoint_url={server.endpoint_url}", env=env)
    assert done.code == 0, done.stderr
    assert done.stderr.count("published without matting") == count
    assert not kept.exists()
    listed = client.list_objects_v2(Bucket="outage", Prefix="out/shards/")["Contents"]
    names = {entry["Key"].rpartition("/")[2] for entry in listed}
    assert {name for name in names if not name.endswith(".json")} == set(expected)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    with small_file_system(tmp_path / "disk", 8) as root:
        yield root


def fill(path: Path) -> None:
    """Writes a file until its disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_waited_for(
    disk: Path, binary_args: tuple[str, ...], expected: dict[str, str], tmp_path: Path
) -> None:
    """It fills just before a receipt, and is emptied once the build has said that it waits."""
    root = disk / "out"
    words = ("build", *binary_args, f"output.root={root}")
    (tmp_path / "tmp").mkdir()
    strike = Strike(signal.SIGSTOP, "after", r"shards/mav-000001-\w{16}\.parquet$")
    build = Running(*words, env={"TMPDIR": str(tmp_path / "tmp")}, strike=strike).stopped()
    filler = disk / "filler"
    fill(filler)
    build.go_on()
    while "No space left on device; again in" not in build.said():
        assert build.poll() is None, build.said()
        time.sleep(0.02)
    filler.unlink()
    done = build.end()
    assert done.code == 0, done.stderr
    assert "answers again" in done.stderr
    assert "attempt" not in done.stderr
    assert shard_bytes(root) == expected


def test_a_full_tmpdir_is_named(disk: Path, binary_args: tuple[str, ...], tmp_path: Path) -> None:
    fill(filler := disk / "filler")
    os.truncate(filler, filler.stat().st_size - 8192)  # Python passes over one that is full
    words = ("build", *binary_args, f"output.root={tmp_path / 'out'}")
    done = mav(*words, "runtime.max_attempts=1", env={"TMPDIR": str(disk)})
    assert done.code == 3, done.stderr
    assert f"WriteError: [Errno 28] TMPDIR={disk} on " in done.stderr
    assert "free room there, or set TMPDIR to another disk" in done.stderr
    assert "Traceback" not in done.stderr
