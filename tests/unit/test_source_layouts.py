"""The table of layouts in ``docs/format.md``: each has an example that is read, and one refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from mav_pipeline.schema import Problem
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.interfaces import Source
from mav_pipeline.schema.reasons import SLUGS
from mav_pipeline.sources.registry import SOURCES, open_source
from tests.fakes import (
    NATIVE,
    config,
    encode_mp4,
    jpeg,
    moving_box,
    pictures,
    png,
    stored_rgb,
    write,
    write_clip,
)

COUNT = 4
MASKS = moving_box(COUNT)
GRAY = MASKS.astype(np.uint8) * np.uint8(255)
LAYOUTS = {f"{kind.name} {one.name}": one for kind in SOURCES for one in kind.layouts}


def masks(folder: Path) -> None:
    for number, mask in enumerate(GRAY):
        write(folder / f"{number:05d}.png", png(mask))


def frames(folder: Path) -> None:
    for number, picture in enumerate(pictures(COUNT)):
        write(folder / f"{number:05d}.jpg", jpeg(picture))


def video(path: Path) -> None:
    write(path, encode_mp4(pictures(COUNT)))


def mask_video(path: Path) -> None:
    write(path, encode_mp4(np.repeat(GRAY[..., None], 3, axis=3)))


def _sav_train(root: Path) -> None:
    write_clip(root, "a")


def _objects(root: Path) -> None:
    frames(root / "JPEGImages/a")
    masks(root / "Annotations/a/003")


def _labels(root: Path) -> None:
    frames(root / "JPEGImages/a")
    masks(root / "Annotations/a")


def _video_folder(root: Path) -> None:
    video(root / "a.mp4")
    masks(root / "a")


def _video_objects(root: Path) -> None:
    video(root / "a.mp4")
    masks(root / "a/7")
    masks(root / "a/9")


def _video_masks(root: Path) -> None:
    video(root / "a.mp4")
    mask_video(root / "a_mask_1.mp4")
    mask_video(root / "a_mask_2.mp4")


def _frames(root: Path) -> None:
    frames(root / "a")
    masks(root / "a_mask")


def _videomama(root: Path) -> None:
    frames(root / "image/a")
    masks(root / "mask/a")


READ: Mapping[str, Callable[[Path], None]] = {
    "sav_train json": _sav_train,
    "sav_eval objects": _objects,
    "sav_eval labels": _labels,
    "footage video_folder": _video_folder,
    "footage video_objects": _video_objects,
    "footage video_masks": _video_masks,
    "footage frames": _frames,
    "footage videomama": _videomama,
}


def _said(root: Path) -> None:
    said = '{"video_id": "a", "fps": 24, "environment": null, "frame_indices": [0, 4]}'
    write(root / "about/a.json", said)


def _removed(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def _moved(name: str, to: str) -> Callable[[Path], None]:
    def move(root: Path) -> None:
        (root / name).rename(root / to)

    return move


def _copied(name: str, to: str) -> Callable[[Path], None]:
    def copy(root: Path) -> None:
        shutil.copy(root / name, root / to)

    return copy


def _shifted(root: Path) -> None:
    for number in reversed(range(COUNT)):
        folder = root / "Annotations/a/003"
        (folder / f"{number:05d}.png").rename(folder / f"{number + 1:05d}.png")


def _noise(root: Path) -> None:
    """Pictures of colours, which mean nothing as labels."""
    random = np.random.default_rng(0)
    for number in range(COUNT):
        noise = random.integers(1, 255, (48, 64, 3), np.uint8)
        write(root / f"Annotations/a/{number:05d}.png", png(noise))


def _longer(root: Path) -> None:
    write(root / "a.mp4", encode_mp4(pictures(COUNT * 3)))


#: By layout the changes that have it refused, by reason.
REFUSED: Mapping[str, Mapping[str, Callable[[Path], None]]] = {
    "sav_train json": {
        "no_video": _moved("a.mp4", "a.mov"),
        "no_annotation": _removed("a_manual.json"),
    },
    "sav_eval objects": {
        "frame_name": _moved("Annotations/a/003/00001.png", "Annotations/a/003/x.png"),
        "two_files": _copied("Annotations/a/003/00001.png", "Annotations/a/003/1.png"),
        "frame_shift": _shifted,
    },
    "sav_eval labels": {"mask_labels": _noise},
    "footage video_folder": {"two_files": _copied("a.mp4", "a.mov")},
    "footage video_objects": {"two_files": _copied("a/7/00000.png", "a/00000.png")},
    "footage video_masks": {"frame_count": _longer},
    "footage frames": {
        "frame_name": _moved("a/00001.jpg", "a/thumb.jpg"),
        "two_files": _copied("a/00001.jpg", "a/1.jpg"),
    },
    "footage videomama": {"json": _said},
}
CASES = [(name, reason) for name, cases in REFUSED.items() for reason in cases]


def test_every_layout_has_its_examples() -> None:
    assert LAYOUTS.keys() == READ.keys() == REFUSED.keys()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read(name: str, tmp_path: Path) -> None:
    READ[name](tmp_path)
    source = opened(name, tmp_path)
    found = source.discover()
    (ref,) = found.clips
    assert (ref.video_id, ref.problem) == ("a", None)
    assert found.passed_over.counts == {}
    loaded = source.load(ref, NATIVE)
    assert stored_rgb(loaded)
    assert loaded.clip.masklets
    for masklet in loaded.clip.masklets:
        assert masklet.problem is None
        assert all(masklet.visible)
    assert source.measure(ref).masklets == len(loaded.clip.masklets)


@pytest.mark.parametrize(("name", "reason"), CASES)
def test_a_layout_is_refused_for_the_reasons_that_it_names(
    name: str, reason: str, tmp_path: Path
) -> None:
    READ[name](tmp_path)
    REFUSED[name][reason](tmp_path)
    assert problem(name, tmp_path).reason == reason


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_names_reasons_of_the_table_and_all_are_tried(name: str) -> None:
    named = set(re.findall(r"\(`(\w+)`\)", LAYOUTS[name].refuses))
    assert named <= SLUGS
    assert named == REFUSED[name].keys()


def opened(name: str, root: Path) -> Source:
    kind = name.split()[0]
    chosen = {"sav_train": "manual", "sav_eval": "gt", "footage": "user"}[kind]
    return open_source(
        config({"source.name": kind, "source.masklets": chosen, "source.root": str(root)})
    )


def problem(name: str, root: Path) -> Problem:
    """Why the clip is refused: as it is found, as it is read, or of its first masklet."""
    source = opened(name, root)
    ref = next(clip for clip in source.discover().clips if clip.own == "a")
    if ref.problem is not None:
        return ref.problem
    try:
        loaded = source.load(ref, NATIVE)
    except InputError as error:
        return Problem(error.status, error.reason, str(error))
    found = loaded.clip.masklets[0].problem
    assert found is not None
    return found
