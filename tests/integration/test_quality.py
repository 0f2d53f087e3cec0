"""Mattes against the truth: closed_form must be worth its time."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import pytest

from mav_pipeline.dataset.codec import decode_sample
from mav_pipeline.dataset.shards import read_samples
from mav_pipeline.metrics import mad

from .console import SHARED, mav


def errors(root: Path, truth: Path) -> dict[str, float]:
    """MAD of every stored masklet that has a truth, by ``video_id/masklet``."""
    found = {}
    for tar in sorted((root / "shards").glob("*.tar")):
        with tar.open("rb") as file:
            for key, members in read_samples(file):
                document, masklets = decode_sample(members)
                for masklet in masklets:
                    folder = truth / key / masklet.name
                    if folder.is_dir():
                        names = [f"{index:05d}.png" for index in document["frame_indices"]]
                        frames = [cv2.imread(str(folder / n), cv2.IMREAD_UNCHANGED) for n in names]
                        found[f"{key}/{masklet.name}"] = mad(masklet.alpha, np.stack(frames))
    return found


def build(root: Path, source: Path, truth: Path, matting: str) -> Path:
    keep = "quality.enabled=false"  # an error must not leave the mean by being rejected
    include = f"source.include=[{','.join(path.name for path in truth.iterdir())}]"
    words = (f"source.root={source}", f"output.root={root}", f"matting={matting}", keep, include)
    done = mav("build", *words)
    assert done.code == 0, done.stderr
    return root


def compare(source: Path, truth: Path, tmp_path: Path) -> tuple[dict[str, float], ...]:
    results = [
        errors(build(tmp_path / matting, source, truth, matting), truth)
        for matting in ("binary", "closed_form")
    ]
    assert results[0].keys() == results[1].keys()
    return tuple(results)


def test_closed_form_beats_the_mask_by_a_third_on_the_sample(corpus: Path, tmp_path: Path) -> None:
    binary, closed = compare(corpus / "sav_train", corpus / "alpha_gt", tmp_path)
    assert len(binary) > 12
    assert fmean(closed.values()) < 2 / 3 * fmean(binary.values())


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_closed_form_beats_the_mask_by_a_third_on_real_masklets(tmp_path: Path) -> None:
    mini = SHARED / "sav_mini"
    binary, closed = compare(mini / "sav_train", mini / "alpha_gt", tmp_path)
    assert set(binary) == {"sav_000001/manual_001", "sav_000001/manual_002"}
    for masklet, error in closed.items():
        assert error < 2 / 3 * binary[masklet]
