"""``benchmarks/ablations`` as a user runs it: a Hydra sweep whose points are real builds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ablations import page as ablations

from .console import REPOSITORY

SMALL = [f"sample.{key}={value}" for key, value in {"clips": 1, "frames": 12, "width": 256}.items()]


def test_a_sweep_measures_every_combination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["ablation=masks", f"ablate.root={tmp_path / 'root'}", *SMALL, "sample.height=144"]
    words.append("sample.kinds=[hairy,soft]")
    sweep = ["matting=binary", "ablate.masks=none,lost.3", "matting.max_pixels=9216"]
    command = [sys.executable, "-m", "benchmarks.ablations", *words, *sweep]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "root" / "masks.jsonl").read_text().splitlines()
    whole, lost = map(json.loads, lines)
    assert whole["settings"] == {"matting": "binary", "ablate.masks": "none"}
    assert lost["settings"] == {"matting": "binary", "ablate.masks": "lost.3"}
    assert whole["error"] < lost["error"] < 1  # one frame of three has no alpha left
    assert whole["masklets"] == lost["masklets"] >= 2
    for point in (whole, lost):
        assert 0 < point["quality"] < 1
        assert point["memory_mb"] > 50
        assert point["matted_per_s"] > point["frames_per_s"] > 0
        for groups in point["strata"].values():
            assert sum(count for _, count in groups.values()) == point["masklets"]
            weighted = sum(error * count for error, count in groups.values())
            assert weighted / point["masklets"] == pytest.approx(point["error"], abs=1e-5)
    left = {path.name for path in (tmp_path / "root").iterdir()}
    assert left == {"masks.jsonl", "multirun.yaml", "sample-1x12-256x144-0-hairy-soft"}

    monkeypatch.setattr(ablations, "REPOSITORY", tmp_path)
    monkeypatch.setattr(ablations, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(sys, "argv", ["ablations", str(tmp_path / "root")])
    ablations.main()
    page = (tmp_path / "page.md").read_text()
    assert f"| binary | lost.3 | {lost['error']:.3f} | {lost['quality']:.2f} |" in page
    assert page.count("Not run.") == 3
    assert (tmp_path / "docs/ablations/masks.png").stat().st_size > 1000
