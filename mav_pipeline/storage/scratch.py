"""Local files on their way to a bucket: one folder a process, in TMPDIR.

A SIGKILL leaves such a folder behind, gigabytes maybe. Each is locked while its process lives, so
the next one tells the dead from the living and clears up.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "mav-scratch-"


@functools.lru_cache(maxsize=1)
def _folder_of(process: int) -> tuple[Path, int]:
    """The folder of a process and the descriptor that holds its lock."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_if_dead(old)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another process took it for a dead one's
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else the same, before it was locked
            atexit.register(_remove, folder, process)
            return folder, lock
        os.close(lock)


def scratch_folder() -> Path:
    """This process's own folder."""
    return _folder_of(os.getpid())[0]


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child leaves by the same door
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return  # gone, or another user's
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
