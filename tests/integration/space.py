"""A Ray head in a mount namespace of its own: what lies at a path there is not what lies here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .head import ENV, RAY

MOUNTS = "mounting in a namespace needs root"


def may_mount() -> bool:
    """Whether this process may have a mount namespace of its own."""
    command = ["unshare", "-m", "true"]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


@contextlib.contextmanager
def small_file_system(root: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own at ``root``, which it makes, for the time of a ``with``."""
    if not may_mount():
        pytest.skip(MOUNTS)
    root.mkdir()
    size = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


@contextlib.contextmanager
def head_in_space(mounts: Sequence[str], *, cpus: int = 2, **env: str) -> Iterator[str]:
    """A head whose processes see ``mounts``; its address.

    Args:
        mounts: shell commands that change what is mounted where, for that head alone.
        env: of its processes, beside ``head.ENV``.
    """
    if not may_mount():
        pytest.skip(MOUNTS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="mavns", ignore_cleanup_errors=True) as folder:
        ray = [
            *(RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}"),
            *(f"--temp-dir={folder}", f"--num-cpus={cpus}", "--include-dashboard=false"),
            *("--disable-usage-stats", "--object-store-memory=100000000", "--memory=4000000000"),
        ]
        script = " && ".join([*mounts, 'exec "$@"'])
        log = (Path(folder) / "out").open("w")
        process = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", *ray],
            env={**os.environ, **ENV, **env},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _await(port, process, Path(folder) / "out")
            yield f"127.0.0.1:{port}"
        finally:
            _end(folder)
            process.wait()
            log.close()


def _end(folder: str) -> None:
    """Kills the processes of this head alone: those whose command line names its folder."""
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
            if folder.encode() in words:
                os.kill(int(process.name), signal.SIGKILL)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
