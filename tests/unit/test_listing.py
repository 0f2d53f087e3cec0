"""A tar gives the clips that its folder would, is read once, and where it is torn says so once."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mav_pipeline.dataset.plan_file import from_table, to_table
from mav_pipeline.planning.plan import make_plan, select
from mav_pipeline.schema import ClipRef, Plan
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.interfaces import Discovery, Source
from mav_pipeline.schema.passed_over import PassedOver
from mav_pipeline.sources.registry import open_source
from mav_pipeline.sources.sav_eval import SavEval
from mav_pipeline.sources.sav_train import SavTrain
from mav_pipeline.storage import LocalStorage, read_ref
from tests.fakes import (
    NATIVE,
    config,
    jpeg,
    moving_box,
    pictures,
    png,
    stored_rgb,
    write,
    write_clip,
)

TRAIN = {"source.name": "sav_train", "source.masklets": "manual"}
EVAL = {"source.name": "sav_eval", "source.masklets": "gt"}


class CountingStorage(LocalStorage):
    """Knows which files were read by range."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ranges: list[str] = []

    def read_range(self, name: str, offset: int, count: int, version: str) -> bytes:
        self.ranges.append(name)
        return super().read_range(name, offset, count, version)


def opened(root: Path, **keys: Any) -> Source:
    return open_source(config({**TRAIN, "source.root": str(root), **keys}))


def reader(storage: LocalStorage, kind: str = "folder") -> Source:
    """The source that reads a tar of the fixture ``kind`` out of a storage."""
    keys, made = (TRAIN, SavTrain) if kind == "folder" else (EVAL, SavEval)
    run = config({**keys, "source.root": str(storage.root)})
    return made(storage, run.source, "source")


def discover(root: Path, plan: Plan | None = None, **keys: Any) -> Discovery:
    return opened(root, **keys).discover(plan)


def planned(found: Discovery) -> Plan:
    """The plan of what was found, as a later run reads it."""
    return from_table(to_table(make_plan(select(found.clips), 2, found.tars)))


def problems(clips: Iterable[ClipRef]) -> dict[str, str | None]:
    return {clip.video_id: clip.problem and clip.problem.reason for clip in clips}


Members = list[tuple[str, bytes]]


def members(folder: Path) -> Members:
    """All files below a folder, in name order, as members of a tar of it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]


def tar_bytes(files: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", encoding="utf-8", errors="surrogateescape") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_tar(path: Path, files: Members) -> Path:
    return write(path, tar_bytes(files))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of SA-V train, read-only: a and b whole, c without its annotation."""
    root = tmp_path_factory.mktemp("folder")
    write_clip(root / "sav_000", "a")
    write_clip(root / "sav_000", "b", {3: moving_box(4)})
    write_clip(root / "sav_001", "c", kind="auto")
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of frames and palettes, read-only."""
    root = tmp_path_factory.mktemp("images")
    for video_id in ("bear", "dog"):
        for number, (frame, mask) in enumerate(zip(pictures(3), moving_box(3), strict=True)):
            write(root / "JPEGImages" / "480p" / video_id / f"{number:05d}.jpg", jpeg(frame))
            labels = png(mask.astype(np.uint8), palette=True)
            write(root / "Annotations" / "480p" / video_id / f"{number:05d}.png", labels)
    return root


# the same as a folder


@pytest.mark.parametrize("prefix", ["", "./", "sav_train/", "./a//./b/"])
@pytest.mark.parametrize("kind", ["folder", "images"])
def test_a_tar_gives_the_clips_that_its_folder_gives(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, prefix: str
) -> None:
    root, keys = request.getfixturevalue(kind), TRAIN if kind == "folder" else EVAL
    files = [(prefix + name, data) for name, data in members(root)]
    write_tar(tmp_path / "deep" / "x.tar", files)
    loose, tarred = opened(root, **keys), opened(tmp_path, **keys)
    expected, found = loose.discover().clips, tarred.discover().clips
    assert len(expected) == len(found) > 1
    for before, now in zip(expected, found, strict=True):
        assert (now.video_id, now.problem) == (before.video_id, before.problem)
        assert {ref.uri for ref in now.files} == {"deep/x.tar"}
        for old, new in zip(before.files, now.files, strict=True):
            assert (new.role, new.label, new.size) == (old.role, old.label, old.size)
            assert read_ref(LocalStorage(tmp_path), new) == read_ref(LocalStorage(root), old)
            tidy = prefix.removeprefix("./").replace("//./", "/")
            assert new.name == tidy + old.name
        if now.problem is None:
            both = tarred.load(now, NATIVE), loose.load(before, NATIVE)
            assert stored_rgb(both[0]) == stored_rgb(both[1])


def test_folders_and_tars_may_be_mixed_and_clips_come_from_all(
    tmp_path: Path, folder: Path
) -> None:
    files = members(folder / "sav_000")
    write_tar(tmp_path / "one.tar", files[:2])
    write_tar(tmp_path / "more" / "TWO.TAR", files[2:])
    write_clip(tmp_path / "more", "c")
    found = discover(tmp_path)
    assert problems(found.clips) == {"a": None, "b": None, "c": None}
    assert set(found.tars) == {"one.tar", "more/TWO.TAR"}


def test_what_is_hidden_in_a_tar_is_ignored(tmp_path: Path, folder: Path) -> None:
    hidden = ["./._a.mp4", ".cache/d.mp4", "x/../e.mp4", "../f.mp4", "x/.git/g_manual.json"]
    strangers = ["LICENSE", "inner.tar", "a_masks.json"]
    files = members(folder / "sav_000")[:2]
    write_tar(tmp_path / "x.tar", [(name, b"?") for name in hidden + strangers] + files)
    write_tar(tmp_path / ".hidden.tar", members(folder))
    assert problems(discover(tmp_path).clips) == {"a": None}


def test_of_a_member_that_comes_twice_the_later_one_counts_as_in_any_tar(
    tmp_path: Path, folder: Path
) -> None:
    (video, annotation) = members(folder / "sav_000")[:2]
    write_tar(tmp_path / "x.tar", [(video[0], b"an old one"), annotation, video])
    (clip,) = discover(tmp_path).clips
    assert read_ref(LocalStorage(tmp_path), clip.role("video")[0]) == video[1]


def test_a_clip_does_not_gather_its_files_from_two_tars(tmp_path: Path, folder: Path) -> None:
    (video, annotation) = members(folder / "sav_000")[:2]
    write_tar(tmp_path / "x.tar", [video])
    write_tar(tmp_path / "y.tar", [annotation])
    reasons = [clip.problem and clip.problem.reason for clip in discover(tmp_path).clips]
    assert reasons == ["no_annotation", "no_video"]


def test_of_one_id_in_two_tars_the_second_fails_and_names_the_first(
    tmp_path: Path, folder: Path
) -> None:
    for name in ("x.tar", "y.tar"):
        write_tar(tmp_path / name, members(folder / "sav_000")[:2])
    first, second = select(discover(tmp_path).clips)
    assert (first.problem, first.files[0].uri) == (None, "x.tar")
    assert second.problem is not None
    assert (second.problem.status, second.problem.reason) == ("failed", "duplicate_id")
    assert "in x.tar already" in second.problem.message


def test_names_that_are_no_utf8_are_failed_clips_that_can_be_written_down(
    tmp_path: Path, folder: Path
) -> None:
    (video, annotation) = members(folder / "sav_000")[:2]
    write_tar(tmp_path / "x.tar", [("t\udcff.mp4", video[1]), ("t\udcff_manual.json", b"{}")])
    for suffix, data in ((b".mp4", video[1]), (b"_manual.json", annotation[1])):
        with open(os.fsencode(tmp_path) + b"/loose\xff" + suffix, "wb") as file:  # noqa: PTH123
            file.write(data)
    found = discover(tmp_path)
    clips = select(found.clips)
    assert problems(clips) == {"loose\\udcff": "bad_id", "t\\udcff": "bad_id"}
    assert [*planned(found).clips()] == clips


def test_a_tar_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path, folder: Path) -> None:
    write_tar(tmp_path / "x.tar", members(folder))

    class Failing(LocalStorage):
        def read_range(self, name: str, offset: int, count: int, version: str) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(ConfigError, match=r"source\.root=.*: Input/output error"):
        reader(Failing(tmp_path)).discover()


# passed over


def passed(root: Path, **keys: Any) -> dict[str, list[str]]:
    """The names of what is not taken, by reason."""
    found = discover(root, **keys).passed_over
    assert {slug: len(names) for slug, names in found.names.items()} == dict(found.counts)
    return {slug: sorted(names) for slug, names in found.names.items()}


def test_what_is_not_taken_is_named_by_reason(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "in"
    write_clip(root / "x", "a")
    for name in ("x/notes.txt", "x/b.MOV", "x/a_auto.json", "x/cover.TIFF", "x/.DS_Store"):
        write(root / name, b"?")
    for name in ("sav_001.tar.gz", "more/sav_002.TGZ", "clips.zip"):
        write(root / name, b"?")
    (root / "gone.mp4").symlink_to("nowhere.mp4")
    (root / "z").symlink_to("x")
    assert passed(root) == {
        "unknown": ["x/notes.txt"],
        "other_video": ["x/b.MOV"],
        "other_image": ["x/cover.TIFF"],
        "not_asked": ["x/a_auto.json"],
        "hidden": ["x/.DS_Store"],
        "packed": ["clips.zip", "more/sav_002.TGZ", "sav_001.tar.gz"],
        "dangling": ["gone.mp4"],
        "listed": ["z"],
    }
    assert problems(discover(root).clips) == {"a": None}


def test_what_is_not_taken_of_a_tar_is_named_through_it(tmp_path: Path, folder: Path) -> None:
    files = [*members(folder / "sav_000")[:2], ("./n.txt", b"?"), ("in.tar", b"?"), ("._x", b"?")]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in [files[0], *files]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        links = (("l.mp4", b"1", "a.mp4"), ("lost", b"2", "nowhere"), ("dev", b"3", ""))
        for name, kind, to in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, to
            tar.addfile(info)
    write(tmp_path / "t.tar", archive.getvalue())
    assert passed(tmp_path) == {
        "unknown": ["t.tar/n.txt"],
        "packed": ["t.tar/in.tar"],
        "hidden": ["t.tar/._x"],
        "dangling": ["t.tar/lost"],
        "special": ["t.tar/dev"],
        "twice": ["t.tar/a.mp4"],
    }
    clips = {clip.video_id: clip for clip in discover(tmp_path).clips}
    assert problems(clips.values()) == {"a": None, "l": "no_annotation"}
    storage = LocalStorage(tmp_path)
    assert read_ref(storage, clips["l"].files[0]) == files[0][1]


def test_many_are_counted_and_the_first_named(tmp_path: Path) -> None:
    write_clip(tmp_path, "a")
    for number in range(25):
        write(tmp_path / f"{number:02d}.txt", b"?")
    found = discover(tmp_path).passed_over
    assert found.counts == {"unknown": 25}
    assert found.names["unknown"] == tuple(f"{number:02d}.txt" for number in range(10))
    assert str(found).endswith("09.txt, ...)")
    assert PassedOver.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_of_images_what_the_layout_has_no_place_for_is_named(tmp_path: Path, images: Path) -> None:
    shutil.copytree(images, tmp_path / "in")
    for name in ("README.md", "JPEGImages/480p/bear/x.webp", "bear.mp4", "00000.png"):
        write(tmp_path / "in" / name, b"?")
    assert passed(tmp_path / "in", **EVAL) == {
        "unknown": ["00000.png", "README.md"],
        "other_image": ["JPEGImages/480p/bear/x.webp"],
        "other_video": ["bear.mp4"],
    }


def test_clips_are_found_behind_links_to_folders(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "linked").symlink_to(folder)
    clips = discover(root).clips
    assert problems(clips) == problems(discover(folder).clips)
    loaded = opened(root).load(clips[0], NATIVE)
    assert stored_rgb(loaded)["rgb.mp4"] == (folder / "sav_000" / "a.mp4").read_bytes()


@pytest.mark.parametrize("name", ["a.MP4", "a.Mp4"])
def test_an_mp4_is_one_in_any_case(tmp_path: Path, name: str) -> None:
    video = write_clip(tmp_path, "a")
    video.rename(tmp_path / name)
    (clip,) = discover(tmp_path).clips
    assert clip.problem is None
    assert opened(tmp_path).load(clip, NATIVE).clip.video_id == "a"


def test_of_two_cases_of_an_ending_the_lower_counts(tmp_path: Path, folder: Path) -> None:
    (name, video), annotation = members(folder / "sav_000")[:2]
    upper = (name.replace(".mp4", ".MP4"), b"?")
    for place, files in (("x.tar", [(name, video), upper]), ("y.tar", [upper, (name, video)])):
        write_tar(tmp_path / place / "t.tar", [*files, annotation])
        (clip,) = discover(tmp_path / place).clips
        assert clip.role("video")[0].name == name
        assert passed(tmp_path / place) == {"twice": ["t.tar/a.MP4"]}


@pytest.mark.parametrize("name", ["a.mov", "a.MKV", "a.webm", "a.avi", "a.M4V", "A.mp4"])
def test_a_clip_lies_without_its_mp4_only_where_there_is_no_other_video(
    tmp_path: Path, name: str
) -> None:
    write_clip(tmp_path, "a").rename(tmp_path / name)
    write_clip(tmp_path, "b").unlink()
    write_clip(tmp_path / "other", "b")
    found = {clip.video_id: clip.problem for clip in discover(tmp_path).clips if clip.problem}
    assert found["a"].reason == found["b"].reason == "no_video"
    assert found["a"].message == (
        f"plan of video: a_manual.json lies beside {name}, and its video must be a.mp4: "
        "rename it, or have it rewrapped by ffmpeg"
    )
    assert found["b"].message == "plan of video: b_manual.json lies without its mp4"


# read once


@pytest.mark.parametrize("kind", ["folder", "images"])
def test_a_tar_that_the_plan_knows_is_not_read_again_and_gives_the_same_clips(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    files = members(request.getfixturevalue(kind))
    write_tar(tmp_path / "x.tar", files)
    write_tar(tmp_path / "y.tar", files[:1])
    storage = CountingStorage(tmp_path)
    source = reader(storage, kind)
    first = source.discover()
    plan = planned(first)
    assert set(storage.ranges) == {"x.tar", "y.tar"}
    storage.ranges.clear()
    again = source.discover(plan)
    assert storage.ranges == []
    assert again.tars == first.tars
    assert make_plan(select(again.clips), 2, again.tars) == plan


def test_only_a_tar_that_has_changed_or_is_new_is_read(tmp_path: Path, folder: Path) -> None:
    files = members(folder / "sav_000")
    for name, found in (("x.tar", files[:2]), ("y.tar", files[2:3])):
        write_tar(tmp_path / name, found)
    storage = CountingStorage(tmp_path)
    source = reader(storage)
    plan = planned(source.discover())
    assert problems(plan.clips()) == {"a": None, "b": "no_annotation"}
    write_tar(tmp_path / "y.tar", files[2:])
    os.utime(tmp_path / "y.tar", ns=(0, int(plan.tars["y.tar"]) + 1))
    write_tar(tmp_path / "z.tar", members(folder / "sav_001"))
    storage.ranges.clear()
    found = source.discover(plan)
    assert set(storage.ranges) == {"y.tar", "z.tar"}
    assert problems(found.clips) == {"a": None, "b": None, "c": "no_annotation"}
    assert found.tars["x.tar"] == plan.tars["x.tar"]
    assert found.tars["y.tar"] != plan.tars["y.tar"]


def test_a_tar_that_is_gone_gives_no_clips(tmp_path: Path, folder: Path) -> None:
    write_clip(tmp_path, "z")
    path = write_tar(tmp_path / "x.tar", members(folder))
    plan = planned(discover(tmp_path))
    path.unlink()
    found = discover(tmp_path, plan)
    assert (problems(found.clips), found.tars) == ({"z": None}, {})


# torn

BLOCK = tarfile.BLOCKSIZE


def cut(files: Members, member: str, at: str) -> bytes:
    """A tar that ends inside a member, inside its header, or after it."""
    data = tar_bytes(files)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.getmember(member)
    ends = {
        "inside": found.offset_data + found.size // 2,
        "inside its header": found.offset_data - BLOCK // 2,
        "after": found.offset_data + -(-found.size // BLOCK) * BLOCK,
    }
    return data[: ends[at]]


#: Where a tar of the clips a and b ends, which clip tells of it (x: the tar's own), who is whole.
CUTS = [
    ("a.mp4", "inside", "a", []),
    ("a_manual.json", "after", "x", ["a"]),
    ("b.mp4", "inside its header", "x", ["a"]),
    ("b.mp4", "inside", "b", ["a"]),
    ("b.mp4", "after", "b", ["a"]),
    ("b_manual.json", "inside its header", "b", ["a"]),
    ("b_manual.json", "inside", "b", ["a"]),
    ("b_manual.json", "after", "x", ["a", "b"]),
]


@pytest.mark.parametrize(("member", "at", "told_by", "whole"), CUTS)
@pytest.mark.parametrize("place", ["x.tar", "deep/x.TAR"])
def test_a_torn_tar_is_one_failed_clip_that_names_it_and_its_whole_clips_are_given(
    tmp_path: Path, folder: Path, member: str, at: str, told_by: str, whole: list[str], place: str
) -> None:
    write(tmp_path / place, cut(members(folder / "sav_000"), member, at))
    write_tar(tmp_path / "y.tar", members(folder / "sav_001"))
    clips = select(discover(tmp_path).clips)
    (failed,) = [clip for clip in clips if clip.problem and clip.problem.status == "failed"]
    assert failed.problem is not None
    assert (failed.video_id, failed.problem.reason) == (told_by, "torn_tar")
    assert f"plan of tar: {place} ends " in failed.problem.message
    assert [clip.video_id for clip in clips if clip.problem is None] == whole
    for clip in clips:
        if clip.problem is None:
            assert opened(tmp_path).load(clip, NATIVE).clip.video_id == clip.video_id


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"<html>404</html>" * 100, "is no tar"),
        (tar_bytes([("a.mp4", b"1")])[:100], "is no tar"),
        (b"\x1f\x8b" + b"x" * 2000, "is no tar"),
    ],
    ids=["empty", "a page", "cut in the first header", "gzip"],
)
def test_what_is_no_tar_at_all_is_one_failed_clip_that_names_it(
    tmp_path: Path, data: bytes, what: str
) -> None:
    write(tmp_path / "sav_007.tar", data)
    write_clip(tmp_path, "a")
    clip, whole = sorted(discover(tmp_path).clips, key=lambda clip: clip.problem is None)
    assert (clip.video_id, whole.video_id, whole.problem) == ("sav_007", "a", None)
    assert clip.problem is not None
    assert (clip.problem.status, clip.problem.reason) == ("failed", "torn_tar")
    assert f"sav_007.tar {what}" in clip.problem.message
    assert [(ref.role, ref.uri, ref.size) for ref in clip.files] == [
        ("tar", "sav_007.tar", len(data))
    ]


def test_an_empty_tar_that_ends_as_it_must_is_whole(tmp_path: Path) -> None:
    write_tar(tmp_path / "x.tar", [])
    write_clip(tmp_path, "a")
    assert problems(discover(tmp_path).clips) == {"a": None}


@pytest.mark.parametrize(
    ("masklets", "whole"), [("manual", False), ("auto", True), ("both", False)]
)
def test_a_clip_is_whole_where_what_is_asked_of_it_came_before_the_cut(
    tmp_path: Path, folder: Path, masklets: str, whole: bool
) -> None:
    (_, video), (_, annotation) = members(folder / "sav_000")[:2]
    files = [("a.mp4", video), ("a_auto.json", annotation), ("a_manual.json", annotation)]
    write(tmp_path / "x.tar", cut(files, "a_auto.json", "after"))
    found = problems(discover(tmp_path, **{"source.masklets": masklets}).clips)
    assert found == ({"a": None, "x": "torn_tar"} if whole else {"a": "torn_tar"})


@pytest.mark.parametrize("told_by", ["dog", "x"])
def test_a_torn_tar_of_images_fails_the_clip_that_it_ends_in(
    tmp_path: Path, images: Path, told_by: str
) -> None:
    files = sorted(members(images), key=lambda member: member[0].split("/")[2])
    extra = [("zebra.txt", b"?")]
    last = files[-1][0] if told_by == "dog" else "zebra.txt"
    write(tmp_path / "x.tar", cut(files + extra, last, "inside"))
    clips = select(discover(tmp_path, **EVAL).clips)
    expected = {"bear": None, "dog": "torn_tar"} if told_by == "dog" else {"x": "torn_tar"}
    assert problems(clips) == {"bear": None, "dog": None, **expected}


def test_a_torn_tar_that_the_plan_knows_is_told_of_once_more_and_once(
    tmp_path: Path, folder: Path
) -> None:
    files = members(folder / "sav_000")
    write(tmp_path / "x.tar", cut(files, "b.mp4", "inside"))
    write(tmp_path / "y.tar", b"")
    plan = planned(discover(tmp_path))
    assert problems(plan.clips()) == {"a": None, "b": "torn_tar", "y": "torn_tar"}
    found = discover(tmp_path, plan)
    assert make_plan(select(found.clips), 2, found.tars) == plan
    write_tar(tmp_path / "x.tar", files)
    os.utime(tmp_path / "x.tar", ns=(0, int(plan.tars["x.tar"]) + 1))
    assert problems(discover(tmp_path, plan).clips) == {"a": None, "b": None, "y": "torn_tar"}


def test_a_tar_named_as_its_only_clip_that_is_torn_behind_it_says_torn(
    tmp_path: Path, folder: Path
) -> None:
    write(tmp_path / "a.tar", cut(members(folder / "sav_000"), "a_manual.json", "after"))
    clips = select(discover(tmp_path).clips)
    assert [clip.problem and clip.problem.reason for clip in clips] == [None, "torn_tar"]


def test_a_tar_whose_name_is_no_utf8_is_a_failed_row_and_stops_nothing(
    tmp_path: Path, folder: Path
) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tar")).write_bytes(
        tar_bytes(members(folder / "sav_000"))
    )
    write_clip(tmp_path, "z")
    found = discover(tmp_path)
    assert sorted(problems(found.clips).values(), key=str) == [None, "torn_tar"]
    assert [clip.video_id for clip in found.clips if clip.problem is None] == ["z"]
    assert planned(found).tars == found.tars


@pytest.mark.parametrize("last", ["._a_manual.json", "notes.txt"])
def test_a_clip_that_a_torn_tar_may_hold_more_of_is_not_whole(
    tmp_path: Path, folder: Path, last: str
) -> None:
    (_, video), (_, annotation) = members(folder / "sav_000")[:2]
    files = [("a.mp4", video), ("a_auto.json", annotation), (last, b"1")]
    write(tmp_path / "x.tar", cut([*files, ("a_manual.json", annotation)], last, "after"))
    found = problems(discover(tmp_path, **{"source.masklets": "both"}).clips)
    assert found == {"a": "torn_tar"}


def test_a_clip_that_no_longer_stands_twice_is_whole(tmp_path: Path, folder: Path) -> None:
    for name in ("x.tar", "y.tar"):
        write_tar(tmp_path / name, members(folder / "sav_000")[:2])
    plan = planned(discover(tmp_path))
    (tmp_path / "x.tar").unlink()
    (clip,) = select(discover(tmp_path, plan).clips)
    assert clip.problem is None
