"""An export is a source again: masks and alpha to the bit, pictures as exported, frame numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.exports import built, exported, names, rows, stored
from tests.fakes import decode_sample, encode_mp4, level, moving_box, pictures, write, write_clip

SAV_EVAL = {"source.name": "sav_eval", "source.masklets": "gt"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two clips of 30 frames a second; in the first an object comes late."""
    folder = tmp_path_factory.mktemp("round_trip")
    late = moving_box(4, top=30, left=40, side=10)
    late[0] = False
    for name, objects in (("sav_000001", {0: moving_box(4), 12: late}), ("b", {1: moving_box(4)})):
        write(folder / f"in/{name}.mp4", encode_mp4(pictures(15), rate=30))
        write_clip(folder / "in", name, objects)
    return built(folder / "in", folder / "out")


def test_sav_val_comes_back(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    assert exported(root, target, format="sav_val").masklets == 3
    every = names(target / "JPEGImages/sav_000001")
    assert every == [f"{number:05d}.jpg" for number in range(15)]
    with Image.open(target / "Annotations/sav_000001/012/00000.png") as image:
        assert not np.asarray(image).any()
    check(root, built(target, tmp_path / "again", **SAV_EVAL), target)


def test_davis_comes_back(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    assert exported(root, target, format="davis").masklets == 3
    check(root, built(target, tmp_path / "again", **SAV_EVAL), target)


def check(root: Path, again: Path, target: Path) -> None:
    """Whether a set holds what the one that it was made of does."""
    before, after = stored(root), stored(again)
    assert sorted(after) == sorted(before)
    for key, members in before.items():
        (one, masklets), (other, returned) = decode_sample(members), decode_sample(after[key])
        for what in ("key", "width", "height", "fps", "frame_indices", "environment"):
            assert getattr(other, what) == getattr(one, what), what
        assert (other.environment, other.fps) == ("Indoor", 30.0)
        for mine, theirs in zip(masklets, returned, strict=True):
            assert mine.rles == theirs.rles
            assert (mine.alpha == theirs.alpha).all()
        for number in one.frame_indices:
            picture = after[key][f"rgb.{number:05d}.jpg"]
            path = target / f"JPEGImages/{key}/{number:05d}.jpg"
            assert picture == path.read_bytes()
            with Image.open(path) as image:
                assert np.abs(np.asarray(image).astype(int) - level(number)).max() <= 4
    assert {row["environment"] for row in rows(again).values()} == {"Indoor"}


def test_what_an_export_says_of_a_clip_must_be_whole(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    exported(root, target, format="davis")
    write(target / "about/b.json", '{"fps": "fast"}')
    again = built(target, tmp_path / "again", **SAV_EVAL)
    row = next(row for row in rows(again).values() if row["video_id"] == "b")
    assert (row["status"], row["reasons"]) == ("failed", ["json"])
    assert "b.json is not what an export says of a clip" in row["error"]
    assert list(stored(again)) == ["sav_000001"]
