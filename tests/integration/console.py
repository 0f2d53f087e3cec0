"""The console as a user meets it: a process of its own, its exit code, its one line of JSON."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SHARED = REPOSITORY.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The last line of stdout."""
        return json.loads(self.stdout.splitlines()[-1])


def mav(*words: str, cwd: Path = REPOSITORY, env: dict[str, str] | None = None) -> Done:
    """Runs one command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "mav_pipeline", *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def start(*words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts one command; the test ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "mav_pipeline", *words],
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupt(
    process: subprocess.Popen[str], when: Callable[[], bool], number: signal.Signals
) -> int | None:
    """Sends a signal as soon as ``when`` holds; the exit code, or None where it came too late."""
    while process.poll() is None:
        if when():
            process.send_signal(number)
            process.communicate(timeout=60)
            return process.returncode
        time.sleep(0.001)
    process.communicate()
    return None


def shard_bytes(root: Path) -> dict[str, str]:
    """sha256 of every tar and parquet in ``shards/`` by name."""
    files = [path for path in (root / "shards").iterdir() if path.suffix in (".tar", ".parquet")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}
