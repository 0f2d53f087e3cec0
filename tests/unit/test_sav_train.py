"""SA-V train: what lies in any folder tree is found, and what is wrong in it is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mav_pipeline.media.masks import decode_rle
from mav_pipeline.planning.plan import select
from mav_pipeline.schema import Clip, ClipRef, Frame, LoadedClip, Masklet
from mav_pipeline.schema.errors import ConfigError, InputError
from mav_pipeline.sources.registry import open_source
from tests.fakes import (
    HEIGHT,
    NATIVE,
    WIDTH,
    config,
    encode_mp4,
    level,
    moving_box,
    pictures,
    rle,
    stored_rgb,
    write,
    write_clip,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "sav_mini" / "sav_train"
NOTHING = np.zeros((HEIGHT, WIDTH), np.bool_)


def source(root: Path, **keys: Any) -> Any:
    run = config(
        {f"source.{key}": value for key, value in keys.items()} | {"source.root": str(root)}
    )
    return open_source(run)


def discover(root: Path, **keys: Any) -> list[ClipRef]:
    return list(source(root, **keys).discover().clips)


def load(root: Path, **keys: Any) -> Clip:
    """The only clip under ``root``."""
    found = source(root, **keys)
    (ref,) = found.discover().clips
    assert ref.problem is None
    loaded = found.load(ref, NATIVE)
    assert isinstance(loaded, LoadedClip)
    return loaded.clip


def frames(root: Path) -> list[Frame]:
    """The annotated frames of the only clip under ``root``."""
    found = source(root)
    return [*found.load(found.discover().clips[0], NATIVE).frames]


def rgb(root: Path) -> dict[str, bytes]:
    """What a sample of the only clip under ``root`` stores as RGB."""
    found = source(root)
    return stored_rgb(found.load(found.discover().clips[0], NATIVE))


def refused(root: Path, **keys: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load(root, **keys)
    assert str(root) not in str(caught.value), "rows hold no path of the machine"
    return caught.value


def problem(ref: ClipRef | Masklet) -> tuple[str, str] | None:
    return (ref.problem.status, ref.problem.reason) if ref.problem else None


def annotate(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manual json of the clip ``a`` in place."""
    path = root / "a_manual.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


# finding


def test_clips_are_found_however_deep_in_id_order(tmp_path: Path) -> None:
    write_clip(tmp_path / "sav_001" / "x" / "y", "sav_000002")
    write_clip(tmp_path / "sav_000", "sav_000003")
    write_clip(tmp_path, "sav_000001")
    found = discover(tmp_path)
    assert [ref.video_id for ref in found] == ["sav_000001", "sav_000002", "sav_000003"]
    assert all(ref.problem is None for ref in found)
    assert [file.role for file in found[1].files] == ["video", "manual"]
    assert found[1].files[0].uri == "sav_001/x/y/sav_000002.mp4"
    path = tmp_path / found[1].files[0].uri
    assert found[1].files[0].size == path.stat().st_size
    assert found[1].files[0].version == str(path.stat().st_mtime_ns)


def test_hidden_files_and_folders_and_other_files_are_ignored(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")
    write(tmp_path / "._a.mp4", b"a Mac's")
    write_clip(tmp_path / ".cache" / "deep", "b")
    write(tmp_path / "LICENSE", "")
    write(tmp_path / "c_masks.json", "{}")
    assert [ref.video_id for ref in discover(tmp_path)] == ["a"]


def test_a_stride_thins_annotated_frames_and_moves_none(tmp_path: Path) -> None:
    masks = moving_box(8)
    write_clip(tmp_path, "a", {0: masks, 4: [None, *masks[1:]]})
    whole = load(tmp_path)
    for stride in (1, 2, 3, 8, 9):
        found = source(tmp_path, stride=stride)
        (ref,) = found.discover().clips
        loaded = found.load(ref, NATIVE)
        assert loaded.clip.frame_indices == whole.frame_indices[::stride]
        for thin, thick in zip(loaded.clip.masklets, whole.masklets, strict=True):
            assert thin.rles == thick.rles[::stride]
        pictured = [*loaded.frames]
        assert len(pictured) == len(loaded.clip.frame_indices)
        for index, frame in zip(loaded.clip.frame_indices, pictured, strict=True):
            assert np.abs(frame.astype(int) - level(index)).max() <= 3
        assert found.measure(ref).frames == len(pictured)


@pytest.mark.parametrize("short", [-1, 0, 1])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_stride_forgives_the_last_annotated_frame_and_no_other(
    tmp_path: Path, stride: int, short: int
) -> None:
    write_clip(tmp_path / "a", "a", {0: moving_box(7)}, video_frames=4 * (7 - short) - 3)
    indices = load(tmp_path / "a", stride=stride).frame_indices
    assert indices == tuple(range(0, 28, 4))[: 7 - short][::stride]
    write_clip(tmp_path / "b", "a", {0: moving_box(7)}, video_frames=4 * 4)
    assert refused(tmp_path / "b", stride=stride).reason == "frame_count"


def test_a_guard_counts_the_frames_that_a_stride_leaves(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(6)})
    assert refused(tmp_path, max_frames=3).reason == "max_frames"
    assert len(load(tmp_path, max_frames=3, stride=2).frame_indices) == 3
    assert len(load(tmp_path, max_frames=None, max_bytes=None).frame_indices) == 6


def test_a_clip_without_the_asked_annotation_is_skipped(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", kind="auto")
    write(tmp_path / "b.mp4", b"")
    assert [problem(ref) for ref in discover(tmp_path)] == [("skipped", "no_annotation")] * 2
    first, second = discover(tmp_path, masklets="auto")
    assert problem(first) is None
    assert second.problem is not None
    assert "b_auto.json" in second.problem.message
    assert problem(discover(tmp_path, masklets="both")[0]) is None


def test_an_annotation_without_its_video_is_a_failed_clip(tmp_path: Path) -> None:
    write_clip(tmp_path, "a").unlink()
    (found,) = discover(tmp_path)
    assert problem(found) == ("failed", "no_video")
    assert found.problem is not None
    assert "a_manual.json" in found.problem.message


def test_one_id_in_two_folders_is_two_clips_the_second_failed(tmp_path: Path) -> None:
    write_clip(tmp_path / "x", "a")
    write_clip(tmp_path / "y", "a")
    first, second = select(discover(tmp_path))
    assert problem(first) is None
    assert problem(second) == ("failed", "duplicate_id")
    assert second.problem is not None
    assert "x/a.mp4" in second.problem.message


@pytest.mark.parametrize("video_id", ["a.b", "a b", "ä", "-"])
def test_unsafe_ids_are_found_and_fail(tmp_path: Path, video_id: str) -> None:
    write_clip(tmp_path, video_id)
    (found,) = select(discover(tmp_path))
    assert found.video_id == video_id
    assert problem(found) == (None if video_id == "-" else ("failed", "bad_id"))


def test_a_root_that_cannot_be_listed_is_a_wrong_setting(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    for root in (tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=r"source\.root=.* cannot be listed"):
            discover(root)


# loading


def test_a_clip_loads_with_its_annotated_frames_and_masks(tmp_path: Path) -> None:
    masks = {0: moving_box(3), 2: moving_box(3, top=20)}
    video = write_clip(tmp_path, "a", masks)
    clip = load(tmp_path)
    assert (clip.video_id, clip.width, clip.height, clip.fps) == ("a", WIDTH, HEIGHT, 24.0)
    assert (clip.frame_indices, clip.environment) == ((0, 4, 8), "Indoor")
    assert rgb(tmp_path) == {"rgb.mp4": video.read_bytes()}
    assert [masklet.name for masklet in clip.masklets] == ["manual_000", "manual_002"]
    for masklet, expected in zip(clip.masklets, masks.values(), strict=True):
        assert (masklet.kind, masklet.size_bucket, masklet.problem) == ("manual", "medium", None)
        decoded = [decode_rle(found) for found in masklet.rles if found is not None]
        np.testing.assert_array_equal(decoded, expected)
    for index, frame in zip(clip.frame_indices, frames(tmp_path), strict=True):
        assert np.abs(frame.astype(int) - level(index)).max() <= 3


def test_ids_need_neither_start_at_0_nor_be_contiguous(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {17: moving_box(3), 3: moving_box(3, top=20), 1200: moving_box(3)})
    names = [(masklet.name, masklet.id) for masklet in load(tmp_path).masklets]
    assert names == [("manual_017", 17), ("manual_003", 3), ("manual_1200", 1200)]


def test_both_kinds_keep_their_own_names(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(3)})
    write_clip(tmp_path, "a", {0: moving_box(3, top=20), 1: moving_box(3)}, kind="auto")
    for kind, names in (
        ("manual", ["manual_000"]),
        ("auto", ["auto_000", "auto_001"]),
        ("both", ["manual_000", "auto_000", "auto_001"]),
    ):
        clip = load(tmp_path, masklets=kind)
        assert [masklet.name for masklet in clip.masklets] == names
        assert [masklet.kind for masklet in clip.masklets] == [n.split("_")[0] for n in names]


def test_both_kinds_may_differ_by_the_last_frame_only(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(4)})
    write_clip(tmp_path, "a", {0: moving_box(3)}, kind="auto")
    clip = load(tmp_path, masklets="both")
    assert clip.frame_indices == (0, 4, 8)
    assert [len(masklet.rles) for masklet in clip.masklets] == [3, 3]
    write_clip(tmp_path, "a", {0: moving_box(2)}, kind="auto")
    error = refused(tmp_path, masklets="both")
    assert (error.reason, error.stage) == ("frame_count", "masks")
    assert "4 and 2 frames" in error.cause


@pytest.mark.parametrize("annotated", [2, 3, 4])
def test_the_last_annotated_frame_may_be_one_side_only(tmp_path: Path, annotated: int) -> None:
    write_clip(tmp_path, "a", {0: moving_box(annotated)}, video_frames=9)
    clip = load(tmp_path)
    assert clip.frame_indices == (0, 4, 8)[:annotated]
    assert len(clip.masklets[0].rles) == len(frames(tmp_path)) == min(3, annotated)


@pytest.mark.parametrize("annotated", [1, 5])
def test_other_frame_counts_are_refused(tmp_path: Path, annotated: int) -> None:
    write_clip(tmp_path, "a", {0: moving_box(annotated)}, video_frames=9)
    error = refused(tmp_path)
    assert (error.role, error.reason, error.status) == ("video", "frame_count", "failed")


def test_rgb_is_what_the_output_asks_for(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")
    for kind, names in (
        ("source", ["rgb.mp4"]),
        ("jpeg", ["rgb.00000.jpg", "rgb.00004.jpg", "rgb.00008.jpg"]),
        ("none", []),
    ):
        run = config({"source.root": str(tmp_path), "output.rgb": kind})
        found = open_source(run)
        assert [*stored_rgb(found.load(found.discover().clips[0], NATIVE))] == names


# masks


def test_null_and_all_zero_masks_are_invisible_frames(tmp_path: Path) -> None:
    box = moving_box(4)
    write_clip(tmp_path, "a", {0: [box[0], None, NOTHING, box[3]]})
    (masklet,) = load(tmp_path).masklets
    assert masklet.visible == (True, False, False, True)
    assert masklet.problem is None


def test_a_masklet_that_is_never_visible_is_skipped(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(3), 1: [None] * 3, 2: [NOTHING] * 3})
    first, *others = load(tmp_path).masklets
    assert problem(first) is None
    assert [problem(masklet) for masklet in others] == [("skipped", "empty")] * 2


def test_a_speck_is_skipped_and_named_with_the_guard(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(3, side=7), 1: moving_box(3, side=8)})
    speck, other = load(tmp_path).masklets
    assert problem(speck) == ("skipped", "speck")
    assert speck.problem is not None
    assert speck.problem.message == "covers at most 49 pixels, source.min_area is 64"
    assert problem(other) is None
    assert problem(load(tmp_path, min_area=0).masklets[0]) is None


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (rle(np.ones((WIDTH, HEIGHT), np.bool_)), "rle_size"),
        ({"size": [HEIGHT, WIDTH], "counts": "0"}, "rle_sum"),
        ({"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH + 1]}, "rle_sum"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x07"}, "rle"),
        ("a text", "rle"),
        ([[1, 2], [3, 4]], "rle"),
    ],
)
def test_a_broken_mask_fails_its_masklet_and_no_other(
    tmp_path: Path, mask: Any, reason: str
) -> None:
    box = moving_box(3)
    write_clip(tmp_path, "a", {0: [box[0], mask, box[2]], 1: box})
    broken, whole = load(tmp_path).masklets
    assert problem(broken) == ("failed", reason)
    assert broken.problem is not None
    assert "masks of manual" in broken.problem.message
    assert "(annotated frame 1)" in broken.problem.message
    assert broken.rles == (None, None, None)
    assert problem(whole) is None


# files that are wrong


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"no video at all", "corrupt"), (encode_mp4(pictures(9))[:900], "corrupt")],
)
def test_a_broken_video_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    write_clip(tmp_path, "a").write_bytes(data)
    error = refused(tmp_path)
    assert (error.role, error.stage, error.reason) == ("video", "decode", reason)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"[]", b'"a"'])
def test_what_is_no_sav_json_is_named(tmp_path: Path, data: bytes) -> None:
    write_clip(tmp_path, "a")
    (tmp_path / "a_manual.json").write_bytes(data)
    error = refused(tmp_path)
    assert (error.role, error.stage, error.reason) == ("manual", "masks", "json")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("masklet"),
        lambda d: d.pop("masklet_id"),
        lambda d: d.update(masklet=None),
        lambda d: d.update(masklet=3),
        lambda d: d.update(masklet="text"),
        lambda d: d.update(masklet={"0": d["masklet"][0]}),
        lambda d: d.update(masklet=[{"0": mask} for (mask,) in d["masklet"]]),
        lambda d: d.update(masklet=["x"] * 3),
        lambda d: d.update(masklet_id=["x"]),
        lambda d: d.update(masklet_id=[-1]),
        lambda d: d.update(masklet_id=[0, 0]),
        lambda d: d.update(masklet_id=[float("inf")]),
        lambda d: d.update(masklet_id=None),
        lambda d: d["masklet"][1].append(None),
        lambda d: d["masklet"][1].clear(),
        lambda d: d.update(masklet_size_bucket=["small", "large"]),
        lambda d: d.update(masklet_size_bucket=[3]),
        lambda d: d.update(masklet_size_bucket=7),
        lambda d: d.update(video_height="tall"),
    ],
)
def test_a_json_of_another_shape_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    write_clip(tmp_path, "a")
    annotate(tmp_path, change)
    error = refused(tmp_path)
    assert (error.role, error.stage, error.reason) == ("manual", "masks", "json")


def test_what_the_pipeline_does_not_need_may_be_missing(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")

    def strip(document: dict[str, Any]) -> None:
        for key in {*document} - {"masklet", "masklet_id"}:
            del document[key]

    annotate(tmp_path, strip)
    clip = load(tmp_path)
    assert clip.environment is None
    assert clip.masklets[0].size_bucket is None
    assert clip.masklets[0].problem is None


def test_another_size_in_the_json_than_in_the_video_is_named(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")
    annotate(tmp_path, lambda document: document.update(video_height=WIDTH))
    error = refused(tmp_path)
    assert (error.role, error.reason) == ("manual", "frame_size")
    assert "json says 64x64, the video is 64x48" in error.cause


def test_no_annotated_frame_is_named(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")
    annotate(tmp_path, lambda document: document.update(masklet=[]))
    assert refused(tmp_path).reason == "no_frames"


def test_a_clip_without_objects_has_no_masklets(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")
    none = {"masklet": [[], [], []], "masklet_id": [], "masklet_size_bucket": []}
    annotate(tmp_path, lambda document: document.update(none))
    assert load(tmp_path).masklets == ()


@pytest.mark.parametrize(
    ("guard", "value", "role"),
    [
        ("max_pixels", 64 * 48 - 1, "video"),
        ("max_frames", 2, "manual"),
        ("max_bytes", 900, "video"),
    ],
)
def test_guards_skip_with_the_value_and_the_setting(
    tmp_path: Path, guard: str, value: int, role: str
) -> None:
    write_clip(tmp_path, "a")
    error = refused(tmp_path, **{guard: value})
    assert (error.role, error.reason, error.status) == (role, guard, "skipped")
    assert f"source.{guard} is {value}" in error.cause
    enough = {"max_pixels": 64 * 48, "max_frames": 3, "max_bytes": 10**6}[guard]
    assert load(tmp_path, **{guard: enough}).video_id == "a"


@pytest.mark.parametrize(("name", "role"), [("a.mp4", "video"), ("a_manual.json", "manual")])
def test_a_file_that_changed_since_the_plan_is_named(tmp_path: Path, name: str, role: str) -> None:
    write_clip(tmp_path, "a")
    found = source(tmp_path)
    (ref,) = found.discover().clips
    stat = (tmp_path / name).stat()
    os.utime(tmp_path / name, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    for reason in ("changed", "missing"):
        with pytest.raises(InputError) as caught:
            found.load(ref, NATIVE)
        assert (caught.value.role, caught.value.reason) == (role, reason)
        (tmp_path / name).unlink(missing_ok=True)


# measuring


def test_a_measure_is_what_loading_gives(tmp_path: Path) -> None:
    box = moving_box(3)
    write_clip(tmp_path, "a", {0: box, 1: [None] * 3, 2: [box[0], NOTHING, box[2]]})
    found = source(tmp_path)
    (ref,) = found.discover().clips
    measure = found.measure(ref)
    assert (measure.masklets, measure.alpha_frames) == (2, 5)
    assert measure.pixels == WIDTH * HEIGHT
    assert measure.turned_away == {"empty": 1}
    assert measure.frames == 3


def test_a_measure_turns_away_what_loading_turns_away(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(3), 1: moving_box(3, side=7)})
    keys: dict[str, Any] = {"min_area": 50}
    (ref,) = discover(tmp_path)
    measure = source(tmp_path, **keys).measure(ref)
    loaded = load(tmp_path, **keys).masklets
    assert (measure.masklets, measure.turned_away) == (1, {"speck": 1})
    assert [problem(masklet) for masklet in loaded] == [None, ("skipped", "speck")]
    for key, value in (("max_frames", 2), ("max_pixels", 99), ("max_bytes", 99)):
        found = source(tmp_path, **{key: value})
        for refused in (found.measure, lambda clip, found=found: found.load(clip, NATIVE)):
            with pytest.raises(InputError) as caught:
                refused(ref)
            assert (caught.value.status, caught.value.reason) == ("skipped", key)


def test_a_measure_knows_broken_masks_and_jsons_without_a_size(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", {0: moving_box(3), 1: moving_box(3)})
    path = tmp_path / "a_manual.json"
    document = json.loads(path.read_text())
    document["masklet"][1][1]["counts"] = "~"
    del document["video_height"], document["video_width"]
    path.write_text(json.dumps(document))
    (ref,) = discover(tmp_path)
    measure = source(tmp_path).measure(ref)
    assert (measure.masklets, measure.turned_away) == (1, {"rle": 1})
    assert (measure.alpha_frames, measure.pixels) == (3, WIDTH * HEIGHT)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not on this machine")
def test_real_sav_masklets_load() -> None:
    found = source(SHARED, masklets="both", include=["sav_000001"])
    ref = next(ref for ref in found.discover().clips if ref.video_id == "sav_000001")
    clip = found.load(ref, NATIVE).clip
    assert len(clip.frame_indices) == 49
    assert {masklet.kind for masklet in clip.masklets} == {"manual", "auto"}
    assert not [masklet for masklet in clip.masklets if problem(masklet) == ("failed", "rle")]
