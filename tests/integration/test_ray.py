"""The same build on Ray: the same bytes from two workers of our own, and as a submitted job.

Those of workers on a head that others started are compared where its metrics are, in test_live.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from .console import REPOSITORY, fresh, shard_bytes
from .head import ENV, RAY, Head


def test_two_workers_give_the_bytes_of_a_local_build(
    build_args: tuple[str, ...], undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    _, expected = undisturbed
    root = tmp_path / "out"
    args = ("runtime=ray", "runtime.num_workers=2", f"output.root={root}")
    done = fresh("build", *build_args, *args, "--json", env=ENV)
    assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert shard_bytes(root) == expected


def test_a_worker_that_cannot_start_stops_the_build_before_the_first_clip(
    head: Head, build_args: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    ray = ("runtime=ray", f"runtime.address={head.address}", f"output.root={root}")
    args = ("runtime.gpus_per_worker=64", "runtime.start_timeout_s=3")
    done = fresh("build", *build_args, *ray, *args, env=ENV)
    assert done.code == 2, done.stderr
    assert "runtime.start_timeout_s" in done.stderr
    assert not (root / "run.json").exists()


def test_a_submitted_job_builds_the_same_bytes(
    head: Head,
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
    where = ["--address", head.dashboard, "--working-dir", str(working_dir)]
    submit = [RAY, "job", "submit", *where, "--"]
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
