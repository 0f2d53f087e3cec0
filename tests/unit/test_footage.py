"""One's own footage: what ffmpeg and Pillow made comes in, frame by frame and mask by mask."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mav_pipeline.media.masks import decode_rle
from mav_pipeline.planning.plan import select
from mav_pipeline.schema import Clip, ClipRef, LoadedClip, Mask, Masklet, Masks, read_content
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.registry import SOURCES, open_source
from mav_pipeline.storage import spool
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
from tests.ffmpeg import CONTAINERS, decoded, encoded, needs_ffmpeg, turned

pytestmark = needs_ffmpeg

COUNT = 6
MASKS = moving_box(COUNT)


def source(root: Path, rgb: str = "source", **keys: Any) -> Any:
    chosen = {"name": "footage", "masklets": "user", "root": str(root), "min_area": 1, **keys}
    run = config({f"source.{key}": value for key, value in chosen.items()} | {"output.rgb": rgb})
    return open_source(run)


def the_clip(root: Path, **keys: Any) -> tuple[Any, ClipRef]:
    found = source(root, **keys)
    (ref,) = found.discover().clips
    assert ref.problem is None, ref.problem
    return found, ref


def opened(root: Path, rgb: str = "source", **keys: Any) -> LoadedClip:
    """The only clip under ``root``."""
    found, ref = the_clip(root, rgb=rgb, **keys)
    loaded = found.load(ref, NATIVE)
    assert isinstance(loaded, LoadedClip)
    return loaded


def load(root: Path, **keys: Any) -> Clip:
    return opened(root, **keys).clip


def refused(root: Path, **keys: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        for _ in opened(root, **keys).frames:
            pass
    assert str(root) not in str(caught.value)
    return caught.value


def seen(masklet: Masklet) -> list[Mask | None]:
    return [None if rle is None else decode_rle(rle) for rle in masklet.rles]


def assert_masks(masklet: Masklet, masks: Masks | list[Mask | None]) -> None:
    assert masklet.problem is None, masklet.problem
    assert len(masklet.rles) == len(masks)
    for found, mask in zip(seen(masklet), masks, strict=True):
        assert (found is None) == (mask is None)
        if found is not None and mask is not None:
            np.testing.assert_array_equal(found, mask)


def video(root: Path, name: str = "a.mp4", count: int = COUNT, **more: Any) -> Path:
    ending = name.rpartition(".")[2].lower()
    return encoded(root / name, pictures(count), *CONTAINERS[ending], **more)


def write_masks(folder: Path, masks: Masks, form: str = "{:05d}.png", start: int = 0) -> None:
    for number, mask in enumerate(masks, start):
        write(folder / form.format(number), png(mask.astype(np.uint8) * np.uint8(255)))


def gray(masks: Masks) -> NDArray[np.uint8]:
    return masks.astype(np.uint8) * np.uint8(255)


def assert_frames(loaded: LoadedClip) -> None:
    """Whether each frame is the one that its number says."""
    frames = [*loaded.frames]
    assert len(frames) == len(loaded.clip.frame_indices)
    for number, frame in zip(loaded.clip.frame_indices, frames, strict=True):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(frame.astype(int) - level(number)).max() <= 4, number


# videos


@pytest.mark.parametrize("name", ["a.mp4", "a.MOV", "a.mkv", "a.webm", "a.avi", "a.M4V"])
def test_a_video_of_any_container_beside_a_folder_of_masks(tmp_path: Path, name: str) -> None:
    path = video(tmp_path, name)
    write_masks(tmp_path / "a", MASKS)
    loaded = opened(tmp_path)
    clip = loaded.clip
    assert (clip.video_id, clip.width, clip.height, clip.fps) == ("a", WIDTH, HEIGHT, 24.0)
    assert clip.frame_indices == tuple(range(COUNT))
    (masklet,) = clip.masklets
    assert (masklet.name, masklet.id, masklet.kind, masklet.notes) == ("user_001", 1, "user", ())
    assert_masks(masklet, MASKS)
    frames = np.stack([*loaded.frames])
    shown = decoded(path, "rgb24", np.uint8).reshape(frames.shape)
    assert np.abs(frames.astype(int) - shown).max() <= 1
    assert stored_rgb(opened(tmp_path)) == {"rgb.mp4": path.read_bytes()}


def test_a_turned_video_and_masks_as_it_is_shown(tmp_path: Path) -> None:
    quarter = (0, 1 << 16, -1 << 16, 0)
    write(tmp_path / "in" / "a.mov", turned(video(tmp_path / "flat").read_bytes(), quarter))
    masks = moving_box(COUNT, shape=(WIDTH, HEIGHT))
    write_masks(tmp_path / "in" / "a", masks)
    clip = load(tmp_path / "in")
    assert (clip.width, clip.height) == (HEIGHT, WIDTH)
    assert_masks(clip.masklets[0], masks)
    shutil.rmtree(tmp_path / "in" / "a")
    write_masks(tmp_path / "in" / "a", MASKS)
    assert refused(tmp_path / "in").cause == (
        "masks are 64x48, the frames 48x64, which is another shape"
    )


def test_one_folder_an_object(tmp_path: Path) -> None:
    video(tmp_path)
    late = moving_box(COUNT, top=25, side=9)
    late[:2] = False
    write_masks(tmp_path / "a" / "4", MASKS)
    write_masks(tmp_path / "a" / "11", late)
    first, second = load(tmp_path).masklets
    assert (first.name, second.name) == ("user_004", "user_011")
    assert_masks(first, MASKS)
    assert_masks(second, [None, None, *late[2:]])
    assert second.annotated is None


def test_label_images_hold_several_objects(tmp_path: Path) -> None:
    video(tmp_path)
    other = moving_box(COUNT, top=30, side=10)
    for number in range(COUNT):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[MASKS[number]], labels[other[number]] = 3, 9
        write(tmp_path / "a" / f"{number:04d}.png", png(labels, palette=True))
    three, nine = load(tmp_path).masklets
    assert (three.id, nine.id) == (3, 9)
    assert_masks(nine, other)
    assert_masks(three, MASKS & ~other)


def test_jpeg_and_soft_masks_are_cut_at_one_half(tmp_path: Path) -> None:
    video(tmp_path)
    soft = np.zeros((HEIGHT, WIDTH), np.uint8)
    soft[:] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    for number in range(COUNT):
        write(tmp_path / "a" / f"{number}.jpg", jpeg(np.repeat(soft[..., None], 3, axis=2)))
    with Image.open(tmp_path / "a" / "0.jpg") as image:
        expected = np.asarray(image.convert("L")) > 127
    assert_masks(load(tmp_path).masklets[0], [expected] * COUNT)


# numbers


@pytest.mark.parametrize(
    ("form", "start", "notes"),
    [
        ("frame_{:05d}.png", 0, ()),
        ("frame_{:05d}.png", 1, ("by_order",)),
        ("shot.{}.png", 1001, ("by_order",)),
        ("{}_mask.PNG", 0, ()),
        ("m{}.v2.png", 0, ()),
    ],
)
def test_masks_are_matched_by_number_or_else_by_order_and_say_so(
    tmp_path: Path, form: str, start: int, notes: tuple[str, ...]
) -> None:
    video(tmp_path, count=12)
    masks = moving_box(12)
    write_masks(tmp_path / "a", masks, form, start)
    (masklet,) = load(tmp_path).masklets
    assert_masks(masklet, masks)
    assert masklet.notes == notes


def test_names_without_numbers_come_in_natural_order(tmp_path: Path) -> None:
    video(tmp_path, count=3)
    for name, mask in zip(("left", "middle", "right"), MASKS, strict=False):
        write(tmp_path / "a" / f"{name}.png", png(mask.astype(np.uint8)))
    (masklet,) = load(tmp_path).masklets
    assert_masks(masklet, MASKS[:3])
    assert masklet.notes == ("by_order",)
    (tmp_path / "a" / "left.png").unlink()
    assert refused(tmp_path).reason == "frame_count"


def test_frames_without_a_mask_are_not_annotated(tmp_path: Path) -> None:
    video(tmp_path, count=9)
    for number in (0, 5, 6):
        write(tmp_path / "a" / f"{number:03d}.png", png(gray(moving_box(9)[number])))
    loaded = opened(tmp_path)
    (masklet,) = loaded.clip.masklets
    assert loaded.clip.frame_indices == tuple(range(9))
    assert masklet.annotated == tuple(number in (0, 5, 6) for number in range(9))
    assert masklet.visible == masklet.annotated
    assert masklet.notes == ("partly_annotated",)
    assert_frames(loaded)


@pytest.mark.parametrize("first", [0, 1])
def test_masks_at_a_steady_step_are_of_those_frames_alone(tmp_path: Path, first: int) -> None:
    video(tmp_path, count=13)
    masks = moving_box(13)
    for number in range(first, 13, 4):
        write(tmp_path / "a" / f"{number:05d}.png", png(gray(masks[number])))
    loaded = opened(tmp_path)
    assert loaded.clip.frame_indices == tuple(range(first, 13, 4))
    assert_masks(loaded.clip.masklets[0], masks[first::4])
    assert loaded.clip.masklets[0].annotated is None
    assert_frames(loaded)


def test_a_frame_step_says_that_masks_are_of_every_nth_frame(tmp_path: Path) -> None:
    video(tmp_path, count=13)
    masks = moving_box(5)
    write_masks(tmp_path / "a", masks)
    assert refused(tmp_path, frame_step=6).reason == "frame_count"
    loaded = opened(tmp_path, frame_step=3)
    assert loaded.clip.frame_indices == (0, 3, 6, 9, 12)
    assert_masks(loaded.clip.masklets[0], masks)
    assert_frames(loaded)


@pytest.mark.parametrize("stride", [1, 2, 5, 9])
def test_a_stride_thins_frames(tmp_path: Path, stride: int) -> None:
    video(tmp_path)
    write_masks(tmp_path / "a", MASKS)
    found, ref = the_clip(tmp_path, stride=stride)
    loaded = found.load(ref, NATIVE)
    assert loaded.clip.frame_indices == tuple(range(0, COUNT, stride))
    assert_masks(loaded.clip.masklets[0], MASKS[::stride])
    assert_frames(loaded)
    assert found.measure(ref).frames == len(loaded.clip.frame_indices)


def test_objects_on_few_frames_are_matched_by_the_rule_of_all(tmp_path: Path) -> None:
    """Else one of them could be a frame off."""
    video(tmp_path)
    write_masks(tmp_path / "a" / "1", MASKS, "{:03d}.png", start=1)
    write_masks(tmp_path / "a" / "2", MASKS[2:4], "{:03d}.png", start=3)
    first, second = load(tmp_path).masklets
    assert_masks(first, MASKS)
    assert second.annotated == (False, False, True, True, False, False)
    assert_masks(second, [None, None, *MASKS[2:4], None, None])


# mask videos

#: How a mask video may be kept: by name its file and what ffmpeg is told.
KEPT = {
    "limited": ("a_mask.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "4"),
    "full": ("a_mask.mkv", "-c:v", "libx264", "-pix_fmt", "yuvj420p", "-crf", "4"),
    "gray": ("a.mask.mkv", "-c:v", "ffv1", "-pix_fmt", "gray"),
    "rgb": ("a_masks.avi", "-c:v", "png", "-pix_fmt", "rgb24"),
    "webm": ("a-mask.webm", "-c:v", "libvpx-vp9", "-lossless", "1", "-pix_fmt", "yuv420p"),
}


@pytest.mark.parametrize("kept", KEPT)
def test_a_mask_video_is_in_where_luma_is_above_half(tmp_path: Path, kept: str) -> None:
    video(tmp_path)
    ramp = np.repeat(np.arange(96, 96 + WIDTH, dtype=np.uint8)[None], HEIGHT, axis=0)
    frames = np.stack([ramp, ramp[:, ::-1], *gray(MASKS)[2:]])
    name, *options = KEPT[kept]
    path = encoded(tmp_path / name, frames, *options)
    shown = decoded(path, "gray", np.uint8, "-vf", "scale=out_range=full").reshape(frames.shape)
    (masklet,) = load(tmp_path).masklets
    assert (masklet.name, masklet.notes) == ("user_001", ())
    for found, picture in zip(seen(masklet), shown, strict=True):
        assert found is not None
        differs = found != (picture > 127)
        assert not differs[np.abs(picture.astype(int) - 127.5) > 1.5].any()


def test_one_mask_video_an_object(tmp_path: Path) -> None:
    video(tmp_path)
    other = moving_box(COUNT, top=30, side=10)
    for name, masks in (("a_mask_2.mkv", MASKS), ("a_mask_5.mkv", other)):
        encoded(tmp_path / name, gray(masks), "-c:v", "ffv1")
    second, fifth = load(tmp_path).masklets
    assert (second.name, fifth.name) == ("user_002", "user_005")
    assert_masks(second, MASKS)
    assert_masks(fifth, other)


def test_a_damaged_mask_video_costs_its_object_alone(tmp_path: Path) -> None:
    video(tmp_path)
    encoded(tmp_path / "a_mask_1.mkv", gray(MASKS), "-c:v", "ffv1")
    write(tmp_path / "a_mask_2.mp4", b"no video")
    good, bad = load(tmp_path).masklets
    assert_masks(good, MASKS)
    assert bad.problem is not None
    assert (bad.id, bad.problem.reason) == (2, "corrupt")
    assert bad.problem.message.startswith("masks of mask: ")
    assert "a_mask_2.mp4: " in bad.problem.message
    (tmp_path / "a_mask_1.mkv").unlink()
    assert refused(tmp_path).reason == "corrupt"


@pytest.mark.parametrize(("rate", "times"), [("12", 2), ("8", 3)])
def test_a_slower_mask_video_goes_by_time(tmp_path: Path, rate: str, times: int) -> None:
    video(tmp_path, count=12)
    masks = moving_box(12)[::times]
    encoded(tmp_path / "a_mask.mkv", gray(masks), "-c:v", "ffv1", rate=rate)
    loaded = opened(tmp_path)
    assert loaded.clip.frame_indices == tuple(range(0, 12, times))
    assert_masks(loaded.clip.masklets[0], masks)
    assert_frames(loaded)


def test_a_faster_mask_video_goes_by_time(tmp_path: Path) -> None:
    video(tmp_path)
    masks = moving_box(2 * COUNT)
    encoded(tmp_path / "a_mask.mkv", gray(masks), "-c:v", "ffv1", rate="48")
    assert_masks(load(tmp_path).masklets[0], masks[::2])


def test_a_mask_video_that_does_not_fit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    video(tmp_path)
    encoded(tmp_path / "a_mask.mkv", gray(MASKS[:4]), "-c:v", "ffv1", rate="25")
    error = refused(tmp_path)
    assert (error.reason, error.role) == ("frame_count", "mask")
    assert "the mask video has 4 frames at 25 a second, the video 6 at 24" in error.cause


def test_as_many_masks_at_another_rate_go_by_order_and_say_so(tmp_path: Path) -> None:
    video(tmp_path, rate="30000/1001")
    encoded(tmp_path / "a_mask.mkv", gray(MASKS), "-c:v", "ffv1", rate="30")
    (masklet,) = load(tmp_path).masklets
    assert_masks(masklet, MASKS)
    assert masklet.notes == ("by_order",)


@pytest.mark.parametrize("kept", ["gray", "rgb"])
def test_labels_of_a_lossless_video_are_read_if_that_is_said(tmp_path: Path, kept: str) -> None:
    video(tmp_path)
    other = moving_box(COUNT, top=30, side=10)
    labels = (MASKS & ~other) * np.uint8(2) + other * np.uint8(7)
    name, *options = KEPT[kept]
    encoded(tmp_path / name, labels, *options)
    two, seven = load(tmp_path, labels="ids").masklets
    assert (two.id, seven.id) == (2, 7)
    assert_masks(seven, other)


def test_labels_of_a_lossy_video_are_refused(tmp_path: Path) -> None:
    video(tmp_path)
    encoded(tmp_path / KEPT["limited"][0], gray(MASKS), *KEPT["limited"][1:])
    assert refused(tmp_path, labels="ids").reason == "mask_labels"


# sizes


@pytest.mark.parametrize("kept", ["video", "pictures"])
@pytest.mark.parametrize("size", [(24, 32), (96, 128), (36, 48)])
def test_masks_of_another_size_are_scaled_and_say_so(
    tmp_path: Path, kept: str, size: tuple[int, int]
) -> None:
    video(tmp_path)
    scale = size[0] / HEIGHT
    masks = np.zeros((COUNT, *size), np.bool_)
    masks[:, : size[0] // 2, : size[1] // 2] = True
    if kept == "video":
        encoded(tmp_path / "a_mask.mkv", gray(masks), "-c:v", "ffv1")
    else:
        write_masks(tmp_path / "a", masks)
    (masklet,) = load(tmp_path).masklets
    assert masklet.notes == ("mask_scaled",)
    expected = np.zeros((HEIGHT, WIDTH), np.bool_)
    expected[: HEIGHT // 2, : WIDTH // 2] = True
    assert scale != 1
    assert_masks(masklet, [expected] * COUNT)


def test_masks_of_another_shape_are_refused_with_both_sizes(tmp_path: Path) -> None:
    video(tmp_path)
    write_masks(tmp_path / "a", moving_box(COUNT, shape=(48, 48)))
    error = refused(tmp_path)
    assert (error.reason, error.cause) == (
        "mask_size",
        "masks are 48x48, the frames 64x48, which is another shape",
    )


def test_masks_that_change_their_size_are_refused(tmp_path: Path) -> None:
    video(tmp_path)
    write_masks(tmp_path / "a", MASKS)
    write(tmp_path / "a" / "00003.png", png(np.ones((24, 32), np.uint8)))
    error = refused(tmp_path)
    assert (error.reason, error.cause) == (
        "mask_size",
        "a/00003.png is 32x24, the first mask 64x48",
    )


# folders of frames


def write_frames(folder: Path, form: str, start: int, count: int = COUNT) -> None:
    for number, picture in enumerate(pictures(start + count)[start:], start):
        data = png(picture) if form.endswith(".png") else jpeg(picture)
        write(folder / form.format(number), data)


@pytest.mark.parametrize("form", ["{:05d}.jpg", "frame_{:05d}.JPEG", "shot.{}.png"])
@pytest.mark.parametrize("start", [0, 1, 17])
def test_frames_keep_their_numbers(tmp_path: Path, form: str, start: int) -> None:
    write_frames(tmp_path / "a", form, start)
    write_masks(tmp_path / "a_mask", MASKS, "m_{:04d}.png", start)
    loaded = opened(tmp_path, fps=30.0)
    numbers = range(start, start + COUNT)
    assert (loaded.clip.fps, loaded.clip.frame_indices) == (30.0, tuple(numbers))
    assert_masks(loaded.clip.masklets[0], MASKS)
    assert_frames(loaded)
    kind = "png" if form.endswith("png") else "jpg"
    stored = {
        f"rgb.{number:05d}.{kind}": (tmp_path / "a" / form.format(number)).read_bytes()
        for number in numbers
    }
    assert stored_rgb(opened(tmp_path)) == stored


def test_masks_of_frames_that_are_numbered_otherwise_go_by_order(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", "{:05d}.jpg", 1)
    write_masks(tmp_path / "a_mask", MASKS)
    loaded = opened(tmp_path)
    (masklet,) = loaded.clip.masklets
    assert loaded.clip.frame_indices == tuple(range(1, COUNT + 1))
    assert_masks(masklet, MASKS)
    assert masklet.notes == ("by_order",)
    (tmp_path / "a_mask" / "00004.png").unlink()
    (tmp_path / "a_mask" / "00003.png").unlink()
    said = "4 masks, numbered 0 to 5, for 6 frames, numbered 1 to 6: neither numbers nor counts"
    assert said in refused(tmp_path).cause


def test_a_mask_video_beside_a_folder_of_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", "{:05d}.jpg", 1)
    encoded(tmp_path / "a_mask.mkv", gray(MASKS), "-c:v", "ffv1")
    clip = load(tmp_path)
    assert clip.frame_indices == tuple(range(1, COUNT + 1))
    assert_masks(clip.masklets[0], MASKS)


def test_pictures_of_two_sizes_are_refused_at_the_frame(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", "{:05d}.png", 0)
    write(tmp_path / "a" / "00004.png", png(pictures(1, 40, 64)[0]))
    write_masks(tmp_path / "a_mask", MASKS)
    error = refused(tmp_path)
    assert (error.reason, error.cause) == ("size_changes", "frame 4 is 64x40, the first 64x48")


# guards, and what else is the same as in other sources


def test_there_are_no_bounds_of_bytes_and_frames_unless_set(tmp_path: Path) -> None:
    video(tmp_path)
    write_masks(tmp_path / "a", MASKS)
    run = config({"source.name": "footage", "source.masklets": "user"})
    assert (run.source.max_bytes, run.source.max_frames) == (None, None)
    assert refused(tmp_path, max_frames=COUNT - 1).reason == "max_frames"
    assert refused(tmp_path, max_bytes=100).reason == "max_bytes"
    assert refused(tmp_path, max_pixels=100).reason == "max_pixels"


def test_a_plan_measures_by_the_first_masks(tmp_path: Path) -> None:
    video(tmp_path)
    write_masks(tmp_path / "a" / "1", MASKS)
    write_masks(tmp_path / "a" / "2", MASKS)
    found, ref = the_clip(tmp_path)
    measure = found.measure(ref)
    assert (measure.masklets, measure.frames, measure.alpha_frames) == (2, COUNT, 2 * COUNT)
    assert measure.pixels == HEIGHT * WIDTH
    shutil.rmtree(tmp_path / "a")
    encoded(tmp_path / "a_mask.mkv", gray(MASKS), "-c:v", "ffv1")
    found, ref = the_clip(tmp_path)
    assert found.measure(ref).alpha_frames == COUNT


def test_a_video_that_breaks_off_raises_at_its_last_frames(tmp_path: Path) -> None:
    path = video(tmp_path, "a.avi", count=40)
    write_masks(tmp_path / "a", moving_box(40))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    assert refused(tmp_path).reason in ("frame_count", "corrupt")


def test_what_is_large_is_spooled_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path)
    encoded(tmp_path / "a_mask.mkv", gray(MASKS), "-c:v", "ffv1")
    whole = opened(tmp_path)
    monkeypatch.setattr(spool, "HELD", 100)
    loaded = opened(tmp_path)
    assert loaded.clip == whole.clip
    ((name, content),) = loaded.rgb()
    assert not isinstance(content, bytes)
    assert (name, read_content(content)) == ("rgb.mp4", path.read_bytes())
    for one, other in zip(loaded.frames, whole.frames, strict=True):
        np.testing.assert_array_equal(one, other)


def test_frames_and_masks_come_one_by_one(tmp_path: Path) -> None:
    """Nothing but run lengths is held of the masks, nothing of the frames but the one given."""
    video(tmp_path, count=20)
    write_masks(tmp_path / "a", moving_box(20))
    loaded = opened(tmp_path)
    held = []
    for frame in loaded.frames:
        held.append(weakref.ref(frame))
        del frame
        assert sum(ref() is not None for ref in held) <= 1


def test_a_tar_gives_the_clips_that_its_folder_gives(tmp_path: Path) -> None:
    root = tmp_path / "in"
    video(root / "x", "my clip.mov")
    encoded(root / "x" / "my clip_mask_2.mkv", gray(MASKS), "-c:v", "ffv1")
    write_frames(root / "image" / "b", "{:04d}.jpg", 0)
    write_masks(root / "mask" / "b", MASKS)
    (tmp_path / "tarred").mkdir()
    with tarfile.open(tmp_path / "tarred" / "t.tar", "w") as tar:
        tar.add(root, arcname=".")
    loose, tarred = source(root), source(tmp_path / "tarred")
    expected, found = loose.discover().clips, tarred.discover().clips
    assert [clip.own for clip in found] == [clip.own for clip in expected] == ["b", "my clip"]
    for before, now in zip(expected, found, strict=True):
        assert (now.video_id, now.problem) == (before.video_id, None)
        one, other = loose.load(before, NATIVE), tarred.load(now, NATIVE)
        assert one.clip == other.clip
        assert stored_rgb(one) == stored_rgb(other)


def test_a_name_that_is_no_utf8_is_a_row_that_says_so(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    video(tmp_path, "x.mp4").rename(tmp_path / f"{name}.mp4")
    write_masks(tmp_path / name, MASKS)
    (clip,) = select(source(tmp_path).discover().clips)
    assert clip.problem is not None
    assert clip.problem.reason == "bad_id"
    assert "no UTF-8" in clip.problem.message
    clip.problem.message.encode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of each kind, read-only."""
    root = tmp_path_factory.mktemp("whole")
    video(root)
    encoded(root / "a_mask.mkv", gray(MASKS), "-c:v", "ffv1")
    write_masks(root / "b_mask", MASKS)
    write_frames(root / "b", "{:04d}.jpg", 0)
    return root


@given(st.data())
@settings(max_examples=60)
def test_strange_input_raises_what_becomes_a_row(whole: Path, data: st.DataObject) -> None:
    names = ["a.mp4", "a_mask.mkv", "b/0000.jpg", "b/0003.jpg", "b_mask/00002.png"]
    name = data.draw(st.sampled_from(names))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "in"
        shutil.copytree(whole, root)
        path = root / name
        before = path.read_bytes()
        at = data.draw(st.integers(0, len(before)))
        put = data.draw(st.binary(max_size=20))
        after = data.draw(
            st.sampled_from([before[:at], before[:at] + put + before[at + 20 :], put])
        )
        path.write_bytes(after)
        found = source(root)
        for ref in found.discover().clips:
            for act in (found.measure, _gone_through(found)):
                with contextlib.suppress(InputError):
                    act(ref)


def _gone_through(found: Any) -> Callable[[ClipRef], None]:
    def load(ref: ClipRef) -> None:
        loaded = found.load(ref, NATIVE)
        for _ in loaded.frames:
            pass
        loaded.rgb()

    return load


def test_its_kind_owes_nothing_to_others() -> None:
    kind = SOURCES.get("footage")
    assert (kind.licence, kind.cites, kind.tags) == (None, (), ())
    assert "own footage" in kind.credit
