"""Not annotated is not absent: which frames a clip has; what sets, loaders and exports say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset.sample import read_document
from mav_pipeline.dataset.verify import verify
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.sources.annotated import clip_frames
from mav_pipeline.storage import LocalStorage
from mav_pipeline.train.loader import MatteDataset
from tests.exports import built, exported, rows, stored
from tests.fakes import moving_box, png, write

from .test_sav_eval import load, source, write_frames

FRAMES = 10
BOX, OTHER = moving_box(FRAMES), moving_box(FRAMES, top=30, side=12)
SAV_EVAL = {"source.name": "sav_eval", "source.masklets": "gt"}


def write_objects(root: Path, shown: dict[int, Sequence[int]], frames: int = FRAMES) -> Path:
    """One folder an object, with masks on the frames named."""
    write_frames(root / "JPEGImages" / "a", range(frames))
    for (item, numbers), masks in zip(shown.items(), (BOX, OTHER), strict=False):
        for number in numbers:
            path = root / "Annotations" / "a" / f"{item:03d}" / f"{number:05d}.png"
            write(path, png(masks[number].astype(np.uint8) * 255))
    return root


def write_labels(root: Path, shown: dict[int, Sequence[int]]) -> Path:
    """Label images on the frames named, each with the objects named."""
    write_frames(root / "JPEGImages" / "a", range(FRAMES))
    for number, items in shown.items():
        picture = np.zeros(BOX[0].shape, np.uint8)
        for item in items:
            picture[(BOX if item == 1 else OTHER)[number]] = item
        write(root / "Annotations" / "a" / f"{number:05d}.png", png(picture, palette=True))
    return root


# which frames are the clip's


@pytest.mark.parametrize(
    ("masks", "frames", "expected"),
    [
        (range(0, 21, 4), range(24), range(0, 24, 4)),  # SA-V
        (range(0, 180, 5), range(180), range(0, 180, 5)),  # YouTube-VOS with every frame
        (range(80), range(80), range(80)),  # DAVIS
        ([0], range(80), range(80)),  # its first frames
        ([0, 35], range(0, 180, 5), range(0, 180, 5)),  # YouTube-VOS, valid
        ([0], [0], [0]),
        ([0, 4], range(7), [0, 4]),
        ([0, 4], range(20), range(20)),
        ([0, 90], range(0, 180, 5), range(0, 180, 5)),
        ([0, 20, 60], range(0, 90, 1), range(0, 90, 1)),
        (range(0, 300, 30), range(300), range(0, 300, 30)),  # one a second
        ([2, 4, 6], range(10), range(0, 10, 2)),  # it comes late and leaves early
        ([0, 4, 8, 20, 24], range(25), range(0, 25, 4)),  # a gap: out of view, no file written
        ([0, 1, 2, 9], range(10), range(10)),
        ([0, 4, 8], range(8), [0, 4]),  # the last picture is missing
        ([3, 5, 8], range(10), range(10)),
    ],
)
def test_a_steady_step_is_all_there_is_and_few_masks_are_not(
    masks: Sequence[int], frames: Sequence[int], expected: Sequence[int]
) -> None:
    assert clip_frames(masks, frames) == tuple(expected)


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60)))
def test_every_frame_with_a_mask_is_the_clips(masks: set[int], others: set[int]) -> None:
    found = clip_frames(masks, masks | others)
    assert masks <= set(found) <= masks | others
    assert list(found) == sorted(set(found))


# what a source says


def test_an_object_is_annotated_where_it_has_a_mask(tmp_path: Path) -> None:
    clip = load(write_objects(tmp_path, {0: range(FRAMES), 7: (3, 4, 5)}))
    first, second = clip.masklets
    assert clip.frame_indices == tuple(range(FRAMES))
    assert (first.annotated, first.notes) == (None, ())
    assert second.annotated == tuple(number in (3, 4, 5) for number in range(FRAMES))
    assert second.visible == second.annotated
    assert second.notes == ("partly_annotated",)


def test_an_empty_mask_is_annotated(tmp_path: Path) -> None:
    root = write_objects(tmp_path, {0: range(FRAMES)})
    write(root / "Annotations/a/000/00004.png", png(BOX[0] & False))
    (masklet,) = load(root).masklets
    assert masklet.annotated is None
    assert [number for number, seen in enumerate(masklet.visible) if not seen] == [4]


def test_the_first_frame_alone_leaves_the_others_open(tmp_path: Path) -> None:
    clip = load(write_labels(tmp_path, {0: (1, 4)}))
    assert clip.frame_indices == tuple(range(FRAMES))
    for masklet in clip.masklets:
        assert masklet.annotated == (True, *[False] * (FRAMES - 1))


def test_sparse_label_images_need_not_show_all_objects(tmp_path: Path) -> None:
    clip = load(write_labels(tmp_path, {0: (1,), 3: (4,)}))
    assert [masklet.annotated for masklet in clip.masklets] == [
        tuple(number == at for number in range(FRAMES)) for at in (0, 3)
    ]


def test_label_images_on_every_frame_show_what_is_there(tmp_path: Path) -> None:
    shown = {number: (1, 4) if number < 5 else (1,) for number in range(FRAMES)}
    first, second = load(write_labels(tmp_path, shown)).masklets
    assert first.annotated is None
    assert second.annotated is None
    assert second.visible == (True,) * 5 + (False,) * 5


def test_a_measure_does_not_trust_the_first_label_image(tmp_path: Path) -> None:
    """It is dim and soft, so alone it could not be told; the others make a binary clip of it."""
    write_frames(tmp_path / "JPEGImages" / "a", range(3))
    for number, white in enumerate((90, 255, 255)):
        soft = cv2.circle(np.zeros((48, 64), np.uint8), (30, 24), 15, white, -1, cv2.LINE_AA)
        write(tmp_path / "Annotations" / "a" / f"{number:05d}.png", png(soft))
    found = source(tmp_path)
    (ref,) = found.discover().clips
    assert found.measure(ref).masklets == 1
    (masklet,) = load(tmp_path).masklets
    assert masklet.visible == (False, True, True)


def test_a_stride_keeps_the_first_annotated_frame(tmp_path: Path) -> None:
    clip = load(write_objects(tmp_path, {0: (3,)}), stride=4)
    assert clip.frame_indices == (3, 7)
    assert clip.masklets[0].annotated == (True, False)


# what a set says


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one clip: an object annotated on all frames, and one on 2 to 4 and 7."""
    folder = tmp_path_factory.mktemp("annotated")
    write_objects(folder / "in", {0: range(FRAMES), 7: (2, 3, 4, 7)})
    return built(folder / "in", folder / "out", **SAV_EVAL)


def test_a_row_says_so(root: Path) -> None:
    first, second = (rows(root)["a", name] for name in ("gt_000", "gt_007"))
    assert (first["reasons"], first["annotated_frames"], first["annotated_run"]) == ([], 10, 10)
    assert second["status"] == "accepted"
    assert second["reasons"] == ["partly_annotated"]
    assert (second["annotated_frames"], second["annotated_run"]) == (4, 3)
    assert (second["frames"], second["visible_frames"], second["void_pixels"]) == (10, 4, 0)


def test_a_sample_says_so_and_is_whole(root: Path) -> None:
    document = read_document(stored(root)["a"])
    looked = tuple(number in (2, 3, 4, 7) for number in range(FRAMES))
    assert [masklet.annotated for masklet in document.masklets] == [(True,) * FRAMES, looked]
    assert verify(LocalStorage(root), VerifyConfig(deep=True, clean=False)).ok


def loaded(root: Path, **settings: Any) -> list[Any]:
    return [*MatteDataset(root, node=(0, 1), **settings)]


@pytest.mark.parametrize("crop", ["random", "start"])
def test_a_trainer_stays_off_frames_that_are_not_annotated(root: Path, crop: Any) -> None:
    samples = loaded(root, frames=3, crop=crop)
    assert [sample["masklet"] for sample in samples] == ["gt_000", "gt_007"]
    assert all(sample["annotated"].all() for sample in samples)
    assert samples[1]["frame_indices"].tolist() == [2, 3, 4]
    assert samples[1]["alpha"].any(axis=(1, 2)).all()


def test_a_clip_is_its_longest_annotated_run(root: Path) -> None:
    whole, partly = loaded(root)
    assert whole["frame_indices"].tolist() == [*range(FRAMES)]
    assert partly["frame_indices"].tolist() == [2, 3, 4]
    repeated = loaded(root, frames=5, short="repeat")[1]
    assert repeated["frame_indices"].tolist() == [2, 3, 4, 4, 4]
    assert repeated["annotated"].all()


def test_runs_that_are_too_short_are_left_out(root: Path) -> None:
    assert [sample["masklet"] for sample in loaded(root, frames=4)] == ["gt_000"]
    (sample,) = loaded(root, frames=4, per="clip")
    assert sample["masklet"] == ["gt_000"]


def test_all_frames_are_taken_where_that_is_asked(root: Path) -> None:
    _, partly = loaded(root, annotated="any")
    assert partly["annotated"].tolist() == [number in (2, 3, 4, 7) for number in range(FRAMES)]
    (sample,) = loaded(root, annotated="any", per="clip")
    assert sample["annotated"].sum(axis=1).tolist() == [10, 4]
    with pytest.raises(ConfigError, match="annotated must be only or any, not 'none'"):
        MatteDataset(root, annotated="none")  # type: ignore[arg-type]


def test_an_export_comes_back_as_it_was(root: Path, tmp_path: Path) -> None:
    exported(root, tmp_path / "export", format="sav_val")
    again = built(tmp_path / "export", tmp_path / "again", **SAV_EVAL)
    before, after = (read_document(stored(place)["a"]) for place in (root, again))
    assert after.frame_indices == before.frame_indices
    assert [m.annotated for m in after.masklets] == [m.annotated for m in before.masklets]
    assert [m.mask for m in after.masklets] == [m.mask for m in before.masklets]
