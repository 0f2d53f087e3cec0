"""A process has one scratch folder while it lives, and the next one clears up after the dead."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

#: Shows its folder with a file in it, then lives until its stdin is closed.
LIVE = """
import sys
from mav_pipeline.storage.scratch import scratch_folder
folder = scratch_folder()
(folder / "upload").write_bytes(b"x" * 1000)
print(folder, scratch_folder() == folder, flush=True)
sys.stdin.read()
"""


class Processes:
    """Processes that have a scratch folder under one TMPDIR."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._running: list[subprocess.Popen[str]] = []

    def start(self, script: str = LIVE) -> tuple[subprocess.Popen[str], Path]:
        """A process that lives, and its folder; it says itself whether that is as it should be."""
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "TMPDIR": str(self.place)},
            cwd=REPOSITORY,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._running.append(process)
        assert process.stdout is not None
        folder, is_right = process.stdout.readline().split()
        assert is_right == "True"
        return process, Path(folder)

    def run(self, script: str = LIVE) -> Path:
        """The folder of a process that has come and gone."""
        process, folder = self.start(script)
        process.communicate()
        assert process.returncode == 0
        return folder

    def killed(self) -> Path:
        """What a process leaves that had no chance to clear up."""
        process, folder = self.start()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return folder

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with contextlib.closing(Processes(tmp_path)) as started:
        yield started


def test_each_process_has_a_folder_of_its_own_in_tmpdir(processes: Processes) -> None:
    (_, one), (_, other) = processes.start(), processes.start()
    assert one != other
    assert {*processes.place.iterdir()} == {one, other}
    assert (one.stat().st_mode & 0o777) == 0o700


def test_a_folder_goes_with_its_process(processes: Processes) -> None:
    folder = processes.run()
    assert folder.parent == processes.place
    assert [*processes.place.iterdir()] == []


def test_a_folder_goes_when_its_process_ends_by_an_error(processes: Processes) -> None:
    process, folder = processes.start(f"{LIVE}\nraise SystemExit(3)")
    process.communicate()
    assert process.returncode == 3
    assert not folder.exists()


def test_the_next_process_removes_what_a_killed_one_left(processes: Processes) -> None:
    left = [processes.killed()]
    assert (left[0] / "upload").exists()
    _, living = processes.start()
    assert [*processes.place.iterdir()] == [living]


def test_the_folder_of_a_living_process_is_kept(processes: Processes) -> None:
    _, living = processes.start()
    dead = processes.killed()
    processes.run()
    assert (living / "upload").exists()
    assert not dead.exists()


def test_what_is_no_scratch_folder_is_kept(processes: Processes) -> None:
    strangers = [processes.place / name for name in ("mav-other", "precious", "mav-scratch-file")]
    for folder in strangers[:2]:
        folder.mkdir()
        (folder / "thesis.tex").write_text("")
    strangers[2].write_text("a file")
    link = processes.place / "mav-scratch-link"
    link.symlink_to(strangers[1], target_is_directory=True)
    processes.run()
    assert {*processes.place.iterdir()} == {*strangers, link}
    assert (strangers[1] / "thesis.tex").exists()


def test_a_fork_has_a_folder_of_its_own_and_leaves_its_parents(processes: Processes) -> None:
    fork = """
import os, sys
from mav_pipeline.storage.scratch import scratch_folder
folder = scratch_folder()
if not (child := os.fork()):
    os._exit(0 if scratch_folder() != folder and folder.exists() else 1)
is_other = os.waitpid(child, 0)[1] == 0
print(folder, is_other and scratch_folder().exists(), flush=True)
sys.stdin.read()
"""
    _, folder = processes.start(fork)
    assert folder.exists()
    processes.run()
    assert folder.exists(), "its lock is held still"


def overtaken(module: str, name: str) -> str:
    """A process whose first new folder another one removes just before ``module.name``."""
    return f"""
import os, fcntl, sys, tempfile
from pathlib import Path
from mav_pipeline.storage.scratch import scratch_folder
real, make, made = {module}.{name}, tempfile.mkdtemp, []
def mkdtemp(**how):
    made.append(make(**how))
    return made[-1]
def late(*what, **how):
    if len(made) == 1 and Path(made[0]).exists():
        os.rmdir(made[0])
    return real(*what, **how)
tempfile.mkdtemp, {module}.{name} = mkdtemp, late
folder = scratch_folder()
print(folder, folder.exists() and made == [made[0], str(folder)], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("call", [("os", "open"), ("fcntl", "flock")], ids=["open", "lock"])
def test_a_folder_taken_for_a_dead_ones_before_it_is_locked_is_made_again(
    processes: Processes, call: tuple[str, str]
) -> None:
    _, folder = processes.start(overtaken(*call))
    assert [*processes.place.iterdir()] == [folder]


def test_a_forked_child_that_ends_leaves_its_parents_folder(processes: Processes) -> None:
    _, folder = processes.start("""
import os, sys
from mav_pipeline.storage.scratch import scratch_folder
folder = scratch_folder()
if not (child := os.fork()):
    sys.exit()
os.waitpid(child, 0)
print(folder, folder.exists(), flush=True)
sys.stdin.read()
""")
    assert folder.exists()
