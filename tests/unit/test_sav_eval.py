"""Image sources: one PNG an object, palettes, gray, and each layout that people have on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mav_pipeline.media.masks import decode_rle
from mav_pipeline.planning.plan import select
from mav_pipeline.schema import Clip, ClipRef, Frame, LoadedClip, Mask
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.registry import open_source
from tests.fakes import (
    HEIGHT,
    NATIVE,
    WIDTH,
    config,
    jpeg,
    level,
    moving_box,
    pictures,
    png,
    stored_rgb,
    write,
)

FIRST, SECOND = moving_box(3), moving_box(3, top=30, side=12)


def source(root: Path, rgb: str = "source", **keys: Any) -> Any:
    chosen = {"name": "sav_eval", "masklets": "gt", "root": str(root), **keys}
    run = config({f"source.{key}": value for key, value in chosen.items()} | {"output.rgb": rgb})
    return open_source(run)


def discover(root: Path) -> list[ClipRef]:
    return list(source(root).discover().clips)


def load(root: Path, rgb: str = "source", **keys: Any) -> Clip:
    found = source(root, rgb, **keys)
    (ref,) = found.discover().clips
    assert ref.problem is None, ref.problem
    loaded = found.load(ref, NATIVE)
    assert isinstance(loaded, LoadedClip)
    return loaded.clip


def rgb_of(root: Path, rgb: str = "source") -> dict[str, bytes]:
    """What a sample of the only clip under ``root`` stores as RGB."""
    found = source(root, rgb)
    return stored_rgb(found.load(found.discover().clips[0], NATIVE))


def frames(root: Path) -> list[Frame]:
    """The annotated frames of the only clip under ``root``."""
    found = source(root)
    return [*found.load(found.discover().clips[0], NATIVE).frames]


def refused(root: Path, **keys: Any) -> InputError:
    """What is raised as a clip is loaded and gone through."""
    found = source(root, **keys)
    (ref,) = found.discover().clips
    assert ref.problem is None, ref.problem
    with pytest.raises(InputError) as caught:
        stored_rgb(found.load(ref, NATIVE))
    assert str(root) not in str(caught.value)
    return caught.value


def write_frames(folder: Path, numbers: range, suffix: str = ".jpg") -> None:
    for number, picture in zip(
        numbers, pictures(numbers.stop)[numbers.start :: numbers.step], strict=True
    ):
        data = jpeg(picture) if suffix == ".jpg" else png(picture)
        write(folder / f"{number:05d}{suffix}", data)


def sav_val(root: Path, video_id: str = "sav_1") -> None:
    """Frames at 24 fps, annotations at 6, one folder an object; the second appears late."""
    write_frames(root / "JPEGImages_24fps" / video_id, range(9))
    masks = root / "Annotations_6fps" / video_id
    for index in range(3):
        write(masks / "000" / f"{index * 4:05d}.png", png(FIRST[index].astype(np.uint8) * 255))
        if index:
            write(masks / "003" / f"{index * 4:05d}.png", png(SECOND[index].astype(np.uint8)))


def labels(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[FIRST[index]] = 1
    found[SECOND[index]] = 4
    return found


def davis(root: Path, name: str = "bear", palette: bool = True, void: bool = False) -> None:
    write_frames(root / "JPEGImages" / "480p" / name, range(3))
    for index in range(3):
        found = labels(index)
        if void:
            found[0] = 255
        path = root / "Annotations" / "480p" / name / f"{index:05d}.png"
        write(path, png(found, palette=palette))


def assert_masks(clip: Clip, expected: dict[str, list[Mask | None]]) -> None:
    assert [masklet.name for masklet in clip.masklets] == list(expected)
    for masklet, masks in zip(clip.masklets, expected.values(), strict=True):
        assert masklet.kind == "gt"
        assert masklet.problem is None
        assert masklet.visible == tuple(mask is not None for mask in masks)
        for found, mask in zip(masklet.rles, masks, strict=True):
            if found is not None and mask is not None:
                np.testing.assert_array_equal(decode_rle(found), mask)


# layouts


def test_sav_val_has_one_png_an_object_on_every_fourth_frame(tmp_path: Path) -> None:
    sav_val(tmp_path)
    clip = load(tmp_path)
    assert (clip.video_id, clip.frame_indices, clip.fps) == ("sav_1", (0, 4, 8), 24.0)
    assert (clip.width, clip.height, clip.environment) == (WIDTH, HEIGHT, None)
    assert_masks(clip, {"gt_000": [*FIRST], "gt_003": [None, *SECOND[1:]]})
    assert [*rgb_of(tmp_path)] == [f"rgb.{n:05d}.jpg" for n in range(9)]
    for index, frame in zip(clip.frame_indices, frames(tmp_path), strict=True):
        assert np.abs(frame.astype(int) - level(index)).max() <= 3


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_stride_thins_annotated_frames(tmp_path: Path, stride: int) -> None:
    sav_val(tmp_path)
    clip = load(tmp_path, stride=stride)
    assert clip.frame_indices == (0, 4, 8)[::stride]
    assert [masklet.rles for masklet in clip.masklets] == [
        masklet.rles[::stride] for masklet in load(tmp_path).masklets
    ]
    found = source(tmp_path, stride=stride)
    (ref,) = found.discover().clips
    assert len([*found.load(ref, NATIVE).frames]) == len(clip.frame_indices)
    assert found.measure(ref).frames == len(clip.frame_indices)


def test_objects_of_sav_val_may_overlap(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages_24fps" / "a", range(1))
    for number in (0, 1):
        path = tmp_path / "Annotations_6fps" / "a" / f"{number:03d}" / "00000.png"
        write(path, png(FIRST[0].astype(np.uint8)))
    assert_masks(load(tmp_path), {"gt_000": [FIRST[0]], "gt_001": [FIRST[0]]})


@pytest.mark.parametrize("void", [False, True])
def test_davis_has_palette_labels_and_a_void_that_is_no_object(tmp_path: Path, void: bool) -> None:
    davis(tmp_path, void=void)
    clip = load(tmp_path)
    assert clip.video_id == "bear"
    assert clip.frame_indices == (0, 1, 2)
    assert_masks(clip, {"gt_001": [*FIRST], "gt_004": [*SECOND]})


def test_davis_2016_is_gray_with_one_object(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "480p" / "bear", range(3))
    for index in range(3):
        path = tmp_path / "Annotations" / "480p" / "bear" / f"{index:05d}.png"
        write(path, png(FIRST[index].astype(np.uint8) * 255))
    assert_masks(load(tmp_path), {"gt_001": [*FIRST]})


def test_youtube_vos_numbers_every_fifth_frame(tmp_path: Path) -> None:
    write_frames(tmp_path / "valid" / "JPEGImages" / "003234408d", range(0, 15, 5))
    for index in range(3):
        path = tmp_path / "valid" / "Annotations" / "003234408d" / f"{index * 5:05d}.png"
        write(path, png(labels(index), palette=True))
    write(tmp_path / "valid" / "meta.json", "{}")
    clip = load(tmp_path, fps=30)
    assert (clip.video_id, clip.frame_indices, clip.fps) == ("003234408d", (0, 5, 10), 30.0)
    assert_masks(clip, {"gt_001": [*FIRST], "gt_004": [*SECOND]})


def test_frames_may_be_png_and_are_stored_as_they_are(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(1), ".png")
    write(tmp_path / "Annotations" / "a" / "00000.png", png(labels(0), palette=True))
    np.testing.assert_array_equal(frames(tmp_path)[0], pictures(1)[0])
    data = (tmp_path / "JPEGImages" / "a" / "00000.png").read_bytes()
    assert rgb_of(tmp_path) == {"rgb.00000.png": data}
    ((name, data),) = rgb_of(tmp_path, "jpeg").items()
    assert (name, data[:2]) == ("rgb.00000.jpg", b"\xff\xd8")


def test_rgb_is_every_frame_or_the_annotated_ones_or_none(tmp_path: Path) -> None:
    sav_val(tmp_path)
    names = [*rgb_of(tmp_path, "jpeg")]
    assert names == ["rgb.00000.jpg", "rgb.00004.jpg", "rgb.00008.jpg"]
    assert rgb_of(tmp_path, "none") == {}


def test_several_clips_come_in_id_order_wherever_they_lie(tmp_path: Path) -> None:
    davis(tmp_path / "z", "ant")
    sav_val(tmp_path / "a", "sav_1")
    davis(tmp_path / "a", "bear")
    found = discover(tmp_path)
    assert [ref.video_id for ref in found] == ["ant", "bear", "sav_1"]
    assert all(ref.problem is None for ref in found)
    davis(tmp_path / "b", "bear")
    problems = [ref.problem and ref.problem.reason for ref in select(discover(tmp_path))]
    assert problems == [None, None, "duplicate_id", None]


# what is wrong


def test_the_last_annotated_frame_may_lack_its_image_and_no_other(tmp_path: Path) -> None:
    sav_val(tmp_path)
    folder = tmp_path / "JPEGImages_24fps" / "sav_1"
    (folder / "00008.jpg").unlink()
    clip = load(tmp_path)
    assert clip.frame_indices == (0, 4)
    assert_masks(clip, {"gt_000": [*FIRST[:2]], "gt_003": [None, SECOND[1]]})
    (folder / "00004.jpg").unlink()
    error = refused(tmp_path)
    assert (error.role, error.reason) == ("mask", "frame_count")
    assert "[4, 8]" in error.cause


def test_frames_without_annotation_are_skipped_and_masks_without_frames_fail(
    tmp_path: Path,
) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(1))
    write(tmp_path / "Annotations" / "b" / "00000.png", png(labels(0)))
    problems = [
        (ref.problem.status, ref.problem.reason) for ref in discover(tmp_path) if ref.problem
    ]
    assert problems == [("skipped", "no_annotation"), ("failed", "no_video")]


@pytest.mark.parametrize("name", ["frame_1.jpg", "x.jpg", "-0001.jpg"])
def test_odd_names_fail_the_clip_and_are_named(tmp_path: Path, name: str) -> None:
    davis(tmp_path)
    write(tmp_path / "JPEGImages" / "480p" / "bear" / name, jpeg(pictures(1)[0]))
    (found,) = discover(tmp_path)
    assert found.problem is not None
    assert (found.problem.status, found.problem.reason) == ("failed", "frame_name")
    assert f"bear/{name}" in found.problem.message


def test_an_object_folder_without_a_number_fails_the_clip(tmp_path: Path) -> None:
    sav_val(tmp_path)
    write(tmp_path / "Annotations_6fps" / "sav_1" / "dog" / "00000.png", png(labels(0)))
    (found,) = discover(tmp_path)
    assert found.problem is not None
    assert found.problem.reason == "frame_name"


def test_hidden_files_and_other_files_are_ignored(tmp_path: Path) -> None:
    davis(tmp_path)
    write(tmp_path / "JPEGImages" / "480p" / "bear" / "._00000.jpg", b"a Mac's")
    write(tmp_path / "JPEGImages" / "480p" / "bear" / "Thumbs.db", b"")
    write(tmp_path / "ImageSets" / "2017" / "val.txt", "bear")
    assert load(tmp_path).frame_indices == (0, 1, 2)


def test_a_broken_object_png_fails_its_masklet_and_no_other(tmp_path: Path) -> None:
    sav_val(tmp_path)
    masks = tmp_path / "Annotations_6fps" / "sav_1"
    (masks / "003" / "00004.png").write_bytes(b"no png")
    first, second = load(tmp_path).masklets
    assert first.problem is None
    assert second.problem is not None
    assert (second.problem.status, second.problem.reason) == ("failed", "mask_png")
    (masks / "003" / "00004.png").write_bytes(png(np.ones((WIDTH, HEIGHT), np.uint8)))
    second = load(tmp_path).masklets[1]
    assert second.problem is not None
    assert second.problem.reason == "mask_size"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "mask_png"),
        (b"no png", "mask_png"),
        (png(labels(0)), "mask_labels"),
        (png(np.zeros((WIDTH, HEIGHT), np.uint8)), "mask_size"),
    ],
)
def test_a_broken_palette_png_fails_the_clip(tmp_path: Path, data: bytes, reason: str) -> None:
    davis(tmp_path)
    write(tmp_path / "Annotations" / "480p" / "bear" / "00001.png", data)
    error = refused(tmp_path)
    assert (error.role, error.reason, error.status) == ("mask", reason, "failed")


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg(pictures(1)[0])[:200]])
def test_a_broken_frame_is_named(tmp_path: Path, data: bytes) -> None:
    davis(tmp_path)
    write(tmp_path / "JPEGImages" / "480p" / "bear" / "00001.jpg", data)
    error = refused(tmp_path)
    assert (error.role, error.stage, error.reason) == ("frame", "decode", "corrupt")
    assert "bear/00001.jpg" in error.cause


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    davis(tmp_path)
    path = tmp_path / "JPEGImages" / "480p" / "bear" / "00002.jpg"
    write(path, jpeg(pictures(1, 50, 60)[0]))
    error = refused(tmp_path)
    assert error.reason == "size_changes"
    assert "frame 2 is 60x50, the first 64x48" in error.cause


@pytest.mark.parametrize(
    ("guard", "value"), [("max_pixels", 3071), ("max_frames", 2), ("max_bytes", 99)]
)
def test_guards_skip(tmp_path: Path, guard: str, value: int) -> None:
    davis(tmp_path)
    error = refused(tmp_path, **{guard: value})
    assert (error.reason, error.status) == (guard, "skipped")
    assert f"source.{guard}" in error.cause


def test_empty_and_tiny_objects_are_skipped(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(1))
    speck = np.zeros((HEIGHT, WIDTH), np.uint8)
    speck[:7, :9] = 1
    for number, mask in enumerate((speck * 0, speck, labels(0))):
        path = tmp_path / "Annotations" / "a" / f"{number:03d}" / "00000.png"
        write(path, png(mask))
    masklets = load(tmp_path).masklets
    problems = [masklet.problem and masklet.problem.reason for masklet in masklets]
    assert problems == ["empty", "speck", None]


def test_palettes_without_a_label_have_no_masklets(tmp_path: Path) -> None:
    write_frames(tmp_path / "JPEGImages" / "a", range(1))
    write(tmp_path / "Annotations" / "a" / "00000.png", png(labels(0) * np.uint8(0)))
    assert load(tmp_path).masklets == ()


def test_a_measure_counts_objects_and_their_pngs(tmp_path: Path) -> None:
    sav_val(tmp_path)
    found = source(tmp_path)
    measure = found.measure(found.discover().clips[0])
    assert (measure.masklets, measure.alpha_frames, measure.pixels) == (2, 5, WIDTH * HEIGHT)


@pytest.mark.parametrize("void", [False, True])
def test_a_measure_counts_the_objects_of_a_palette(tmp_path: Path, void: bool) -> None:
    davis(tmp_path, void=void)
    found = source(tmp_path)
    (ref,) = found.discover().clips
    masklets = found.load(ref, NATIVE).clip.masklets
    measure = found.measure(ref)
    assert measure.masklets == len(masklets) == 2
    assert measure.alpha_frames == 6


@pytest.mark.parametrize(("key", "value"), [("max_frames", 2), ("max_pixels", 9), ("max_bytes", 9)])
def test_a_measure_keeps_the_guards(tmp_path: Path, key: str, value: int) -> None:
    sav_val(tmp_path)
    found = source(tmp_path, **{key: value})
    (ref,) = found.discover().clips
    with pytest.raises(InputError) as caught:
        found.measure(ref)
    assert (caught.value.status, caught.value.reason) == ("skipped", key)
