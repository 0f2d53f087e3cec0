"""Which files are a clip's: what is in doubt is refused and named, never merged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from mav_pipeline.schema import Problem
from tests.fakes import jpeg, moving_box, pictures, png, write

from .test_sav_eval import assert_masks, discover, labels, load, refused, write_frames


def write_labels(folder: Path, numbers: Iterable[int] = range(3), ending: str = ".png") -> None:
    for index, number in enumerate(numbers):
        write(folder / f"{number:05d}{ending}", png(labels(index), palette=True))


def problem(root: Path) -> Problem:
    """Of the only clip, which fails as it is listed."""
    (ref,) = discover(root)
    assert ref.problem is not None
    assert ref.problem.status == "failed"
    assert str(root) not in ref.problem.message
    return ref.problem


@pytest.mark.parametrize("other", ["00001.png", "1.jpg", "0001.JPEG"])
def test_two_pictures_of_one_frame_are_refused(tmp_path: Path, other: str) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(3))
    write_labels(tmp_path / "Annotations" / "a")
    write(tmp_path / "JPEGImages" / "a" / other, jpeg(pictures(1)[0]))
    found = problem(tmp_path)
    assert found.reason == "two_files"
    assert "plan of frame" in found.message
    assert {f"a/{other}", "a/00001.jpg"} <= {*found.message.replace(",", "").split()}
    assert "both frame 1" in found.message


@pytest.mark.parametrize("folder", ["", "004"])
def test_two_masks_of_one_frame_are_refused(tmp_path: Path, folder: str) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(3))
    masks = tmp_path / "Annotations" / "a" / folder
    write_labels(masks)
    write(masks / "2.png", png(labels(0), palette=True))
    found = problem(tmp_path)
    assert found.reason == "two_files"
    assert "plan of mask" in found.message
    assert "2.png" in found.message
    assert "00002.png" in found.message


@pytest.mark.parametrize(
    "folders",
    [("JPEGImages", "JPEGImages_24fps"), ("Annotations", "Annotations_unsupervised")],
)
def test_two_folders_for_one_clip_are_refused_and_named(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    for name in {"JPEGImages", "Annotations", *folders}:
        if name.startswith("JPEGImages"):
            write_frames(tmp_path / name / "480p" / "a", range(3))
        else:
            write_labels(tmp_path / name / "480p" / "a")
    found = problem(tmp_path)
    assert found.reason == "two_files"
    assert all(f"{name}/480p/a" in found.message for name in folders)
    assert "move one away" in found.message


def test_two_folders_for_one_object_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(3))
    write_labels(tmp_path / "Annotations" / "a" / "001", range(2))
    write_labels(tmp_path / "Annotations" / "a" / "1", range(2, 3))
    assert problem(tmp_path).reason == "two_files"


def test_labels_beside_objects_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(3))
    write_labels(tmp_path / "Annotations" / "a" / "001")
    write_labels(tmp_path / "Annotations" / "a")
    found = problem(tmp_path)
    assert found.reason == "two_files"
    assert "a/00000.png holds labels and 001/00000.png one object" in found.message


@pytest.mark.parametrize(
    ("masks", "frames"),
    [
        (range(1, 4), range(3)),
        (range(3), range(1, 4)),
        (range(1, 12, 5), range(0, 11, 5)),
        (range(7, 8), range(5, 6)),
    ],
)
def test_as_many_masks_as_frames_numbered_off_are_refused(
    tmp_path: Path, masks: range, frames: range
) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", frames)
    write_labels(tmp_path / "Annotations" / "a", masks)
    found = problem(tmp_path)
    assert found.reason == "frame_shift"
    said = f"masks {masks[0]} to {masks[-1]} stand beside frames {frames[0]} to {frames[-1]}"
    assert said in found.message


def test_a_mask_behind_the_last_frame_is_left_out_and_no_other(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(2))
    write_labels(tmp_path / "Annotations" / "a")
    assert load(tmp_path).frame_indices == (0, 1)
    (tmp_path / "JPEGImages" / "a" / "00001.jpg").unlink()
    assert refused(tmp_path).reason == "frame_count"


def test_masks_of_no_frame_at_all_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(2))
    write_labels(tmp_path / "Annotations" / "a", [9])
    assert refused(tmp_path).reason == "no_frames"


def test_a_clip_may_be_called_as_its_object(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "001", range(3))
    masks = moving_box(3)
    for number in range(3):
        mask = png(masks[number])
        write(tmp_path / "Annotations" / "001" / "001" / f"{number:05d}.png", mask)
    assert_masks(load(tmp_path), {"gt_001": [*masks]})


def test_masks_may_be_jpegs_of_any_name(tmp_path: Path) -> None:
    """Hard boxes at the borders of a JPEG's blocks come back as they are."""
    write_frames(tmp_path / "JPEGImages" / "a", range(2))
    mask = moving_box(1, top=8, left=8, side=24)[0]
    gray = jpeg(mask[..., None].repeat(3, 2) * 255)
    write(tmp_path / "Annotations" / "a" / "00000.png", gray)
    write(tmp_path / "Annotations" / "a" / "00001.JPG", gray)
    assert_masks(load(tmp_path), {"gt_001": [mask, mask]})


def test_void_is_counted_on_every_masklet(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(2))
    for number in range(2):
        found = labels(number)
        found[-1] = 255
        write(tmp_path / "Annotations" / "a" / f"{number:05d}.png", png(found, palette=True))
    clip = load(tmp_path)
    assert [(m.name, m.void_pixels) for m in clip.masklets] == [("gt_001", 128), ("gt_004", 128)]
    assert [m.void_pixels for m in load(tmp_path, void=4).masklets] == [288, 288]
    assert [m.name for m in load(tmp_path, void=None).masklets] == ["gt_001", "gt_004", "gt_255"]
    assert [m.name for m in load(tmp_path, labels="binary").masklets] == ["gt_001"]
