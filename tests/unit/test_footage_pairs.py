"""Pairing: which files make a clip, by names alone, whatever else lies there."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.schema import ClipRef, Problem
from mav_pipeline.schema.keys import safe_key
from mav_pipeline.schema.passed_over import PassingOver
from mav_pipeline.sources.footage.clips import footage_clips
from mav_pipeline.sources.footage.files import mask_groups
from mav_pipeline.sources.listing import Found, Listing


def listing(*paths: str) -> Listing:
    """The files of a folder; what stands behind ``|`` is in the tar before it."""
    files = []
    for path in paths:
        tar, _, name = path.rpartition("|")
        files.append(Found(name, tar or name, 0, 1, "1"))
    return Listing(tuple(files), {}, {}, (), PassingOver())


def clips(*paths: str) -> dict[str, ClipRef]:
    found = footage_clips(listing(*paths))
    assert len({clip.video_id for clip in found}) == len(found)
    return {clip.own: clip for clip in found}


def problems(*paths: str) -> dict[str, str | None]:
    return {name: clip.problem and clip.problem.reason for name, clip in clips(*paths).items()}


def objects(clip: ClipRef) -> dict[int | None, list[str]]:
    """The masks of each object."""
    assert clip.problem is None, clip.problem
    return {group.owner: [file.label for file in group.files] for group in mask_groups(clip)}


def passed(*paths: str) -> dict[str, list[str]]:
    found = listing(*paths)
    footage_clips(found)
    return {reason: [*names] for reason, names in found.passing.result().names.items()}


# layouts

VIDEOS = ["a.mp4", "a.MOV", "a.mkv", "a.webm", "a.avi", "a.M4V"]


@pytest.mark.parametrize("video", VIDEOS)
@pytest.mark.parametrize("place", ["", "x/y/", "t.tar|", "t.tar|deep/"])
@pytest.mark.parametrize("masks", ["a", "a_mask", "a_masks", "a.mask", "a-mask", "a_MASK"])
def test_a_video_beside_a_folder_of_masks(video: str, place: str, masks: str) -> None:
    found = clips(place + video, f"{place}{masks}/f2.png", f"{place}{masks}/f10.png")
    assert [*found] == ["a"]
    assert objects(found["a"]) == {None: [f"{masks}/f2.png", f"{masks}/f10.png"]}
    assert [file.role for file in found["a"].files] == ["video", "mask", "mask"]


@pytest.mark.parametrize("masks", ["a", "a_mask"])
def test_one_folder_an_object(masks: str) -> None:
    found = clips("a.mp4", *(f"{masks}/{name}/{n}.png" for name in ("007", "12") for n in (0, 1)))
    assert objects(found["a"]) == {7: ["007/0.png", "007/1.png"], 12: ["12/0.png", "12/1.png"]}
    found = clips("a.mp4", *(f"{masks}/{name}/0.png" for name in ("man 2", "dog", "man 10")))
    assert objects(found["a"]) == {1: ["dog/0.png"], 2: ["man 2/0.png"], 3: ["man 10/0.png"]}
    assert objects(clips("a.mp4", f"{masks}/dog/0.png")["a"]) == {1: ["dog/0.png"]}


@pytest.mark.parametrize(
    ("masks", "numbers"),
    [
        (["a_mask.mp4"], [None]),
        (["a.mask.mov"], [None]),
        (["a_Mask.MKV"], [None]),
        (["a_mask_2.mp4"], [2]),
        (["a_mask_0.mp4", "a_mask_1.webm"], [0, 1]),
        (["a_mask.mp4", "a_mask_2.mp4", "a_mask_10.mp4"], [1, 2, 10]),
        (["a_mask2.mp4", "a.mask.03.avi"], [2, 3]),
        (["a_mask_1/0.png", "a_mask_3/0.png"], [1, 3]),
    ],
)
def test_one_mask_video_an_object(masks: list[str], numbers: list[int | None]) -> None:
    found = clips("a.mp4", *masks)
    assert [*found] == ["a"]
    assert objects(found["a"]) == {n: [name] for n, name in zip(numbers, masks, strict=True)}


@pytest.mark.parametrize(
    "masks", [["a_mask/0.png"], ["a_masks/1/0.png"], ["a_mask.mp4"], ["a_mask_1/0.png"]]
)
def test_a_folder_of_frames_beside_its_masks(masks: list[str]) -> None:
    found = clips("x/a/1.jpg", "x/a/2.jpg", *(f"x/{mask}" for mask in masks))
    assert [*found] == ["a"]
    assert [file.role for file in found["a"].files] == ["frame", "frame", "mask"]
    assert found["a"].problem is None


@pytest.mark.parametrize("masks", ["masks/0.png", "mask/7/0.png"])
def test_frames_and_masks_in_a_folder_of_their_own(masks: str) -> None:
    image = "images" if masks.startswith("masks") else "image"
    found = clips(f"x/a/{image}/0.jpg", f"x/a/{masks}", "x/a/alpha/0.png")
    assert [*found] == ["a"]
    assert [file.role for file in found["a"].files] == ["frame", "mask"]
    assert objects(found["a"]) == ({None: ["masks/0.png"]} if "s/0" in masks else {7: ["7/0.png"]})
    assert passed(f"x/a/{image}/0.jpg", f"x/a/{masks}", "x/a/alpha/0.png") == {
        "alpha": ["x/a/alpha/0.png"]
    }


def test_frames_in_a_videos_folder_are_no_masks() -> None:
    frames = "a/images/0.jpg"
    assert objects(clips("a.mp4", frames, "a/masks/0.png")["a"]) == {None: ["masks/0.png"]}
    assert objects(clips("a.mp4", frames, "a/mask/2/0.png")["a"]) == {2: ["2/0.png"]}
    assert objects(clips("a.mp4", frames, "a/dog/0.png", "a/cat/0.png")["a"]) == {
        1: ["cat/0.png"],
        2: ["dog/0.png"],
    }
    assert problems("a.mp4", frames) == {"a": "no_annotation", "images": "no_annotation"}
    assert passed("a.mp4", frames, "a/masks/0.png") == {"unknown": [frames]}


@pytest.mark.parametrize("place", ["", "export/", "t.tar|"])
@pytest.mark.parametrize(("image", "mask"), [("image", "mask"), ("images", "masks")])
def test_videomamas_own_layout(place: str, image: str, mask: str) -> None:
    paths = (
        *(f"{image}/{name}/0000.jpg" for name in ("a", "b")),
        *(f"{mask}/{name}/0000.png" for name in ("a", "c")),
        *("alpha/a/0000.png", "about/a.json", "metadata.parquet"),
    )
    found = clips(*(place + path for path in paths))
    assert {name: clip.problem and clip.problem.reason for name, clip in found.items()} == {
        "a": None,
        "b": "no_annotation",
        "c": "no_video",
    }
    assert [file.role for file in found["a"].files] == ["frame", "mask", "about"]
    path = place.replace("|", "/")
    assert passed(*(place + path for path in paths)) == {
        "alpha": [f"{path}alpha/a/0000.png"],
        "unknown": [f"{path}metadata.parquet"],
    }


def test_what_sav_eval_reads_is_passed_over_by_name() -> None:
    paths = ("JPEGImages/a/0.jpg", "Annotations/a/0.png", "a.mp4", "a/0.png")
    assert problems(*paths) == {"a": None}
    assert passed(*paths) == {"other_layout": ["JPEGImages/a/0.jpg", "Annotations/a/0.png"]}


def test_clips_lie_in_folders_however_deep_and_each_in_its_own() -> None:
    paths = ("x/a.mp4", "x/a/0.png", "y/b.mp4", "z/b_mask.mp4", "x/deep/c.mov", "x/deep/c/1.png")
    assert problems(*paths) == {
        "a": None,
        "b": "no_annotation",
        "b_mask": "no_video",
        "c": None,
    }


# names


def test_names_with_spaces_dots_and_umlauts_have_safe_keys_and_keep_their_own() -> None:
    names = ["My clip (1)", "Zoë läuft", "a.b", "a b", "a_b"]
    found = clips(*(f"{n}.mp4" for n in names), *(f"{n}/1.png" for n in names))
    assert sorted(found) == sorted(names)
    for name, clip in found.items():
        assert clip.video_id == safe_key(name)
        assert clip.name == (None if name == "a_b" else name)
        assert clip.problem is None


def test_a_name_that_ends_as_masks_do_is_a_clip_if_it_has_masks() -> None:
    assert problems("gas_mask.mp4", "gas_mask/0.png") == {"gas_mask": None}
    assert problems("gas_mask.mp4", "gas_mask_mask.mp4") == {"gas_mask": None}
    assert problems("gas.mp4", "gas_mask.mp4") == {"gas": None}


# refused


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["a.mp4", "a.mov", "a/0.png"], "a.mov and a.mp4 are both there; remove one"),
        (["a.mp4", "a.MP4", "a/0.png"], "a.MP4 and a.mp4 are both there"),
        (["a.mp4", "a/0.png", "a_mask/0.png"], "a/ and a_mask could both be its masks"),
        (["a.mp4", "a/0.png", "a_mask.mp4"], "a/ and a_mask could both be its masks"),
        (["a.mp4", "a_mask/0.png", "a_masks/0.png"], "a_mask and a_masks are both object 1"),
        (["a.mp4", "a_mask.mp4", "a.mask.mp4"], "a.mask and a_mask are both object 1"),
        (["a.mp4", "a_mask.mp4", "a_mask_1.mp4"], "a_mask and a_mask_1 are both object 1"),
        (["a.mp4", "a_mask.mp4", "a_mask.mov"], "there are two a_mask"),
        (["a.mp4", "a_mask.mp4", "a_mask/0.png"], "there are two a_mask"),
        (["a.mp4", "a_mask_1.mp4", "a_mask_2/0.png"], "its masks are videos and folders"),
        (["a.mp4", "a/0.png", "a/1/0.png"], "a/ holds masks and a/1/; move one"),
        (["a.mp4", "a_mask_1/0.png", "a_mask_2/x/0.png"], "a_mask_2/ is one of several"),
        (["image/a/0.jpg", "mask/a/0.png", "mask/a/1/0.png"], "a/ holds masks and a/1/"),
        (["a.mp4", "a/0.png", "a/00.png"], "a/0.png and a/00.png are both frame 0; remove one"),
        (["a.mp4", "a/x.png", "a/x.jpg"], "a/x.jpg and a/x.png are both frame x; remove one"),
        (["a/1.jpg", "a/1.png", "a_mask/1.png"], "a/1.jpg and a/1.png are both frame 1"),
        (["a/1.jpg", "a/2.jpg", "a_mask/x1.png", "a_mask/1 (2).png"], None),
    ],
)
def test_where_two_could_be_meant_the_clip_is_refused(paths: list[str], said: str | None) -> None:
    problem = clips(*paths)["a"].problem
    if said is None:
        assert problem is None
        return
    assert isinstance(problem, Problem)
    assert (problem.status, problem.reason) == ("failed", "two_files")
    assert said in problem.message


@pytest.mark.parametrize(
    ("paths", "name", "reason", "said"),
    [
        (["a.mp4"], "a", "no_annotation", "beside a.mp4 there are no masks: no a/, no a_mask"),
        (["a/0.jpg", "a/1.jpg"], "a", "no_annotation", "a/ holds 2 pictures, and beside it is"),
        (["a_mask.mp4"], "a_mask", "no_video", "a_mask.mp4 lies without the video"),
        (["a_mask/0.png"], "a_mask", "no_video", "a_mask/0.png lies without the video"),
        (["a.mp4", "a/0.png", "a/thumb.png"], "a", "frame_name", "thumb has no number"),
        (["a/0.jpg", "a/x.jpg", "a_mask/0.png"], "a", "frame_name", "x has no number"),
    ],
)
def test_what_is_missing_or_misnamed_is_told(
    paths: list[str], name: str, reason: str, said: str
) -> None:
    problem = clips(*paths)[name].problem
    assert problem is not None
    assert problem.reason == reason
    assert said in problem.message


def test_what_belongs_to_no_clip_is_passed_over() -> None:
    paths = ("a.mp4", "a/0.png", "loose.png", "a/1/2/0.png", "notes.txt", "b.tif", "a/x.mp4")
    found = passed(*paths)
    assert found == {"unknown": ["loose.png", "a/1/2/0.png", "notes.txt", "a/x.mp4"]} | {
        "other_image": ["b.tif"]
    }


# whatever lies there

PART = st.sampled_from(
    ["a", "b", "a_mask", "a_mask_2", "a.mask", "b_masks", "image", "mask", "masks", "alpha", "1"]
)
FILE = st.tuples(
    st.lists(PART, max_size=3), PART, st.sampled_from([".mp4", ".MOV", ".png", ".jpg"])
)
PATHS = st.lists(FILE.map(lambda f: "/".join([*f[0], f[1] + f[2]])), max_size=14, unique=True)


@given(PATHS, st.integers())
def test_no_file_is_in_two_clips_and_none_is_lost_whatever_the_order(
    paths: list[str], seed: int
) -> None:
    found = listing(*paths)
    refs = footage_clips(found)
    used = [file.uri for clip in refs for file in clip.files]
    over = found.passing.result()
    assert len(used) == len(set(used))
    assert len(used) + sum(over.counts.values()) == len(paths)
    shuffled = list(paths)
    random.Random(seed).shuffle(shuffled)
    again = footage_clips(listing(*shuffled))
    assert again == refs
    for clip in refs:
        if clip.problem is None:
            groups = mask_groups(clip)
            owners = [group.owner for group in groups]
            assert len(set(owners)) == len(owners)
            assert {file for group in groups for file in group.files} == {*clip.role("mask")}
            assert len(clip.role("video")) + bool(clip.role("frame")) == 1


@given(st.text(min_size=1, max_size=8).filter(lambda name: not set(name) & {*"/|"}))
def test_any_name_pairs_with_itself_and_its_masks(name: str) -> None:
    for masks in (f"{name}/0.png", f"{name}_mask/0.png", f"{name}_mask.mp4"):
        found = clips(f"{name}.mp4", masks)
        assert [*found] == [name]
        assert found[name].problem is None
