"""``mav evaluate`` as a user meets it: two backends on a sample whose truth is known."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mav_pipeline.evaluate.metrics import METRICS

from .console import SHARED, mav


def built(root: Path, source: Path, matting: str, *more: str) -> Path:
    keep = "quality.enabled=false"  # an error must not leave the mean by being rejected
    words = (f"source.root={source}", f"output.root={root}", f"matting={matting}", keep)
    done = mav("build", *words, *more)
    assert done.code == 0, done.stderr
    return root


def evaluated(root: Path, truth: Path) -> Any:
    done = mav("evaluate", f"output.root={root}", f"evaluate.root={truth}", "--json")
    assert done.code == 0, done.stderr
    assert "overall" in done.stderr
    assert len(done.stdout.splitlines()) == 1
    return done.json


@pytest.fixture(scope="module")
def sets(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    source = corpus / "sav_train"
    return {name: built(root / name, source, name) for name in ("binary", "closed_form")}


def test_closed_form_beats_the_mask_in_every_error(sets: dict[str, Path], corpus: Path) -> None:
    binary, closed = (evaluated(root, corpus / "alpha_gt") for root in sets.values())
    for name, metric in METRICS.items():
        if metric.better == "less":
            assert closed["overall"][name] < binary["overall"][name], name
        else:  # the mask is what the truth is at .5, but for its fine parts: J cannot gain
            assert closed["overall"][name] > 90, name
    assert closed["overall"]["mad"] < 2 / 3 * binary["overall"]["mad"]
    assert closed["overall"]["masklets"] == binary["overall"]["masklets"] > 12
    coverage = closed["coverage"]
    assert coverage["compared"] == coverage["stored"] == closed["overall"]["masklets"]
    assert coverage["with_truth"] == coverage["compared"] + coverage["not_compared"]
    # The sample's last masklet is empty, and its auto ones were not asked for.
    fates = closed["problems"]["not_stored"]["masklets"]
    assert sorted(set(fates.values())) == ["skipped empty", "the set does not have it"]
    assert sum(problem["count"] for problem in closed["problems"].values()) == len(fates)
    assert coverage["not_compared"] == len(fates)


def test_json_csv_and_picture_say_the_same(sets: dict[str, Path], corpus: Path) -> None:
    found = evaluated(sets["closed_form"], corpus / "alpha_gt")
    folder = sets["closed_form"] / "evaluation"
    with (folder / "metrics.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [row["masklet"] for row in rows] == [row["masklet"] for row in found["masklets"]]
    for metric in METRICS:
        values = [float(row[metric]) for row in rows]
        assert values == [row[metric] for row in found["masklets"]]
        assert np.mean(values) == pytest.approx(found["overall"][metric], abs=2e-6)
    assert cv2.imread(str(folder / "metrics.png")) is not None
    done = mav("verify", f"output.root={sets['closed_form']}", "verify.deep=true", "--json")
    assert (done.code, done.json["strays"]) == (0, [])


def test_bad_truth_is_named_and_leaves_the_others_as_they_were(
    sets: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    shutil.copytree(corpus / "alpha_gt", truth)
    whole = evaluated(sets["binary"], truth)
    names = [f"{row['video_id']}/{row['masklet']}" for row in whole["masklets"]]
    small, deep, short, none = (truth / name for name in names[:4])
    cv2.imwrite(str(small / "00000.png"), np.zeros((72, 96), np.uint8))
    cv2.imwrite(str(deep / "00004.png"), np.zeros((144, 192), np.uint16))
    (short / "00008.png").unlink()
    shutil.rmtree(none)
    found = evaluated(sets["binary"], truth)
    kinds = ("truth_size", "truth_depth", "frames_missing", "no_truth")
    assert [[*found["problems"][kind]["masklets"]] for kind in kinds] == [[n] for n in names[:4]]
    assert found["masklets"][0]["frames"] == 9
    assert found["masklets"][1:] == whole["masklets"][4:]


@pytest.mark.parametrize(
    "words", [(), ("evaluate.root=/nowhere",), ("evaluate.root=.", "evaluate.layout=vhim60")]
)
def test_no_truth_is_exit_2_and_writes_nothing(
    sets: dict[str, Path], tmp_path: Path, words: tuple[str, ...]
) -> None:
    root = tmp_path / "out"
    shutil.copytree(sets["binary"], root, ignore=shutil.ignore_patterns("evaluation"))
    done = mav("evaluate", f"output.root={root}", *words, "--json")
    assert (done.code, done.stdout) == (2, "")
    assert "evaluate.root" in done.stderr
    assert not (root / "evaluation").exists()


def test_nothing_that_could_be_compared_is_exit_3(
    sets: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    strange = tmp_path / "truth" / "nobody" / "manual_000"
    shutil.copytree(next((corpus / "alpha_gt").glob("*/*")), strange)
    done = mav("evaluate", f"output.root={sets['binary']}", f"evaluate.root={tmp_path / 'truth'}")
    assert done.code == 3
    assert "compared 0 of 1 masklets that have truth, 1 not; the set stores" in done.stderr
    assert "not_stored (has truth, but is not in the set): nobody/manual_000" in done.stderr
    assert "nothing could be compared" in done.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_closed_form_beats_the_mask_on_real_masklets(tmp_path: Path) -> None:
    mini = SHARED / "sav_mini"
    one = "source.include=[sav_000001]"  # of the others no truth is known
    binary, closed = (
        evaluated(built(tmp_path / name, mini / "sav_train", name, one), mini / "alpha_gt")
        for name in ("binary", "closed_form")
    )
    assert [row["masklet"] for row in closed["masklets"]] == ["manual_001", "manual_002"]
    for name, metric in METRICS.items():
        matte, mask = (found["overall"][name] for found in (closed, binary))
        assert matte > 90 if metric.better == "more" else matte < 2 / 3 * mask, name
    for mask, matte in zip(binary["masklets"], closed["masklets"], strict=True):
        assert matte["mad"] < 2 / 3 * mask["mad"], matte["masklet"]
