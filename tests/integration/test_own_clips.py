"""The README's own clips: from a phone's video and a folder of masks to a training batch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mav_pipeline
from mav_pipeline.schema import read_content
from mav_pipeline.schema.keys import safe_key
from mav_pipeline.train.loader import MatteDataset
from tests.fakes import moving_box, pictures, png, write
from tests.ffmpeg import CONTAINERS, decoded, encoded, needs_ffmpeg, shown, turned

from .console import REPOSITORY, mav

pytestmark = needs_ffmpeg

SECTION = (REPOSITORY / "README.md").read_text().partition("## With your own clips")[2]
SECTION = SECTION.partition("\n## ")[0]
NAME = "IMG 0042"


def blocks(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    return str(found)


def phone_video(path: Path, count: int) -> Path:
    """An H.264 video in QuickTime's container that is stored lying and shown upright."""
    lying = pictures(count, 96, 128)
    flat = encoded(path.with_suffix(".tmp.mov"), lying, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    path.write_bytes(turned(flat.read_bytes(), (0, 1 << 16, -1 << 16, 0)))
    flat.unlink()
    return path


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the section's console lines were followed."""
    root = tmp_path_factory.mktemp("own")
    assert f"clips/{NAME}.MOV" in SECTION
    (root / "clips").mkdir()
    phone_video(root / f"clips/{NAME}.MOV", 8)
    masks = moving_box(8, side=40, shape=(128, 96))
    form = re.search(rf"clips/{NAME}/(\w+_)0001\.png", SECTION)
    assert form is not None
    for number, mask in enumerate(masks, 1):
        labels = mask.astype(np.uint8) * np.uint8(255)
        write(root / f"clips/{NAME}/{form[1]}{number:04d}.png", png(labels))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in blocks("console").splitlines():
        done = subprocess.run(
            line.removeprefix("$ "),
            shell=True,
            cwd=root,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
    return root


def rows(root: Path) -> list[dict[str, Any]]:
    return list(pq.ParquetFile(root / "manifest.parquet").read().to_pylist())


def test_the_lines_lead_to_a_training_batch(walked: Path) -> None:
    code = f"{blocks('python')}\nprint(batch['frames'].shape, batch['alpha'].shape, len(alphas))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=walked, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == (
        "torch.Size([1, 4, 96, 96, 3]) torch.Size([1, 4, 96, 96]) 8"
    )


def test_the_clip_keeps_its_name_and_its_video(walked: Path) -> None:
    (row,) = rows(walked / "own-out")
    key = safe_key(NAME)
    assert (row["video_id"], row["name"], row["masklet"]) == (key, NAME, "user_001")
    assert (row["status"], row["reasons"]) == ("accepted", ["by_order"])
    assert (row["width"], row["height"], row["kind"]) == (96, 128, "user")
    run = json.loads((walked / "own-out" / "run.json").read_text())
    assert run["source"]["passed_over"] == {}
    assert "own footage" in (walked / "own-out" / "README.md").read_text()
    words = ("source=footage", f"source.root={walked}/clips", f"output.root={walked}/other")
    for include in (NAME, key, "IMG*"):
        plan = mav("plan", *words, f'source.include="{include}"', "--json").json
        assert plan["clips"] == {"planned": 1, "failed": 0, "skipped": 0}
    assert mav("plan", *words, "source.include=IMG_0042").code == 2


def test_every_reader_opens_the_stored_video_by_its_content(walked: Path, tmp_path: Path) -> None:
    """``rgb.mp4`` is the format's name; a mov, as it came, is in it."""
    (tar,) = (walked / "own-out" / "shards").glob("*.tar")
    with tarfile.open(tar) as archive:
        member = next(one for one in archive.getmembers() if one.name.endswith(".rgb.mp4"))
        archive.extract(member, tmp_path, filter="data")
    path = tmp_path / member.name
    assert path.read_bytes() == (walked / f"clips/{NAME}.MOV").read_bytes()
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert capture.read()[1].shape == (128, 96, 3)
    assert decoded(path, "rgb24", np.uint8).size == 8 * 128 * 96 * 3


def test_videos_of_every_container_are_stored_as_they_are_and_read_back(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    for ending, options in CONTAINERS.items():
        encoded(root / f"{ending}.{ending}", pictures(9), *options)
        for number, mask in enumerate(moving_box(9)):
            labels = mask.astype(np.uint8) * np.uint8(255)
            write(root / f"{ending}/{number}.png", png(labels))
    words = ("source=footage", f"source.root={root}", f"output.root={out}", "matting=binary")
    done = mav("build", *words, "--json")
    assert done.json["masklets"] == {"accepted": 6, "rejected": 0, "skipped": 0, "failed": 0}
    assert mav("verify", f"output.root={out}", "verify.deep=true").code == 0
    assert mav("export", f"output.root={out}", f"export.root={tmp_path / 'export'}").code == 0
    samples = [*mav_pipeline.open_set(out).samples()]
    assert [sample.key for sample in samples] == sorted(CONTAINERS)
    for sample in samples:
        path = root / f"{sample.key}.{sample.key}"
        assert read_content(sample.members["rgb.mp4"]) == path.read_bytes()
        for frame, picture in zip(sample.frames(), shown(path), strict=True):
            assert np.abs(frame.astype(int) - picture).max() <= 1
    data = MatteDataset(out, frames=3, size=(48, 64))
    assert len([one["frames"] for one in data]) == 6


def test_what_mav_export_writes_for_videomama_comes_back(walked: Path, tmp_path: Path) -> None:
    out, target, again = f"{walked}/own-out", tmp_path / "export", tmp_path / "again"
    assert mav("export", f"output.root={out}", f"export.root={target}").code == 0
    words = ("source=footage", f"source.root={target}", f"output.root={again}", "matting=binary")
    done = mav("build", *words, "--json")
    assert done.code == 0, done.stderr
    assert set(done.json["passed_over"]) >= {"alpha"}
    (row,) = rows(again)
    sequence = f"{safe_key(NAME)}_user_001"
    assert (row["key"], row["masklet"], row["status"]) == (sequence, "user_001", "accepted")
    (before,) = mav_pipeline.open_set(out).samples()
    (after,) = mav_pipeline.open_set(again).samples()
    assert after.document.frame_indices == before.document.frame_indices
    assert after.document.fps == before.document.fps
    for one, other in zip(before.masks("user_001"), after.masks("user_001"), strict=True):
        np.testing.assert_array_equal(one, other)
    for number, frame in enumerate(after.frames()):
        with Image.open(target / f"image/{sequence}/{number:04d}.jpg") as image:
            assert np.abs(frame.astype(int) - np.asarray(image)).max() <= 1
