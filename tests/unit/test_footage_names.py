"""Loose names: natural order, the number that a frame has, and which mask is of which frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.footage.match import BY_ORDER, FROM_ZERO, by_names, by_order, by_time
from mav_pipeline.sources.footage.names import frame_numbers, natural_key, stem

NAMES = st.text("ab1209._- é", min_size=1, max_size=8)
WORD = st.text("abx_.-", max_size=4)


# order


@given(st.lists(NAMES, max_size=12))
def test_the_order_does_not_depend_on_the_order_found(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


@given(WORD, WORD, st.lists(st.integers(0, 10**9), unique=True))
def test_numbers_count_as_people_count(head: str, tail: str, numbers: list[int]) -> None:
    names = [f"{head}{number}{tail}.png" for number in numbers]
    ordered = sorted(names, key=natural_key)
    assert ordered == [f"{head}{number}{tail}.png" for number in sorted(numbers)]


@given(st.lists(NAMES, unique=True, max_size=8))
def test_no_two_names_count_alike(names: list[str]) -> None:
    assert len({str(natural_key(name)) for name in names}) == len(names)


def test_of_numbers_that_are_alike_the_texts_decide() -> None:
    names = ["a10", "a02", "a2", "a1", "b1", "a", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a1", "a02", "a2", "a10", "b1"]


# numbers


@given(
    st.lists(st.integers(0, 900), min_size=1, unique=True),
    st.integers(1, 6),
    WORD,
    st.sampled_from(["", "_mask", ".v", " copy", "-a"]),
)
def test_a_number_amid_fixed_words_is_the_frames(
    numbers: list[int], width: int, head: str, tail: str
) -> None:
    names = [f"{head}{number:0{width}d}{tail}" for number in numbers]
    assert frame_numbers(names) == tuple(numbers)


@given(st.lists(st.integers(0, 900), min_size=2, unique=True), st.integers(0, 99))
def test_a_number_that_all_share_is_no_frames(numbers: list[int], fixed: int) -> None:
    for form in ("shot_{1}.{0:04d}", "{0}_v{1}", "clip{1}-frame{0:05d}", "{1}_{0}_{1}"):
        assert frame_numbers([form.format(n, fixed) for n in numbers]) == tuple(numbers), form


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["frame_00001", "frame_00002"], (1, 2)),
        (["shot.1001", "shot.1002"], (1001, 1002)),
        (["00000", "00004"], (0, 4)),
        (["7"], (7,)),
        (["2024-05-01_0001", "2024-05-01_0002"], (1, 2)),
        (["a", "b", "c"], None),
        ([], None),
        (["20240501120000", "20240501120500"], None),  # times
        (["frame_0001_v2", "frame_0002_v2"], (1, 2)),
        (["0001_v1", "0001_v2", "0002_v1", "0002_v2"], (1, 2, 1, 2)),
        (["x1", "x1 (1)"], (1, 1)),
    ],
)
def test_numbers_of_names_that_people_give(
    names: list[str], numbers: tuple[int, ...] | None
) -> None:
    assert frame_numbers(names) == numbers


def test_a_name_without_a_number_among_others_is_named() -> None:
    with pytest.raises(ValueError, match="thumb has no number, and others have"):
        frame_numbers(["0001", "thumb", "0002"])


@pytest.mark.parametrize(
    ("name", "found"),
    [("a/shot.1001.png", "shot.1001"), ("b.PNG", "b"), ("no_ending", ""), ("x/y/z.a.mp4", "z.a")],
)
def test_a_stem_is_the_name_without_its_ending(name: str, found: str) -> None:
    assert stem(name) == found


# which frame

FRAMES = st.lists(st.integers(0, 400), min_size=1, max_size=40, unique=True).map(sorted)


@given(FRAMES, st.data())
def test_masks_that_have_the_numbers_of_frames_are_theirs(
    frames: list[int], data: st.DataObject
) -> None:
    masks = data.draw(st.lists(st.sampled_from(frames), min_size=1, unique=True))
    match = by_names(masks, frames, is_video=False)
    assert match.frames == {mask: mask for mask in masks}
    assert match.notes == ()


@given(st.integers(1, 60), st.integers(1, 2000), st.booleans())
def test_as_many_masks_that_are_numbered_otherwise_go_by_order_and_say_so(
    count: int, off: int, is_video: bool
) -> None:
    frames, masks = range(count), range(off, off + count)
    match = by_names(masks, frames, is_video=is_video)
    assert match.frames == dict(zip(masks, frames, strict=True))
    assert match.notes == (BY_ORDER,)


@given(st.lists(st.integers(0, 60), min_size=1, unique=True), st.integers(1, 60), st.booleans())
def test_every_mask_has_a_frame_of_its_own_in_order_or_all_are_refused(
    masks: list[int], count: int, is_video: bool
) -> None:
    refused = None
    try:
        match = by_names(masks, range(count), is_video=is_video)
    except InputError as error:
        refused = error
    if refused is not None:
        assert refused.reason == "frame_count"
        assert f"{len(masks)} mask" in refused.cause
        assert f"{count} frame" in refused.cause
        return
    kept = sorted(masks) if len(match.frames) == len(masks) else sorted(masks)[:-1]
    assert sorted(match.frames) == kept
    found = [match.frames[mask] for mask in kept]
    assert found == sorted(set(found))
    assert set(found) <= set(range(count))
    if BY_ORDER not in match.notes:
        assert found == kept


def test_a_mask_behind_the_last_frame_is_dropped_and_no_more() -> None:
    assert by_names(range(5), range(4), is_video=True).frames == {n: n for n in range(4)}
    with pytest.raises(InputError, match="6 masks, numbered 0 to 5, for 4 frames, counted 0 to 3"):
        by_names(range(6), range(4), is_video=True)
    with pytest.raises(InputError, match="1 mask, numbered 9, for 4 frames"):
        by_names([9], range(4), is_video=True)


def test_masks_from_1_on_some_frames_of_a_video_say_that_they_count_from_0() -> None:
    match = by_names([1, 2, 3], range(9), is_video=True)
    assert (match.frames, match.notes) == ({1: 1, 2: 2, 3: 3}, (FROM_ZERO,))
    assert by_names([0, 1, 2], range(9), is_video=True).notes == ()
    assert by_names([2, 3], range(9), is_video=True).notes == ()
    assert by_names([1, 2, 3], range(9), is_video=False).notes == ()


def test_names_without_numbers_go_by_order_if_there_are_as_many() -> None:
    assert by_order(3, [4, 6, 9]).frames == {0: 4, 1: 6, 2: 9}
    with pytest.raises(InputError, match="2 masks without numbers in their names for 3 frames"):
        by_order(2, [4, 6, 9])


# by time


@given(st.integers(1, 90), st.floats(1, 120), st.floats(1, 120))
def test_a_mask_video_of_as_many_frames_goes_by_order(count: int, rate: float, fps: float) -> None:
    match = by_time(count, rate, range(count), fps)
    assert match.frames == {n: n for n in range(count)}
    if abs(rate / fps - 1) > 0.01:
        assert match.notes == (BY_ORDER,)


@given(st.integers(2, 60), st.integers(1, 8), st.sampled_from([24.0, 25.0, 30000 / 1001, 29.97]))
def test_a_part_or_a_multiple_of_the_rate_goes_by_time(count: int, times: int, fps: float) -> None:
    slow = by_time(-(-count // times), fps / times, range(count), fps)
    assert slow.frames == dict(enumerate(range(0, count, times)))
    fast = by_time(count * times, fps * times, range(count), fps)
    assert fast.frames == {n * times: n for n in range(count)}
    assert (slow.notes, fast.notes) == ((), ())


@pytest.mark.parametrize("lacks", [-1, 1])
def test_a_mask_video_may_lack_or_have_a_last_frame(lacks: int) -> None:
    for times in (1, 2):
        match = by_time(10 + lacks, 24 / times, range(10 * times), 24)
        assert len(match.frames) == 10 + min(lacks, 0)


@pytest.mark.parametrize(
    ("count", "rate", "frames", "fps"),
    [(8, 24, 10, 24), (12, 24, 10, 24), (8, 24, 10, 30), (5, 30, 300, 30), (10, 12, 300, 24)],
)
def test_a_mask_video_that_fits_neither_is_refused_with_the_numbers(
    count: int, rate: float, frames: int, fps: float
) -> None:
    with pytest.raises(InputError) as caught:
        by_time(count, rate, range(frames), fps)
    assert caught.value.reason == "frame_count"
    said = f"the mask video has {count} frames at {rate} a second, the video {frames} at {fps}"
    assert said in caught.value.cause
