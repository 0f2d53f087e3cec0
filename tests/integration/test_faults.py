"""The fault matrix of docs/reliability.md: real processes, real signals, and then the same bytes.

Every test here lets something go wrong in a build, goes on with the same command, and compares the
shards with those of a build that nobody disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.verify import verify
from mav_pipeline.schema import RunReport
from mav_pipeline.storage import LocalStorage

from .conftest import CHEAP
from .console import Done, Running, fresh, interrupt, mav, shard_bytes, start
from .head import ENV, Head, for_workers
from .strike import Strike

HERE = Path(__file__).parent
TORN = "sav_000/sav_000003.mp4"

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


class Trial:
    """One build that is to be disturbed: its output, its command, and what must come of it."""

    def __init__(self, root: Path, args: tuple[str, ...], expected: dict[str, str]) -> None:
        self.root, self.expected = root, expected
        self.words = ("build", *args, f"output.root={root}")

    def receipts(self) -> int:
        return len(list(self.root.glob("shards/mav-??????.json")))

    def receipt(self, shard: int) -> dict[str, object]:
        return json.loads((self.root / f"shards/mav-{shard:06d}.json").read_text())

    def report(self) -> RunReport:
        return BuiltSet.open(LocalStorage(self.root)).report()

    def killed(self, when: str, pattern: str) -> None:
        """Runs the command, which is killed at a write."""
        killed = Running(*self.words, strike=Strike(signal.SIGKILL, when, pattern)).end()
        assert killed.code == -signal.SIGKILL, killed.stderr

    def whole_so_far(self) -> None:
        """Whatever has appeared in ``shards/`` has its final bytes."""
        if (self.root / "shards").is_dir():
            assert shard_bytes(self.root).items() <= self.expected.items()

    def ends_well(self, *more: str) -> Done:
        """The same command completes the set, byte for byte, with nothing left over."""
        done = mav(*self.words, *more, "--json")
        assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
        self.is_whole()
        return done

    def is_whole(self) -> None:
        assert shard_bytes(self.root) == self.expected
        verified = verify(LocalStorage(self.root), VerifyConfig(deep=True, clean=False))
        assert (verified.ok, verified.strays) == (True, []), verified


@pytest.fixture
def trial(tmp_path: Path, binary_args: tuple[str, ...], expected: dict[str, str]) -> Trial:
    return Trial(tmp_path / "out", binary_args, expected)


def stopped(trial: Trial, when: str, pattern: str) -> Running:
    """A builder that has been stopped at a write, by a real SIGSTOP."""
    return Running(*trial.words, strike=Strike(signal.SIGSTOP, when, pattern)).stopped()


def go_on(builder: Running) -> Done:
    """Lets a stopped builder run to its end."""
    builder.go_on()
    return builder.end()


def poison(harm: str, clip: str, once: Path | None = None) -> dict[str, str]:
    """The environment of a process that is to be harmed."""
    path = os.pathsep.join(filter(None, [str(HERE / "poison"), os.environ.get("PYTHONPATH")]))
    env = {"MAV_POISON": f"{harm}:{clip}", "PYTHONPATH": path}
    return {**env, "MAV_POISON_ONCE": str(once)} if once else env


# the driver


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", WRITES)
def test_sigkill_at_a_write(trial: Trial, file: str, when: str) -> None:
    trial.killed(when, WRITES[file])
    trial.whole_so_far()
    trial.ends_well()


@pytest.mark.parametrize(
    "instant",
    [
        lambda root: any(root.glob("shards/.mav-000000.tar.*.tmp")),
        lambda root: any(root.glob("shards/.mav-000001.tar.*.tmp")),
        lambda root: any(root.glob("shards/mav-000000.json")),
    ],
    ids=["in the first tar", "in the second tar", "after the first receipt"],
)
def test_sigkill_from_outside(
    instant: Callable[[Path], bool],
    build_args: tuple[str, ...],
    undisturbed: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    trial = Trial(tmp_path / "out", build_args, undisturbed[1])
    code = interrupt(Running(*trial.words), lambda: instant(trial.root), signal.SIGKILL)
    assert code == -signal.SIGKILL
    trial.whole_so_far()
    trial.ends_well()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_signal_ends_with_130_and_leaves_no_litter(
    trial: Trial, number: signal.Signals
) -> None:
    driver = start(*trial.words, env=poison("slow", "*"))
    assert interrupt(driver, lambda: trial.receipts() == 1, number) == 130
    assert not list(trial.root.glob("shards/.*.tmp"))
    assert mav("verify", f"output.root={trial.root}").code == 3, "whole, but unfinished"
    assert trial.report().state == "incomplete"
    trial.ends_well()


# workers, on a real Ray


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_signal_to_a_driver_of_ray_ends_with_130(
    head: Head, trial: Trial, number: signal.Signals
) -> None:
    """An actor is killed with what it has in hand."""
    driver = start(*trial.words, *head.args, env=for_workers(poison("slow", "*")))
    assert interrupt(driver, lambda: trial.receipts() == 1, number) == 130
    assert trial.report().state == "incomplete"
    trial.ends_well()


def test_a_killed_worker_is_replaced(head: Head, trial: Trial) -> None:
    driver = start(*trial.words, *head.args, env=for_workers(poison("slow", "*")))
    killed = None
    while killed is None and driver.poll() is None:
        time.sleep(0.05)
        if any(trial.root.glob("shards/.mav-000001.tar.*.tmp")):
            for worker in head.workers():
                worker.kill()
                killed = worker.pid
    _, stderr = driver.communicate(timeout=120)
    assert (killed is not None, driver.returncode) == (True, 0), stderr
    assert "the worker died" in stderr
    assert trial.receipt(1)["attempts"] == 2
    trial.ends_well()


def test_a_worker_that_hangs_is_given_up(head: Head, trial: Trial, tmp_path: Path) -> None:
    env = for_workers(poison("hang", "sav_000003", once=tmp_path / "hung"))
    done = fresh(*trial.words, *head.args, "runtime.shard_timeout_s=8", env=env)
    assert done.code == 0, done.stderr
    assert "nothing done within runtime.shard_timeout_s=8" in done.stderr
    assert trial.receipt(1)["attempts"] == 2
    trial.is_whole()


@pytest.mark.parametrize("harm", ["kill", "hang"])
def test_a_clip_that_takes_its_worker_down_each_time_is_quarantined(
    head: Head, trial: Trial, harm: str
) -> None:
    args = (*head.args, "quality.max_failed_fraction=0.5")
    limit = ("runtime.shard_timeout_s=6",) if harm == "hang" else ()
    env = for_workers(poison(harm, "sav_000003"))
    done = fresh(*trial.words, *args, *limit, "--json", env=env)
    assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert done.json["clips"]["failed"] == 1
    table = pq.read_table(trial.root / "manifest.parquet", pre_buffer=False)
    (row,) = (row for row in table.to_pylist() if row["video_id"] == "sav_000003")
    assert (row["status"], row["reasons"], row["masklet"]) == ("failed", ["crash"], None)
    others = {n: h for n, h in trial.expected.items() if not n.startswith("mav-000001")}
    assert shard_bytes(trial.root).items() >= others.items()
    # The machine, or the code, is mended: its shard alone is built again.
    trial.ends_well("resume.rebuild=failed_clips")


class Nodes:
    """A cluster of one-CPU nodes in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer()

    def tell(self, word: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def cluster(nodes: int, harm: dict[str, str]) -> Iterator[Nodes]:
    """A head and so many nodes, whose workers are harmed."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "nodes.py"), str(nodes)],
        env={**os.environ, **ENV, **harm},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    family = []
    try:
        found = Nodes(process)
        yield found
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.communicate(timeout=60)
        for child in family:
            if child.is_running():
                child.kill()


def test_a_lost_node_costs_time_and_counts_against_no_clip(trial: Trial) -> None:
    with cluster(2, poison("slow", "*")) as nodes:
        words = (*trial.words, "runtime=ray", f"runtime.address={nodes.address}")
        driver = start(*words, "runtime.num_workers=2", env=ENV)
        while not list(trial.root.glob("shards/.mav-*.tar.*.tmp")) and driver.poll() is None:
            time.sleep(0.1)
        assert nodes.tell("kill") != "none"
        _, stderr = driver.communicate(timeout=180)
    assert driver.returncode == 0, stderr
    assert "with its node" in stderr
    assert [trial.receipt(number)["attempts"] for number in range(3)] == [1, 1, 1]
    assert trial.report().clips["failed"] == 0
    trial.ends_well()


def test_workers_follow_a_cluster_as_it_grows(corpus: Path, tmp_path: Path) -> None:
    args = (f"source.root={corpus / 'sav_train'}", "output.clips_per_shard=1", *CHEAP)
    trial = Trial(tmp_path / "out", args, {})
    (seen := tmp_path / "seen").mkdir()
    # The first worker stays at its fourth clip until a second one has read one.
    with cluster(1, poison("alone", "sav_000003", once=seen)) as nodes:
        words = (*trial.words, "runtime=ray", f"runtime.address={nodes.address}")
        driver = start(*words, env=ENV)
        while not trial.receipts() and driver.poll() is None:
            time.sleep(0.1)
        assert nodes.tell("add") == "added"
        _, stderr = driver.communicate(timeout=180)
    assert driver.returncode == 0, stderr
    workers = {str(trial.receipt(number)["worker"]) for number in range(6)}
    assert len(workers) == 2


# the output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with room for one shard and not for three."""
    root = tmp_path / "disk"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(root)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield root
    subprocess.run(["umount", "-l", str(root)], check=True)


def remount(root: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(root)], check=True)


def test_a_full_disk_ends_with_3_and_then_goes_on(
    small_disk: Path, binary_args: tuple[str, ...], expected: dict[str, str]
) -> None:
    trial = Trial(small_disk / "out", binary_args, expected)
    done = mav(*trial.words, "runtime.max_attempts=2", "runtime.outage_timeout_s=1")
    assert done.code == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    trial.whole_so_far()
    assert trial.receipts() < 3
    remount(small_disk, "size=64m")
    trial.ends_well()


@pytest.mark.parametrize("file", ["plan", "the last receipt"])
def test_an_output_that_turns_read_only_ends_with_3_and_then_goes_on(
    small_disk: Path, binary_args: tuple[str, ...], expected: dict[str, str], file: str
) -> None:
    remount(small_disk, "size=64m")
    trial = Trial(small_disk / "out", binary_args, expected)
    pattern = WRITES.get(file, r"shards/mav-000002\.json$")  # no file is open for writing then
    builder = stopped(trial, "after", pattern)
    remount(small_disk, "ro")
    done = go_on(builder)
    assert done.code == 3, done.stderr
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    remount(small_disk, "rw")
    trial.whole_so_far()
    trial.ends_well()


# two builders


def test_two_builders_at_once_do_no_harm(trial: Trial) -> None:
    both = [Running(*trial.words) for _ in range(2)]
    for builder in both:
        done = builder.end()
        assert done.code == 0, done.stderr
    trial.is_whole()


@pytest.mark.parametrize("file", ["tar", "receipt"])
def test_a_zombie_that_commits_late_does_no_harm(trial: Trial, file: str) -> None:
    """One builder stops before a write of its commit; another finishes the set and sweeps."""
    zombie = stopped(trial, "before", WRITES[file])
    assert mav(*trial.words).code == 0
    assert shard_bytes(trial.root) == trial.expected
    done = go_on(zombie)
    assert done.code == 0, done.stderr
    trial.is_whole()


def test_a_sweep_while_another_builder_publishes_loses_nothing(trial: Trial) -> None:
    """A builder's data files go between their publication and its receipt: it looks again."""
    publisher = stopped(trial, "before", WRITES["receipt"])
    cleaned = mav("verify", f"output.root={trial.root}", "verify.clean=true", "--json").json
    assert any("mav-000001" in path for path in cleaned["removed"])
    done = go_on(publisher)
    assert done.code == 0, done.stderr
    trial.is_whole()


# the input


@pytest.fixture
def source(corpus: Path, tmp_path: Path) -> Path:
    """A copy of the corpus to damage."""
    copy = tmp_path / "sav_train"
    shutil.copytree(corpus / "sav_train", copy)
    return copy


def test_an_input_that_changes_after_the_plan_is_a_failed_row_until_it_is_rebuilt(
    source: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    args = (f"source.root={source}", "output.clips_per_shard=2", *CHEAP)
    trial = Trial(tmp_path / "out", args, expected)
    builder = stopped(trial, "after", WRITES["plan"])
    os.utime(source / "sav_000" / "sav_000005.mp4")
    done = go_on(builder)
    assert done.code == 3, done.stderr  # one of six clips is over the loss budget
    table = pq.read_table(trial.root / "manifest.parquet", pre_buffer=False)
    (row,) = (row for row in table.to_pylist() if row["video_id"] == "sav_000005")
    assert (row["status"], row["reasons"]) == ("failed", ["changed"])
    refused = mav(*trial.words)
    assert refused.code == 2
    assert "sav_000/sav_000005.mp4 has changed" in refused.stderr
    assert "resume.rebuild=failed_clips" in refused.stderr
    before = {number: trial.receipt(number)["published_at"] for number in range(3)}
    trial.ends_well("resume.rebuild=failed_clips")
    after = {number: trial.receipt(number)["published_at"] for number in range(3)}
    assert [number for number in range(3) if before[number] != after[number]] == [2]
    trial.ends_well()  # and the plan knows the file as it is now


@pytest.fixture(scope="module")
def failed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source with a torn clip, and the set that was built from it."""
    root = tmp_path_factory.mktemp("failed")
    shutil.copytree(corpus / "sav_train", root / "sav_train")
    (root / "sav_train" / TORN).write_bytes(b"torn")
    args = (f"source.root={root / 'sav_train'}", "output.clips_per_shard=2", *CHEAP)
    assert mav("build", *args, f"output.root={root / 'out'}").code == 3
    return root / "sav_train", root / "out"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", ["plan", "tar", "rows", "receipt", "index"])
def test_sigkill_while_failed_clips_are_rebuilt(
    failed: tuple[Path, Path],
    corpus: Path,
    tmp_path: Path,
    expected: dict[str, str],
    file: str,
    when: str,
) -> None:
    source, root = (shutil.copytree(folder, tmp_path / folder.name) for folder in failed)
    shutil.copyfile(corpus / "sav_train" / TORN, source / TORN)
    args = (f"source.root={source}", "output.clips_per_shard=2", *CHEAP)
    trial = Trial(root, (*args, "resume.rebuild=failed_clips"), expected)
    trial.killed(when, WRITES[file])
    assert trial.report().state == "complete"
    trial.ends_well()


def test_a_rebuild_renews_no_other_clip(source: Path, tmp_path: Path) -> None:
    words = ("build", f"source.root={source}", "output.clips_per_shard=2", *CHEAP)
    words = (*words, f"output.root={tmp_path / 'out'}")
    video = source / "sav_000" / "sav_000003.mp4"
    good = video.read_bytes()
    video.write_bytes(b"torn")
    assert mav(*words).code == 3
    video.write_bytes(good)
    os.utime(source / "sav_000" / "sav_000004.mp4")
    done = mav(*words, "resume.rebuild=failed_clips")
    assert done.code == 2
    assert "sav_000004.mp4 has changed" in done.stderr
    assert "sav_000003.mp4" not in done.stderr
