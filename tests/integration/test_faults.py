"""Real signals to real builds: nothing is lost but the shards in flight, and no byte differs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .console import REPOSITORY, interrupt, mav, shard_bytes, start

#: Files that a build makes appear, in the order in which they do: all that a resume goes by.
WRITES = {
    "run": r"out/run\.json$",
    "plan": r"out/plan\.parquet$",
    "tar": r"shards/mav-000001-\w{16}\.tar$",
    "rows": r"shards/mav-000001-\w{16}\.parquet$",
    "receipt": r"shards/mav-000001\.json$",
    "manifest": r"out/manifest\.parquet$",
    "index": r"out/index\.json$",
}


def receipts(root: Path) -> int:
    return len(list(root.glob("shards/mav-??????.json")))


@pytest.fixture(scope="module")
def binary_args(build_args: tuple[str, ...]) -> tuple[str, ...]:
    """The build of these tests: what is killed is the writing, so the matting may be cheap."""
    return (*build_args, "matting=binary")


@pytest.fixture(scope="module")
def expected(
    binary_args: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Shard bytes of a build that nobody disturbed."""
    root = tmp_path_factory.mktemp("binary") / "out"
    assert mav("build", *binary_args, f"output.root={root}").code == 0
    return shard_bytes(root)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", WRITES)
def test_sigkill_at_a_write_then_resume(
    file: str,
    when: str,
    binary_args: tuple[str, ...],
    expected: dict[str, str],
    tmp_path: Path,
) -> None:
    root = tmp_path / "out"
    words = ("build", *binary_args, f"output.root={root}")
    script = str(Path(__file__).parent / "kill_at.py")
    command = [sys.executable, script, when, WRITES[file], *words]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    _whole_so_far(root, expected)
    resumed = mav(*words, "--json")
    assert (resumed.code, resumed.json["state"]) == (0, "complete"), resumed.stderr
    assert shard_bytes(root) == expected
    verified = mav("verify", f"output.root={root}", "verify.deep=true", "--json").json
    assert (verified["ok"], verified["strays"]) == (True, [])


@pytest.mark.parametrize(
    "instant",
    [
        lambda root: any(root.glob("shards/.mav-000000.tar.*.tmp")),
        lambda root: any(root.glob("shards/.mav-000001.tar.*.tmp")),
        lambda root: receipts(root) == 1,
    ],
    ids=["in the first tar", "in the second tar", "after the first receipt"],
)
def test_sigkill_from_outside_then_resume(
    instant: Callable[[Path], bool],
    build_args: tuple[str, ...],
    undisturbed: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    root, words = tmp_path / "out", ("build", *build_args, f"output.root={tmp_path / 'out'}")
    code = interrupt(start(*words), lambda: instant(root), signal.SIGKILL)
    assert code == -signal.SIGKILL
    _whole_so_far(root, undisturbed[1])
    assert mav(*words).code == 0
    assert shard_bytes(root) == undisturbed[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_signal_ends_with_130_and_leaves_a_resumable_output(
    number: signal.Signals,
    build_args: tuple[str, ...],
    undisturbed: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    root, words = tmp_path / "out", ("build", *build_args, f"output.root={tmp_path / 'out'}")
    code = interrupt(start(*words), lambda: receipts(root) == 1, number)
    assert code == 130
    assert not list(root.glob("shards/.*.tmp"))
    assert mav("status", f"output.root={root}", "--json").json["state"] == "incomplete"
    assert mav("verify", f"output.root={root}").code == 0
    assert mav(*words).code == 0
    assert shard_bytes(root) == undisturbed[1]


def _whole_so_far(root: Path, expected: dict[str, str]) -> None:
    """Whatever has appeared in ``shards/`` has its final bytes."""
    if (root / "shards").is_dir():
        assert shard_bytes(root).items() <= expected.items()
