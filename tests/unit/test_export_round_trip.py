"""An export is a source again: masks and alpha to the bit, pictures as exported, frame numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mav_pipeline.dataset.sample import read_document
from tests.exports import built, exported, names, rows, stored
from tests.fakes import (
    decode_sample,
    encode_mp4,
    jpeg,
    level,
    moving_box,
    pictures,
    png,
    write,
    write_clip,
)

FOOTAGE = {"source.name": "footage", "source.masklets": "user"}
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


@pytest.mark.parametrize("trim", [True, False])
def test_videomama_comes_back_as_footage(trim: bool, root: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    assert exported(root, target, format="videomama", trim=trim).masklets == 3
    again = stored(built(target, tmp_path / "again", **FOOTAGE))
    before = stored(root)
    table = pq.read_table(target / "metadata.parquet").to_pylist()
    assert [f"image/{key}" for key in again] == sorted(row["composite_path"] for row in table)
    for row in table:
        name, places = row["composite_path"][6:], [n // 4 for n in row["frame_indices"]]
        one, masklets = decode_sample(before[row["key"]])
        other, (theirs,) = decode_sample(again[name])
        mine = next(masklet for masklet in masklets if masklet.name == row["masklet"])
        assert list(other.frame_indices) == row["frame_indices"]
        assert (other.fps, other.environment) == (one.fps, one.environment) == (30.0, "Indoor")
        assert theirs.rles == tuple(mine.rles[place] for place in places)
        assert (theirs.alpha == mine.alpha[places]).all()
        for number, file in enumerate(row["frame_indices"]):
            with Image.open(target / f"alpha/{name}/{number:04d}.png") as image:
                assert (np.asarray(image) == mine.alpha[places[number]]).all()
            picture = (target / f"image/{name}/{number:04d}.jpg").read_bytes()
            assert again[name][f"rgb.{file:05d}.jpg"] == picture


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


# frames on which nobody looked for an object


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one clip of 6 frames: object 1 is annotated on all, 2 on 0, 2 and 4, gone on 2."""
    folder = tmp_path_factory.mktemp("sparse")
    masks = {1: moving_box(6), 2: moving_box(6, top=30, left=40, side=10)}
    masks[2][2] = False
    for number, picture in enumerate(pictures(6)):
        write(folder / f"in/JPEGImages/a/{number:05d}.jpg", jpeg(picture))
        for item in (1,) if number % 2 else (1, 2):
            data = png(masks[item][number] * np.uint8(255))
            write(folder / f"in/Annotations/a/{item:03d}/{number:05d}.png", data)
    return built(folder / "in", folder / "out", **SAV_EVAL)


def test_they_are_in_no_training_set(sparse: Path, tmp_path: Path) -> None:
    exported(sparse, tmp_path / "v", format="videomama")
    table = pq.read_table(tmp_path / "v/metadata.parquet").to_pylist()
    assert {row["composite_path"]: row["frame_indices"] for row in table} == {
        "image/a_gt_001": [*range(6)],
        "image/a_gt_002_00000": [0],
        "image/a_gt_002_00004": [4],
    }
    exported(sparse, tmp_path / "w", format="videomama", trim=False)
    row = pq.read_table(tmp_path / "w/metadata.parquet").to_pylist()[1]
    assert (row["frame_indices"], row["visible"]) == ([0, 2, 4], [[0, 1], [2, 3]])
    exported(sparse, tmp_path / "d", format="davis")
    for folder in ("JPEGImages", "Annotations"):
        assert [name[:5] for name in names(tmp_path / f"d/{folder}/a")] == [
            "00000",
            "00002",
            "00004",
        ]


def test_they_come_back_as_such(sparse: Path, tmp_path: Path) -> None:
    exported(sparse, tmp_path / "s", format="sav_val")
    assert [name[:5] for name in names(tmp_path / "s/Annotations/a/002")] == [
        "00000",
        "00002",
        "00004",
    ]
    again = built(tmp_path / "s", tmp_path / "again", **SAV_EVAL)
    one, other = (read_document(stored(root)["a"]) for root in (sparse, again))
    assert other.frame_indices == one.frame_indices == (*range(6),)
    assert other.masklets[1].annotated == (True, False) * 3
    assert [m.annotated for m in other.masklets] == [m.annotated for m in one.masklets]
    assert [m.mask for m in other.masklets] == [m.mask for m in one.masklets]
