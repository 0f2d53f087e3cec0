"""The same build on Ray: the same bytes from one worker and from two, and as a submitted job."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .console import REPOSITORY, mav, shard_bytes

# A driver's ray.init() would else write a token under the home folder and ask every head for it.
ENV = {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
RAY = str(Path(sys.executable).parent / "ray")


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_workers_give_the_bytes_of_a_local_build(
    workers: int,
    build_args: tuple[str, ...],
    undisturbed: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    _, expected = undisturbed
    root = tmp_path / "out"
    args = ("runtime=ray", f"runtime.num_workers={workers}", f"output.root={root}")
    done = mav("build", *build_args, *args, "--json", env=ENV)
    assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert shard_bytes(root) == expected


def test_a_worker_that_cannot_start_stops_the_build_before_the_first_clip(
    build_args: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    args = ("runtime=ray", "runtime.gpus_per_worker=64", "runtime.start_timeout_s=3")
    done = mav("build", *build_args, *args, f"output.root={root}", env=ENV)
    assert done.code == 2, done.stderr
    assert "runtime.start_timeout_s" in done.stderr
    assert not (root / "run.json").exists()


@pytest.fixture
def head(tmp_path: Path) -> Iterator[str]:
    """A real head with a dashboard; the address to submit jobs to."""
    ports = [_free_port(), _free_port()]
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"mavray{os.getpid()}"  # sockets: short path
    address = f"127.0.0.1:{ports[0]}"
    command = [
        *(RAY, "start", "--head", "--node-ip-address=127.0.0.1", f"--port={ports[0]}"),
        *(f"--dashboard-port={ports[1]}", f"--temp-dir={folder}", "--num-cpus=2"),
        "--disable-usage-stats",
    ]
    env = {**os.environ, **ENV}
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
    try:
        yield f"http://127.0.0.1:{ports[1]}"
    finally:
        _stop(address, folder)


def test_a_submitted_job_builds_the_same_bytes(
    head: str,
    build_args: tuple[str, ...],
    undisturbed: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    _, expected = undisturbed
    root = tmp_path / "out"
    working_dir = tmp_path / "working_dir"
    working_dir.mkdir()
    for name in ("mav_pipeline", "conf", "jobs"):
        (working_dir / name).symlink_to(REPOSITORY / name)
    submit = [RAY, "job", "submit", "--address", head, "--working-dir", str(working_dir), "--"]
    job = [sys.executable, "jobs/build_mav.py", *build_args, f"output.root={root}"]
    done = _submitted([*submit, *job])
    assert done.returncode == 0, done.stdout + done.stderr
    assert shard_bytes(root) == expected


def _submitted(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Submits, again while the head says that its agent is not up yet, for a minute at most."""
    env = {**os.environ, **ENV}
    for _ in range(30):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
        if "No available agent to submit job" not in done.stdout + done.stderr:
            break
        time.sleep(2)
    return done


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(address: str, folder: Path) -> None:
    """Ends the processes of this head alone: those whose command line names its temp folder."""
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
        except OSError:
            continue
        if str(folder).encode() in words and int(process.name) != os.getpid():
            os.kill(int(process.name), 9)
