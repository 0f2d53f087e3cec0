"""``mav plan``: what there is to do, what is turned away, how long it takes and who says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.errors import ConfigError
from mav_pipeline.runtime.preview import Preview, preview
from tests.fakes import build_set, config, moving_box, write, write_clip


def run(root: Path, **keys: Any) -> RunConfig:
    named = {key.replace("__", "."): value for key, value in keys.items()}
    clips = {"source.root": str(root / "in"), "output.root": str(root / "out")}
    return config({**clips, "output.clips_per_shard": 1, **named})


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three good clips of one masklet on 3 frames, one without a json, one whose json is none."""
    for name in "abc":
        write_clip(tmp_path / "in", name)
    write_clip(tmp_path / "in", "d").with_name("d_manual.json").unlink()
    write_clip(tmp_path / "in", "e")
    write(tmp_path / "in" / "e_manual.json", "{")
    return tmp_path


def test_it_counts_what_there_is_and_why_some_is_turned_away(three: Path) -> None:
    write_clip(three / "in", "b", {0: moving_box(3), 1: moving_box(3, side=5)})
    found = preview(run(three, source__min_area=30))
    assert found.clips == {"planned": 5, "failed": 0, "skipped": 1}
    assert found.pending == {"shards": 5, "clips": 5}
    assert found.reasons == {"no_annotation": 1}
    assert found.probed == 4
    assert found.probe_reasons == {"json": 1, "speck": 1}
    assert (found.masklets, found.alpha_frames) == (3, 9)
    assert (found.frames_per_s, found.rate_of, found.gpu_hours) == (None, None, None)
    assert not (three / "out").exists()


def test_estimates_scale_with_what_was_not_probed(tmp_path: Path) -> None:
    for number in range(8):
        write_clip(tmp_path / "in", f"clip{number}")
    whole, part = preview(run(tmp_path)), preview(run(tmp_path, plan__probe_clips=3))
    assert (whole.probed, part.probed) == (8, 3)
    assert part.alpha_frames == whole.alpha_frames == 24
    assert part.output_bytes == whole.output_bytes


def hours(found: Preview) -> float:
    assert found.frames_per_s
    return found.alpha_frames / found.frames_per_s / 3600


def test_a_given_rate_makes_hours(three: Path) -> None:
    found = preview(run(three, plan__frames_per_s=0.001, plan__measure=1))
    assert found.rate_of == "given"
    assert found.gpu_hours == pytest.approx(hours(found), abs=1e-3)
    assert found.gpu_hours == pytest.approx(2.5)


def test_a_rate_is_measured_by_matting(three: Path) -> None:
    found = preview(run(three, plan__measure=2))
    assert found.rate_of == "measured"
    assert found.frames_per_s is not None
    assert found.frames_per_s > 0


def test_receipts_give_a_rate_and_what_is_published_is_not_pending(tmp_path: Path) -> None:
    for name in "abcd":
        write_clip(tmp_path / "in", name)
    settings = run(tmp_path)
    built = build_set(settings)
    (tmp_path / "out" / layout.receipt("mav-000002")).unlink()
    found = preview(run(tmp_path, plan__frames_per_s=0.001))
    assert (found.pending, found.resumes) == ({"shards": 1, "clips": 1}, True)
    assert found.gpu_hours == pytest.approx(hours(found) / 4, abs=1e-3)
    found = preview(settings)
    assert found.rate_of == "receipts"
    report = built.report()
    assert found.frames_per_s == pytest.approx(
        report.frames / max(report.stages_s.values()), abs=1e-3
    )


@pytest.mark.parametrize(
    ("key", "value"), [("probe_clips", 0), ("measure", -1), ("frames_per_s", 0.0)]
)
def test_an_impossible_number_is_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"plan.{key}"):
        run(tmp_path, **{f"plan__{key}": value})
