"""``mav plan``: what there is to do, what is turned away, how long it takes and who says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.planning.estimate import Estimate, estimate
from mav_pipeline.schema.errors import ConfigError
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
    found = estimate(run(three, source__min_area=30))
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
    whole, part = estimate(run(tmp_path)), estimate(run(tmp_path, plan__probe_clips=3))
    assert (whole.probed, part.probed) == (8, 3)
    assert part.alpha_frames == whole.alpha_frames == 24
    assert part.output_bytes == whole.output_bytes


def hours(found: Estimate) -> float:
    assert found.frames_per_s
    return found.alpha_frames / found.frames_per_s / 3600


def test_a_given_rate_makes_hours(three: Path) -> None:
    found = estimate(run(three, plan__frames_per_s=0.001, plan__measure=1))
    assert found.rate_of == "given"
    assert found.gpu_hours == pytest.approx(hours(found), abs=1e-3)
    assert found.gpu_hours == pytest.approx(2.5)


def test_a_rate_is_measured_by_matting(three: Path) -> None:
    found = estimate(run(three, plan__measure=2))
    assert found.rate_of == "measured"
    assert found.frames_per_s is not None
    assert found.frames_per_s > 0


def test_receipts_give_a_rate_and_what_is_published_is_not_pending(tmp_path: Path) -> None:
    for name in "abcd":
        write_clip(tmp_path / "in", name)
    settings = run(tmp_path)
    built = build_set(settings)
    (tmp_path / "out" / layout.receipt("mav-000002")).unlink()
    found = estimate(run(tmp_path, plan__frames_per_s=0.001))
    assert (found.pending, found.resumes) == ({"shards": 1, "clips": 1}, True)
    assert found.gpu_hours == pytest.approx(hours(found) / 4, abs=1e-3)
    found = estimate(settings)
    assert found.rate_of == "receipts"
    for stage, seconds in {"decode": 1, "matting": 8, "score": 6, "encode": 6}.items():
        for path in (tmp_path / "out" / "shards").glob("*.json"):
            document = json.loads(path.read_text())
            document["stages_s"][stage] = seconds
            path.write_text(json.dumps(document))
    report = built.report()
    for threads, longest in ((1, 12), (2, 8)):  # a thread scores and encodes in turn
        found = estimate(run(tmp_path, runtime__encode_threads=threads))
        assert found.frames_per_s == pytest.approx(report.frames / (3 * longest), abs=1e-3)


def test_a_rate_that_cannot_be_measured_is_no_rate_of_something_else(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "a").write_bytes(b"no video")
    with pytest.raises(ConfigError, match=r"plan.measure=1: none of 1 clips .*plan.frames_per_s"):
        estimate(run(tmp_path, plan__measure=1))


def test_shares_of_a_gpu_and_formats_count(three: Path) -> None:
    whole = estimate(run(three, plan__frames_per_s=0.001))
    half = estimate(run(three, plan__frames_per_s=0.001, runtime__gpus_per_worker=0.5))
    assert whole.gpu_hours is not None
    assert half.gpu_hours == pytest.approx(whole.gpu_hours / 2)
    ffv1 = estimate(run(three, output__rgb="none"))
    png = estimate(run(three, output__rgb="none", output__alpha="png"))
    jpeg = estimate(run(three, output__rgb="jpeg"))
    assert png.output_bytes == 2 * ffv1.output_bytes
    assert jpeg.output_bytes > png.output_bytes > 0


@pytest.mark.parametrize(
    ("key", "value"), [("probe_clips", 0), ("measure", -1), ("frames_per_s", 0.0)]
)
def test_an_impossible_number_is_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"plan.{key}"):
        run(tmp_path, **{f"plan__{key}": value})
