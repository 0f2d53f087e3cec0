"""The console as a user meets it: a process of its own, its exit code, its one line of JSON."""

from __future__ import annotations

import atexit
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .strike import Strike

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


# What a command imports takes longer than what it does here, so it is forked from a process that
# has imported it. With pandas: pyarrow does where there is one.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["mav_pipeline.cli", "pandas", "numba", "boto3", "scipy.spatial"])


class Running:
    """One command in a process of its own, forked.

    Args:
        strike: a signal that it sends to itself, when, and at the write of which file.
    """

    def __init__(
        self, *words: str, env: dict[str, str] | None = None, strike: Strike | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._outputs = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        arguments = (words, {**os.environ, **(env or {})}, self._outputs, strike)
        self._process = _FORKS.Process(target=_run, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stopped(self) -> Running:
        """Waits until its strike has stopped it."""
        while psutil.Process(self.pid).status() != psutil.STATUS_STOPPED:
            assert self.poll() is None, f"it ended before it was struck: {self.said()}"
            time.sleep(0.02)
        return self

    def go_on(self) -> None:
        self.send_signal(signal.SIGCONT)

    def said(self) -> str:
        """What it has written to stderr so far."""
        return self._outputs[1].read_text()

    def end(self) -> Done:
        """Waits; the code is a signal's number, negative, where one ended it."""
        self._process.join(240)
        self._process.kill()  # where it hangs
        self._process.join()
        assert self._process.exitcode is not None
        done = Done(self._process.exitcode, *(path.read_text() for path in self._outputs))
        self._folder.cleanup()
        return done


def mav(*words: str, env: dict[str, str] | None = None) -> Done:
    """Runs one command to its end, in a process of its own."""
    return Running(*words, env=env).end()


def _run(
    words: tuple[str, ...], env: dict[str, str], outputs: list[Path], strike: Strike | None
) -> None:
    os.chdir(REPOSITORY)
    os.environ.clear()
    os.environ.update(env)
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    from mav_pipeline.cli import main

    if strike is not None:
        strike.arm()
    code = main(words)
    atexit._run_exitfuncs()  # multiprocessing leaves without
    sys.exit(code)


def fresh(*words: str, cwd: Path = REPOSITORY, env: dict[str, str] | None = None) -> Done:
    """Runs one command to its end, in an interpreter of its own, which is new to Ray and paths."""
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
    process: subprocess.Popen[str] | Running, when: Callable[[], bool], number: signal.Signals
) -> int | None:
    """Sends a signal as soon as ``when`` holds; the exit code, or None where it came too late."""
    struck = False
    while process.poll() is None and not struck:
        if struck := when():
            process.send_signal(number)
        time.sleep(0.005)
    if isinstance(process, Running):
        code = process.end().code
    else:
        process.communicate(timeout=60)
        code = process.returncode
    return code if struck else None


def shard_bytes(root: Path) -> dict[str, str]:
    """sha256 of every tar and parquet in ``shards/`` by name."""
    files = [path for path in (root / "shards").iterdir() if path.suffix in (".tar", ".parquet")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}
