"""The DAVIS layout as its readers open it, and what it says of what it cannot hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mav_pipeline.export.clip import StoredClip
from mav_pipeline.export.davis import davis, image_sets, palette
from tests.exports import built, exported, names, stored
from tests.fakes import jpeg, level, moving_box, pictures, png, write, write_clip

SHAPE = (48, 64)


def labels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """As VideoMaMa's and SAM 2's loaders read them."""
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.asarray(image.convert("P"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one clip: a large object, and a small one before it that comes late and goes."""
    folder = tmp_path_factory.mktemp("davis")
    large = moving_box(6, top=8, left=4, side=30)
    large[[0, 5]] = False
    small = moving_box(6, top=16, left=20, side=8)
    small[[0, 1, 3, 5]] = False
    write_clip(folder / "in", "sav_000001", {3: large, 7: small})
    write_clip(folder / "in", "sav_000002", {0: moving_box(3)})
    return built(folder / "in", folder / "out")


def test_a_frame_has_a_picture_and_one_palette_png_for_all_objects(
    root: Path, tmp_path: Path
) -> None:
    result = exported(root, tmp_path, format="davis")
    assert (result.clips, result.masklets, result.problems) == (2, 3, {})
    assert names(tmp_path / "JPEGImages/sav_000002") == ["00000.jpg", "00004.jpg", "00008.jpg"]
    assert names(tmp_path / "Annotations/sav_000002") == ["00000.png", "00004.png", "00008.png"]
    with Image.open(tmp_path / "JPEGImages/sav_000002/00008.jpg") as image:
        assert np.abs(np.asarray(image).astype(int) - level(8)).max() <= 4
    mask = moving_box(3)[2]
    assert (labels(tmp_path / "Annotations/sav_000002/00008.png") == mask).all()


def test_the_first_frame_shows_an_object_and_so_does_the_last(root: Path, tmp_path: Path) -> None:
    """VideoMaMa's loader picks its object on the first frame, and else reads black throughout."""
    exported(root, tmp_path / "trimmed", format="davis")
    shown = names(tmp_path / "trimmed/Annotations/sav_000001")
    assert shown == ["00004.png", "00008.png", "00012.png", "00016.png"]
    exported(root, tmp_path / "whole", format="davis", trim=False)
    whole = names(tmp_path / "whole/JPEGImages/sav_000001")
    assert [Path(name).stem for name in whole] == [f"{4 * n:05d}" for n in range(6)]
    assert not labels(tmp_path / "whole/Annotations/sav_000001/00000.png").any()


def test_where_masks_overlap_the_smaller_object_is_in_front(root: Path, tmp_path: Path) -> None:
    exported(root, tmp_path, format="davis")
    large, small = moving_box(6, side=30), moving_box(6, top=16, left=20, side=8)
    found = labels(tmp_path / "Annotations/sav_000001/00008.png")
    assert (found == np.where(small[2], 2, large[2] * 1)).all()
    about = json.loads((tmp_path / "about/sav_000001.json").read_text())
    assert about["frame_indices"] == [4, 8, 12, 16]
    overlaps = [int((large[n] & small[n]).sum()) for n in (2, 4)]
    assert about["objects"] == [
        {"label": 1, "masklet": "manual_003", "visible": [[0, 4]], "covered_pixels": sum(overlaps)},
        {"label": 2, "masklet": "manual_007", "visible": [[1, 2], [3, 4]], "covered_pixels": 0},
    ]


def test_lists_name_each_clip_once_and_stay_as_clips_are_added(root: Path, tmp_path: Path) -> None:
    exported(root, tmp_path, format="davis", limit=1)
    lists = tmp_path / "ImageSets/2017"
    assert (lists / "train.txt").read_text() == "sav_000001\n"
    exported(root, tmp_path, format="davis")
    assert (lists / "train.txt").read_text() == "sav_000001\nsav_000002\n"
    assert (lists / "val.txt").read_text() == ""
    keys = [f"sav_{number:06d}" for number in range(1000)]
    some, all_ = (split(image_sets(part, 0.2)) for part in (keys[:500], keys))
    assert sorted([*all_["train"], *all_["val"]]) == keys
    assert 150 < len(all_["val"]) < 250
    assert some["val"] == [key for key in all_["val"] if key in keys[:500]]
    assert [split(image_sets(keys, share))["val"] for share in (0.0, 1.0)] == [[], keys]


def split(lists: Any) -> dict[str, list[str]]:
    return {Path(name).stem: data.decode().splitlines() for name, data in lists.items()}


def test_the_palette_is_that_of_davis() -> None:
    known = {1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    known |= {0: (0, 0, 0), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {label: tuple(palette()[label].tolist()) for label in known} == known


def test_more_objects_than_labels_are_refused(root: Path) -> None:
    clip = StoredClip.open(stored(root)["sav_000002"], ["manual_000"] * 255)
    with pytest.raises(ValueError, match="255 masklets, and a palette has labels for 254"):
        next(davis(clip))


def test_a_clip_whose_objects_are_never_annotated_together_is_named(tmp_path: Path) -> None:
    for number, picture in enumerate(pictures(4)):
        write(tmp_path / f"in/JPEGImages/a/{number:05d}.jpg", jpeg(picture))
        mask = png(moving_box(4)[number] * np.uint8(255))
        write(tmp_path / f"in/Annotations/a/{number % 2:03d}/{number:05d}.png", mask)
    changes = {"source.name": "sav_eval", "source.masklets": "gt"}
    root = built(tmp_path / "in", tmp_path / "out", **changes)
    result = exported(root, tmp_path / "export", format="davis")
    cause = "it cannot be exported: no frame is annotated for all of its masklets"
    assert (result.clips, result.problems) == (0, {"a": cause})
    assert (tmp_path / "export/ImageSets/2017/train.txt").read_text() == ""
