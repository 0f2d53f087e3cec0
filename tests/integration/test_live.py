"""What people watch while a build runs: a terminal, another terminal, Ray's metrics."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from .console import REPOSITORY, fresh, mav, shard_bytes, start
from .head import ENV, Head

DASHBOARD = REPOSITORY / "jobs" / "grafana.json"


def on_a_terminal(*words: str) -> tuple[int, str]:
    """Runs one command whose stderr is a terminal of 100 columns; its exit code, what it drew."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mav_pipeline", *words],
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says so that the other side is closed
            break
        if not data:
            break
        drawn += data
    os.close(ours)
    return process.wait(timeout=60), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())


def test_a_terminal_shows_a_panel_with_log_lines_above_it(
    build_args: tuple[str, ...], undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    _, expected = undisturbed
    root = tmp_path / "out"
    code, drawn = on_a_terminal("build", *build_args, f"output.root={root}")
    assert code == 0, drawn
    assert shard_bytes(root) == expected
    *before, last = drawn.split("╭─ mav build")
    panel, _, below = last.partition("╰")
    for part in ("3/3", "6/6", "alpha frames", "1 worker", "matting", "accepted"):
        assert part in panel, part
    assert "INFO" not in panel
    assert "INFO state        complete" in below.replace("\r", "")
    assert "INFO loading pymatting" in "".join(before)


def test_a_build_is_watched_from_elsewhere_to_its_end(
    build_args: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    build = start("build", *build_args, f"output.root={root}", "output.clips_per_shard=1")
    while not (root / "plan.parquet").exists():
        assert build.poll() is None
        time.sleep(0.01)
    build.send_signal(signal.SIGSTOP)
    watcher = start("status", "--watch", f"output.root={root}", "runtime.progress_s=0.1")
    assert watcher.stderr is not None
    first = watcher.stderr.readline()
    assert "shards 6/6" not in first
    build.send_signal(signal.SIGCONT)
    _, said = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert "shards 6/6; clips 6/6;" in said
    assert "INFO state        complete" in said
    build.communicate(timeout=60)
    assert build.returncode == 0


def test_a_watcher_leaves_when_it_is_told_to(
    undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    shutil.copytree(undisturbed[0], root)
    (root / "shards" / "mav-000001.json").unlink()
    watcher = start("status", "--watch", f"output.root={root}", "runtime.progress_s=0.1")
    assert watcher.stderr is not None
    assert "shards 2/3; clips 4/6" in watcher.stderr.readline()
    watcher.send_signal(signal.SIGINT)
    watcher.communicate(timeout=60)
    assert watcher.returncode == 130


@pytest.mark.parametrize("verb", ["build", "verify"])
def test_only_status_is_watched(verb: str, tmp_path: Path) -> None:
    done = mav(verb, "--watch", f"output.root={tmp_path}")
    assert done.code == 2
    assert "--watch is for mav status" in done.stderr


def test_ray_exports_what_the_dashboard_draws(
    head: Head,
    build_args: tuple[str, ...],
    undisturbed: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    args = ("runtime=ray", f"runtime.address={head.address}", f"output.root={tmp_path / 'out'}")
    done = fresh("build", *build_args, *args, "--json", env=ENV)
    assert done.code == 0, done.stderr
    assert shard_bytes(tmp_path / "out") == undisturbed[1]
    report = done.json
    found = exported(head, 'ray_mav_shards{state="published"}', 3)
    assert found["ray_mav_alpha_frames_total{}"] == report["frames"]
    assert found['ray_mav_clips_total{status="published"}'] == 6
    for status, count in report["masklets"].items():
        assert found.get(f'ray_mav_masklets_total{{status="{status}"}}', 0) == count
    for reason, count in report["reasons"].items():
        assert found[f'ray_mav_reasons_total{{reason="{reason}"}}'] == count
    assert found['ray_mav_shard_attempts_total{outcome="published"}'] == 3
    for stage in report["stages_s"]:
        assert found[f'ray_mav_shard_stage_s_count{{stage="{stage}"}}'] == 3
    assert found["ray_mav_shard_mb_count{}"] == 3
    assert found['ray_mav_shards{state="waiting"}'] == 0
    drawn = set(re.findall(r"\bray_\w+", DASHBOARD.read_text()))
    ours = {name for name in drawn if name.startswith("ray_mav_")}
    assert ours <= {sample.partition("{")[0] for sample in found}
    plain = {re.sub("_(bucket|sum|count)$", "", sample.partition("{")[0]) for sample in found}
    assert plain == {re.sub("_bucket$", "", name) for name in ours}
    assert drawn - ours == {"ray_node_gpus_utilization", "ray_node_gram_used"}  # Ray's own


def exported(head: Head, awaited: str, value: float) -> dict[str, float]:
    """Our metrics at the node's port once ``awaited`` is ``value``: by name and our own tag."""
    found: dict[str, float] = {}
    for _ in range(60):
        with urllib.request.urlopen(head.metrics, timeout=10) as answer:
            text = answer.read().decode()
        found = {
            f"{sample.name}{{{_tag(sample.labels)}}}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("ray_mav_")
        }
        if found.get(awaited) == value:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{awaited} did not become {value}: {json.dumps(found, indent=1)}")


def _tag(labels: dict[str, str]) -> str:
    names = ("status", "state", "outcome", "reason", "stage")
    return ",".join(f'{name}="{labels[name]}"' for name in names if name in labels)
