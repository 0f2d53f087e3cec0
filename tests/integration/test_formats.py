"""Sets of earlier versions are read for ever, and finished by what began them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.manifest import SCHEMA
from mav_pipeline.planning import fingerprint
from mav_pipeline.schema import FORMAT
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.schema.scores import SCORER_REVISION
from mav_pipeline.storage import LocalStorage
from mav_pipeline.train.loader import MatteDataset

from .console import mav

DATA = Path(__file__).resolve().parent.parent / "data" / "format_1"
INPUT_TIME = 1_700_000_000  # of every input; git keeps none
COMPLETE = (
    *("source.include=[sav_000001,sav_000002]", "output.clips_per_shard=1"),
    *("quality.keep_rejected=true", "quality.max_area_ratio=1.03"),
)
HALF = ("output.alpha=png", "output.clips_per_shard=1", "report.masklets=0")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A copy of the sets of format 1, with their inputs beside them."""
    root = tmp_path / "format_1"
    shutil.copytree(DATA, root)
    for path in (root / "source").rglob("*"):
        os.utime(path, (INPUT_TIME, INPUT_TIME))
    return root


# reading


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--json"),
        ("verify", "verify.deep=true"),
        ("report", "report.gate=strict"),
        ("regate", "regate.name=loose", "quality.min_quality=0.3"),
        ("build", *COMPLETE),
    ],
    ids=lambda words: words[0],
)
def test_whatever_reads_sets_reads_a_complete_one(words: tuple[str, ...], sets: Path) -> None:
    done = mav(*words, f"output.root={sets / 'complete'}", f"source.root={sets / 'source'}")
    assert done.code == 0, done.stderr
    if words[0] == "status":
        assert done.json["state"] == "complete"
        assert done.json["masklets"] == {"accepted": 5, "rejected": 2, "skipped": 0, "failed": 0}


def test_a_complete_one_is_exported_and_compared(sets: Path, tmp_path: Path) -> None:
    out, truth = f"output.root={sets / 'complete'}", tmp_path / "export"
    words = ("export.format=videomama", "export.gate=strict", "export.trim=false")
    done = mav("export", out, f"export.root={truth}", *words)
    assert done.code == 0, done.stderr
    assert len([*truth.glob("alpha/*")]) == 2
    alpha = tmp_path / "truth" / "sav_000001" / "manual_000"
    shutil.copytree(next(truth.glob("alpha/*")), alpha)
    done = mav("evaluate", out, f"evaluate.root={tmp_path / 'truth'}", "--json")
    assert done.code == 0, done.stderr
    assert done.json["overall"]["masklets"] == 1


def test_a_complete_one_is_loaded(sets: Path) -> None:
    data = MatteDataset(sets / "complete", frames=2, size=(32, 32), status=("accepted", "rejected"))
    samples = [*data]
    assert len(samples) == 7
    for sample in samples:
        assert sample["alpha"].shape == (2, 32, 32)
        assert np.isfinite(sample["scores"]["quality"])


def test_rows_have_the_columns_of_this_version(sets: Path) -> None:
    built = BuiltSet.open(LocalStorage(sets / "complete"))
    assert built.format == 1
    assert built.rows().schema.names == SCHEMA.names


# going on


def test_a_half_built_one_is_left_to_the_version_that_began_it(sets: Path) -> None:
    root = sets / "half"
    before = {path: path.read_bytes() for path in sets.rglob("*") if path.is_file()}
    inputs = (f"source.root={sets / 'source'}", f"output.root={root}", *HALF)
    done = mav("build", *inputs, "resume.rebuild=failed_clips")
    assert done.code == 2
    assert "format: was 1, now 2" in done.stderr
    assert "finish it with version 0.1.0" in done.stderr
    after = {path: path.read_bytes() for path in sets.rglob("*") if path.is_file()}
    assert after == before
    done = mav("status", f"output.root={root}", "--json")
    assert (done.code, done.json["state"]) == (0, "incomplete")
    assert mav("verify", f"output.root={root}", "verify.deep=true").code == 3


@pytest.fixture
def raised(request: pytest.FixtureRequest, sets: Path) -> tuple[Path, str]:
    """A half-built set begun under another revision, format or columns than this version's."""
    path = sets / "half" / "run.json"
    run = json.loads(path.read_text())
    if request.param.startswith("revision"):
        run["keys"][request.param] = 0
    elif request.param == "columns":
        run["columns"] = [*SCHEMA.names, "later"]
    run |= {"format": FORMAT, "keys": fingerprint.held_keys(run)}
    path.write_text(json.dumps(run))
    return sets, request.param


@pytest.mark.parametrize(
    "raised", ["revision.matting", "revision.source", "revision.scores", "columns"], indirect=True
)
def test_what_would_write_other_bytes_is_refused_by_name(raised: tuple[Path, str]) -> None:
    sets, what = raised
    before = {path: path.read_bytes() for path in sets.rglob("*") if path.is_file()}
    words = (f"source.root={sets / 'in'}", f"output.root={sets / 'half'}", *HALF)
    shutil.copytree(sets / "source", sets / "in")
    (sets / "in" / "sav_000" / "sav_000001.mp4").write_bytes(b"no video")
    for path in (sets / "in").rglob("*"):
        os.utime(path, (INPUT_TIME, INPUT_TIME))
    done = mav("build", *words)
    assert done.code == 2
    assert "was begun by version 0.1.0" in done.stderr
    assert "columns.later" in done.stderr if what == "columns" else f"{what}: was 0" in done.stderr
    assert "finish it with version 0.1.0" in done.stderr
    after = {path: path.read_bytes() for path in before}
    assert after == before
    assert mav("status", f"output.root={sets / 'half'}").code == 0


def test_a_complete_one_under_another_revision_has_nothing_to_do(sets: Path) -> None:
    path = sets / "complete" / "run.json"
    run = json.loads(path.read_text())
    run["keys"]["revision.scores"] = 0
    path.write_text(json.dumps(run))
    words = (f"source.root={sets / 'source'}", f"output.root={sets / 'complete'}")
    assert mav("build", *words, *COMPLETE).code == 0
    done = mav("regate", words[1], "regate.name=other", "quality.min_quality=0.1")
    assert done.code == 0
    assert f"are of revision 0, those of this version of {SCORER_REVISION}" in done.stderr
    assert "=auto is off" not in done.stderr  # its bounds are those it was built with
    done = mav("regate", words[1], "regate.name=auto", "quality.max_lost_share=auto")
    assert "quality.max_lost_share=auto is off" in done.stderr


def test_a_later_format_is_refused_by_all(sets: Path) -> None:
    path = sets / "complete" / "run.json"
    run = json.loads(path.read_text())
    path.write_text(json.dumps({**run, "format": FORMAT + 1}))
    with pytest.raises(OutputError, match=rf"of format {FORMAT + 1}, .* reads up to {FORMAT}"):
        BuiltSet.open(LocalStorage(sets / "complete"))
    for verb in ("status", "verify", "build", "export"):
        done = mav(verb, f"output.root={sets / 'complete'}", "export.root=x")
        assert done.code == 2, verb
        assert "install a later one" in done.stderr


def test_shards_of_two_versions_never_stand_in_one_set(sets: Path) -> None:
    """A shard whose receipt says another format is a finding, however it came there."""
    path = sets / "complete" / "shards" / "mav-000000.json"
    receipt = json.loads(path.read_text())
    path.write_text(json.dumps({**receipt, "format": 2}))
    done = mav("verify", f"output.root={sets / 'complete'}")
    assert done.code == 1
    assert "its format is 2" in done.stderr


def test_the_keys_of_format_1_are_those_that_this_version_asks_for(sets: Path) -> None:
    run = json.loads((sets / "half" / "run.json").read_text())
    held = fingerprint.held_keys(run)
    assert "matting.device" not in held
    assert "matting.device" in run["keys"]
    assert {held[f"revision.{what}"] for what in ("source", "matting", "scores")} == {1}
