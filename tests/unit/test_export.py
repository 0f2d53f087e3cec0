"""An export holds what was accepted, in files that other tools read, and repeats without harm."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.manifest import decode_rows, encode_rows
from mav_pipeline.dataset.regate import regate
from mav_pipeline.export.clip import StoredClip
from mav_pipeline.schema import FORMAT
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.storage import LocalStorage
from tests.exports import built, exported, names, soft_clip, stored
from tests.fakes import (
    FakeBackend,
    config,
    decode_sample,
    jpeg,
    level,
    masks_of,
    moving_box,
    pictures,
    png,
    write,
    write_clip,
)

CLIPS = ("sav_000001", "sav_000002", "sav_000003")
INDICES = (0, 4, 8)


def contents(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in names(root)}


def frames_of(mp4: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with av.open(io.BytesIO(mp4)) as container:
        decoded = container.decode(container.streams.video[0])
        return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])


# layouts


def test_videomama_has_a_sequence_a_masklet(small_set: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    result = exported(small_set, target, format="videomama")
    assert (result.clips, result.masklets, result.files) == (3, 6, 6 * 10)
    sequences = [f"{clip}_manual_00{item}" for clip in CLIPS for item in (0, 2)]
    for kind in ("image", "mask", "alpha"):
        assert sorted(path.name for path in (target / kind).iterdir()) == sequences
    for clip, members in stored(small_set).items():
        for masklet in decode_sample(members)[1]:
            masks = masks_of(masklet)
            for place, index in enumerate(INDICES):
                name = f"{clip}_{masklet.name}/{place:04d}"
                picture = np.asarray(Image.open(target / f"image/{name}.jpg"))
                assert picture.shape == (48, 64, 3)
                assert np.abs(picture.astype(int) - level(index)).max() <= 4
                mask = Image.open(target / f"mask/{name}.png")
                assert mask.mode == "L"
                assert (np.asarray(mask) == masks[place] * 255).all()
                alpha = np.asarray(Image.open(target / f"alpha/{name}.png"))
                assert (alpha == masklet.alpha[place]).all()
    table = pq.read_table(target / "metadata.parquet").to_pylist()
    assert [row["composite_path"] for row in table] == [f"image/{name}" for name in sequences]
    assert table[1] == {
        "composite_path": "image/sav_000001_manual_002",
        "mask_path": "mask/sav_000001_manual_002",
        "alpha_path": "alpha/sav_000001_manual_002",
        "num_frames": 3,
        "key": "sav_000001",
        "masklet": "manual_002",
        "frame_indices": [0, 4, 8],
        "visible": [[0, 3]],
    }


def test_manual_and_auto_masklets_of_one_number_stay_apart(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "sav_000001", {3: moving_box(3)})
    write_clip(tmp_path / "in", "sav_000001", {3: moving_box(3, top=20)}, kind="auto")
    root = built(tmp_path / "in", tmp_path / "out", **{"source.masklets": "both"})
    exported(root, tmp_path / "export", format="sav_val")
    objects = (tmp_path / "export/Annotations/sav_000001").iterdir()
    assert sorted(path.name for path in objects) == ["003", "1003"]


def test_a_preview_shows_the_object_on_green_and_on_a_checkerboard(
    small_set: Path, tmp_path: Path
) -> None:
    exported(small_set, tmp_path / "export", format="preview", limit=1)
    folder = tmp_path / "export/preview/sav_000001"
    assert names(folder) == ["manual_000.mp4", "manual_002.mp4"]
    data = (folder / "manual_000.mp4").read_bytes()
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, float(stream.average_rate or 0)) == ("h264", 6.0)
    frames = frames_of(data).astype(int)
    assert frames.shape == (3, 48, 128, 3)
    green, board = frames[2, :, :64], frames[2, :, 64:]
    assert np.abs(green[40, 40] - (0, 177, 64)).max() <= 8
    assert {225, 165} == {min((225, 165), key=lambda g: abs(g - v)) for v in board[40, ::8, 0]}
    for side in (green, board):
        assert np.abs(side[18, 16] - level(8)).max() <= 8


def test_odd_sides_are_padded_for_a_preview(tmp_path: Path) -> None:
    frames = pictures(1, 49, 65)
    write(tmp_path / "in/JPEGImages/one/00000.jpg", jpeg(frames[0]))
    mask = moving_box(1, shape=(49, 65))[0]
    write(tmp_path / "in/Annotations/one/001/00000.png", png(mask.astype(np.uint8)))
    changes = {"source.name": "sav_eval", "source.masklets": "gt"}
    root = built(tmp_path / "in", tmp_path / "out", **changes)
    exported(root, tmp_path / "export", format="preview")
    data = (tmp_path / "export/preview/one/gt_001.mp4").read_bytes()
    assert frames_of(data).shape == (1, 50, 132, 3)


# what a set may hold


def test_jpegs_and_pngs_of_a_set_come_out_as_they_are(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "sav_000001", {0: moving_box(3)})
    changes = {"output.rgb": "jpeg", "output.alpha": "png"}
    root = built(tmp_path / "in", tmp_path / "out", FakeBackend(), **changes)
    members = stored(root)["sav_000001"]
    exported(root, tmp_path / "a", format="videomama")
    exported(root, tmp_path / "b", format="sav_val")
    exported(root, tmp_path / "c", format="preview")
    for place, index in enumerate(INDICES):
        data = members[f"rgb.{index:05d}.jpg"]
        assert (tmp_path / f"a/image/sav_000001_manual_000/{place:04d}.jpg").read_bytes() == data
        assert (tmp_path / f"b/JPEGImages/sav_000001/{index:05d}.jpg").read_bytes() == data
        alpha = np.asarray(Image.open(tmp_path / f"a/alpha/sav_000001_manual_000/{place:04d}.png"))
        assert (alpha == decode_sample(members)[1][0].alpha[place]).all()
    assert len(frames_of((tmp_path / "c/preview/sav_000001/manual_000.mp4").read_bytes())) == 3


def test_a_source_of_png_pictures_comes_out_as_jpeg(tmp_path: Path) -> None:
    frames = pictures(6)
    for number, frame in enumerate(frames):
        write(tmp_path / f"in/JPEGImages/one/{number:05d}.png", png(frame))
    for number in (0, 5):
        mask = moving_box(1)[0].astype(np.uint8)
        write(tmp_path / f"in/Annotations/one/001/{number:05d}.png", png(mask))
    changes = {"source.name": "sav_eval", "source.masklets": "gt"}
    root = built(tmp_path / "in", tmp_path / "out", **changes)
    exported(root, tmp_path / "a", format="sav_val")
    exported(root, tmp_path / "b", format="videomama")
    assert len([*(tmp_path / "a/JPEGImages/one").iterdir()]) == 6
    for path, index in (("a/JPEGImages/one/00005.jpg", 5), ("b/image/one_gt_001/0001.jpg", 5)):
        assert np.abs(np.asarray(Image.open(tmp_path / path)).astype(int) - level(index)).max() <= 3


def test_a_set_without_pictures_is_refused(tmp_path: Path, small_source: Path) -> None:
    root = built(small_source, tmp_path / "out", **{"output.rgb": "none"})
    with pytest.raises(ConfigError, match=r"needs pictures, and .* output\.rgb=none; build a set"):
        exported(root, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_an_unfinished_set_is_refused(small_set: Path, tmp_path: Path) -> None:
    (small_set / layout.INDEX).unlink()
    with pytest.raises(OutputError, match="is not finished"):
        exported(small_set, tmp_path / "export")


# what is picked


@pytest.mark.parametrize(
    ("include", "limit", "clips"),
    [
        ((), 2, CLIPS[:2]),
        (("sav_000003", "sav_*1"), None, CLIPS[::2]),
        (("sav_*",), 1, CLIPS[:1]),
    ],
)
def test_clips_are_picked_by_id_and_number(
    small_set: Path, tmp_path: Path, include: Sequence[str], limit: int | None, clips: Sequence[str]
) -> None:
    exported(small_set, tmp_path / "export", format="preview", include=list(include), limit=limit)
    assert sorted(path.name for path in (tmp_path / "export/preview").iterdir()) == [*clips]


def test_naming_no_clip_is_an_error(small_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"export\.include=sav_9\* names none of the 3 clips"):
        exported(small_set, tmp_path / "export", include=["sav_9*"])
    assert not (tmp_path / "export").exists()


def test_a_gate_picks_what_it_accepts(tmp_path: Path) -> None:
    masks = {0: moving_box(3), 2: moving_box(3, top=30, left=30, side=8)}
    write_clip(tmp_path / "in", "sav_000001", masks)
    root = built(
        tmp_path / "in", tmp_path / "out", FakeBackend(shift=4), **{"quality.keep_rejected": True}
    )
    statuses = {
        row["masklet"]: row["status"]
        for row in BuiltSet.open(LocalStorage(root)).rows().to_pylist()
    }
    assert statuses == {"manual_000": "accepted", "manual_002": "rejected"}
    off = {f"quality.{key}": None for key in ("max_outside_mass", "max_core_loss")}
    regate(BuiltSet.open(LocalStorage(root)), "loose", config(off).quality)
    for gate, items in ((None, ["000"]), ("loose", ["000", "002"])):
        target = tmp_path / f"export_{gate}"
        exported(root, target, format="sav_val", gate=gate)
        assert sorted(p.name for p in (target / "Annotations/sav_000001").iterdir()) == items
    with pytest.raises(OutputError, match=r"has no gates/other\.parquet \(there is: loose\)"):
        exported(root, tmp_path / "export", gate="other")
    with pytest.raises(OutputError, match="holds another export"):
        exported(root, tmp_path / "export_None", format="sav_val", gate="loose")


# where it goes


def test_repeating_writes_nothing_new_and_more_clips_are_added(
    small_set: Path, tmp_path: Path
) -> None:
    target = tmp_path / "export"
    exported(small_set, target, limit=1)
    before = {name: (target / name).stat().st_mtime_ns for name in names(target)}
    again = exported(small_set, target, limit=1)
    assert (again.clips, again.files, again.there) == (0, 0, 1)
    more = exported(small_set, target)
    assert (more.clips, more.masklets, more.there) == (2, 4, 1)
    after = {name: (target / name).stat().st_mtime_ns for name in names(target)}
    assert {n for n, t in before.items() if after[n] != t} == {"metadata.parquet"}
    exported(small_set, tmp_path / "at_once")
    assert contents(target) == contents(tmp_path / "at_once")


def test_a_clip_that_broke_off_is_written_again(small_set: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    exported(small_set, target)
    whole = contents(target)
    (target / "clips/sav_000002.json").unlink()
    shutil.rmtree(target / "alpha/sav_000002_manual_002")
    assert exported(small_set, target).clips == 1
    assert contents(target) == whole


def test_another_format_or_set_is_refused(small_set: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    exported(small_set, target, format="videomama", limit=1)
    with pytest.raises(OutputError, match=r"holds another export.*name another folder"):
        exported(small_set, target, format="preview")


def test_a_folder_of_somebody_elses_is_refused(small_set: Path, tmp_path: Path) -> None:
    write(tmp_path / "export/letters.txt", "dear")
    with pytest.raises(OutputError, match=r"no export\.json.*it holds letters\.txt"):
        exported(small_set, tmp_path / "export")
    with pytest.raises(OutputError, match=r"no export\.json"):
        exported(small_set, small_set)
    with pytest.raises(OutputError, match=r"letters\.txt cannot be used"):
        exported(small_set, tmp_path / "export/letters.txt")
    assert names(tmp_path / "export") == ["letters.txt"]


def test_what_cannot_be_read_is_named_and_the_rest_is_exported(
    small_set: Path, tmp_path: Path
) -> None:
    receipts = BuiltSet.open(LocalStorage(small_set)).receipts()
    tar = small_set / layout.data(receipts["mav-000000"].tar.name)
    data = tar.read_bytes()
    video = data.index(b"sav_000001.manual_000.alpha.mkv") + 512  # past its header
    tar.write_bytes(data[:video] + bytes(64) + data[video + 64 :])
    (small_set / layout.data(receipts["mav-000001"].tar.name)).unlink()
    result = exported(small_set, tmp_path / "export", format="preview")
    assert list(result.problems) == ["sav_000001", "mav-000001"]
    assert result.clips == 1
    assert names(tmp_path / "export/clips") == ["sav_000002.json"]


@pytest.mark.parametrize(
    "changes", [{"key": "../../etc"}, {"masklet": "../manual_000"}, {"masklet": "x 1"}]
)
def test_names_come_only_from_checked_ids(
    small_set: Path, tmp_path: Path, changes: Mapping[str, str]
) -> None:
    path = small_set / layout.MANIFEST
    first, *rows = decode_rows(path.read_bytes()).to_pylist()
    path.write_bytes(encode_rows([{**first, **changes}, *rows], FORMAT))
    with pytest.raises(OutputError, match="may not become a file's name"):
        exported(small_set, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_export_json_says_what_it_is_of(small_set: Path, tmp_path: Path) -> None:
    exported(small_set, tmp_path / "export", limit=1)
    about = json.loads((tmp_path / "export/export.json").read_text())
    assert {**about, "index_sha256": ""} == {
        "format": "videomama",
        "trim": True,
        "revision": 2,
        "index_sha256": "",
    }
    assert str(small_set) not in json.dumps(about)


def test_a_picture_that_is_turned_by_a_tag_comes_out_turned(tmp_path: Path) -> None:
    """Readers differ on whether they turn it; all show its mask as it is."""
    as_stored = np.zeros((40, 60, 3), np.uint8)
    as_stored[:20, :30] = 250
    image, exif, buffer = Image.fromarray(as_stored), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # shown turned to the right
    image.save(buffer, "JPEG", exif=exif, quality=95)
    soft = soft_clip(60, 40, 1)
    members = {**soft.clip.members, "rgb.00000.jpg": buffer.getvalue()}
    del members["rgb.00000.png"]
    ((_, data),) = StoredClip.open(members, ["manual_000"]).jpegs()
    with Image.open(io.BytesIO(data)) as shown:
        assert (shown.size, dict(shown.getexif())) == ((40, 60), {})
        assert np.abs(np.asarray(shown).astype(int) - np.rot90(as_stored, -1)).max() <= 12
