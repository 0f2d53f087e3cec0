"""Frames of image folders flow: one at a time, each file once, as they are shown."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mav_pipeline.dataset.sample import rgb_frames
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.schema import ClipRef, Frame, LoadedClip
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.sav_eval import SavEval
from mav_pipeline.storage import LocalStorage
from tests.fakes import NATIVE, config, jpeg, pictures, png, stored_rgb, write

from .test_images import PICTURE, by_opencv, oriented, saved
from .test_sav_eval import davis, load, refused, rgb_of, sav_val, source


class Counting(LocalStorage):
    """Counts how often each file is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def read_range(self, name: str, offset: int, count: int, version: str) -> bytes:
        self.reads[name] += 1
        return super().read_range(name, offset, count, version)


def opened(root: Path, rgb: str = "source") -> tuple[LoadedClip, Counter[str]]:
    """The only clip, loaded and not gone through, and the reads of each of its files."""
    run = config({"source.name": "sav_eval", "source.masklets": "gt", "output.rgb": rgb})
    storage = Counting(root)
    found = SavEval(storage, run.source, run.output.rgb)  # type: ignore[arg-type]
    (ref,) = found.discover().clips
    assert isinstance(ref, ClipRef)
    return found.load(ref, NATIVE), storage.reads


@pytest.mark.parametrize("rgb", ["source", "jpeg", "none"])
def test_each_picture_is_read_as_it_is_taken_and_once(tmp_path: Path, rgb: str) -> None:
    sav_val(tmp_path)
    loaded, reads = opened(tmp_path, rgb)
    of_frames = {name for name in reads if name.startswith("JPEGImages")}
    assert of_frames == {"JPEGImages_24fps/sav_1/00000.jpg"}, "its size, from its header"
    assert all(count == 1 for count in reads.values())
    reads.clear()
    frames = iter(loaded.frames)
    next(frames)
    assert sum(reads.values()) == 1
    next(frames)
    assert sum(reads.values()) == (5 if rgb == "source" else 2)
    assert len([*frames]) == 1
    every = range(9) if rgb == "source" else range(0, 9, 4)
    assert reads == {f"JPEGImages_24fps/sav_1/{number:05d}.jpg": 1 for number in every}
    assert len(loaded.rgb()) == {"source": 9, "jpeg": 3, "none": 0}[rgb]


def test_masks_are_read_once_unless_they_are_not_what_they_seemed(tmp_path: Path) -> None:
    davis(tmp_path)
    _, reads = opened(tmp_path)
    assert set(reads.values()) == {1}
    soft = cv2.circle(np.zeros((48, 64), np.uint8), (30, 24), 15, 255, -1, cv2.LINE_AA)
    for number in range(3):
        hard = np.where(soft > 127, 255, 0).astype(np.uint8)
        ids = np.where(soft > 127, number + 1, 0).astype(np.uint8)
        picture = (ids, hard, soft)[number]
        write(tmp_path / "Annotations/480p/bear" / f"{number:05d}.png", png(picture))
    loaded, reads = opened(tmp_path)
    assert max(reads.values()) == 2
    (masklet,) = loaded.clip.masklets
    assert masklet.name == "gt_001"


def test_no_list_of_frames_is_held(tmp_path: Path) -> None:
    sav_val(tmp_path)
    loaded, _ = opened(tmp_path)
    alive: list[weakref.ref[Frame]] = []

    def watched() -> Iterator[int]:
        for frame in loaded.frames:
            alive.append(weakref.ref(frame))
            yield sum(ref() is not None for ref in alive)

    assert max(watched()) <= 2
    gc.collect()
    assert not any(ref() is not None for ref in alive)


def test_a_fault_at_the_last_frame_comes_behind_all_others(tmp_path: Path) -> None:
    davis(tmp_path)
    path = tmp_path / "JPEGImages/480p/bear/00002.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    frames = iter(opened(tmp_path)[0].frames)
    next(frames), next(frames)
    with pytest.raises(InputError, match=r"decode of frame: bear/00002\.jpg cannot be decoded"):
        next(frames)


# as they are shown


def turned_clip(root: Path, tag: int) -> None:
    """A picture and its mask, both turned by a tag; the mask is where the picture is red."""
    write(root / "JPEGImages/a/00000.jpg", oriented("JPEG", tag))
    exif = Image.Exif()
    exif[0x0112] = tag
    mask = np.where(PICTURE[..., 0] > 127, 255, 0).astype(np.uint8)
    write(root / "Annotations/a/00000.png", saved(mask, "PNG", exif=exif))


@pytest.mark.parametrize("tag", range(1, 9))
def test_frames_and_masks_are_upright_and_so_is_what_is_stored(tmp_path: Path, tag: int) -> None:
    turned_clip(tmp_path, tag)
    loaded, _ = opened(tmp_path)
    (frame,) = loaded.frames
    data = (tmp_path / "JPEGImages/a/00000.jpg").read_bytes()
    shown = by_opencv(data)
    np.testing.assert_array_equal(frame, shown)
    assert (loaded.clip.height, loaded.clip.width) == shown.shape[:2]
    (rle,) = loaded.clip.masklets[0].rles
    assert rle is not None
    assert (decode_rle(rle) == (frame[..., 0] > 127)).mean() > 0.98  # a JPEG moves red a little
    members = dict(loaded.rgb())
    assert stored_rgb(opened(tmp_path)[0]) == {"rgb.00000.jpg": data}
    np.testing.assert_array_equal(next(rgb_frames(members, [0])), shown)
    (stored,) = rgb_of(tmp_path, "jpeg").values()
    raw = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    plain = cv2.imdecode(np.frombuffer(stored, np.uint8), raw)[..., ::-1]
    assert plain.shape == shown.shape
    assert (stored == data) == (tag == 1)


def test_a_mask_that_lies_otherwise_than_its_frame_is_refused(tmp_path: Path) -> None:
    turned_clip(tmp_path, 6)
    write(tmp_path / "Annotations/a/00000.png", png(np.ones((48, 64), np.uint8)))
    assert refused(tmp_path).cause == "a/00000.png is 64x48, its frame 48x64"


@pytest.mark.parametrize(("name", "kind"), [("00000.png", "JPEG"), ("00000.jpg", "PNG")])
def test_a_picture_is_stored_by_what_it_holds(tmp_path: Path, name: str, kind: str) -> None:
    data = saved(PICTURE, kind)
    write(tmp_path / "JPEGImages/a" / name, data)
    write(tmp_path / "Annotations/a/00000.png", png(np.ones((48, 64), np.uint8)))
    assert rgb_of(tmp_path) == {f"rgb.00000.{'jpg' if kind == 'JPEG' else 'png'}": data}
    (as_jpeg,) = rgb_of(tmp_path, "jpeg").items()
    assert as_jpeg[0] == "rgb.00000.jpg"
    assert as_jpeg[1].startswith(b"\xff\xd8")


def test_deep_gray_frames_are_scaled(tmp_path: Path) -> None:
    deep = (np.arange(48 * 64, dtype=np.uint16) * 21).reshape(48, 64)
    write(tmp_path / "JPEGImages/a/00000.png", saved(Image.fromarray(deep), "PNG"))
    write(tmp_path / "Annotations/a/00000.png", png(np.ones((48, 64), np.uint8)))
    (frame,) = opened(tmp_path)[0].frames
    np.testing.assert_array_equal(frame, np.rint(deep / 257)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize(("key", "value"), [("max_pixels", 64 * 48 - 1), ("max_pixels", 100)])
def test_a_bomb_among_masks_or_frames_is_skipped(tmp_path: Path, key: str, value: int) -> None:
    davis(tmp_path)
    error = refused(tmp_path, **{key: value})
    assert (error.reason, error.status) == (key, "skipped")
    large = jpeg(pictures(1, 100, 100)[0])
    write(tmp_path / "JPEGImages/480p/bear/00002.jpg", large)
    error = refused(tmp_path, max_pixels=64 * 48)
    assert (error.reason, error.status, error.role) == ("max_pixels", "skipped", "frame")
    write(tmp_path / "Annotations/480p/bear/00001.png", png(np.ones((100, 100), np.uint8)))
    error = refused(tmp_path, max_pixels=64 * 48)
    assert (error.reason, error.status, error.role) == ("max_pixels", "skipped", "mask")


def test_labels_are_configured(tmp_path: Path) -> None:
    davis(tmp_path)
    keys: dict[str, Any] = {"labels": "binary"}
    assert [masklet.name for masklet in load(tmp_path, **keys).masklets] == ["gt_001"]
    assert source(tmp_path, void=4, labels="ids")
