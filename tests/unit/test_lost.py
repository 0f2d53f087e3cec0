"""Frames on which an object is in the picture and not in its mask, and true absences that are none.

Scenes are painted here: a ball of coloured tiles moves over a wall of gray ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mav_pipeline.cli import load_config
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.quality import LostFrames
from mav_pipeline.quality.gaps import Gap, find_gaps
from mav_pipeline.quality.likeness import appearance, find, middle
from mav_pipeline.quality.rule import quality_of
from mav_pipeline.schema import Frame, Mask, Masklet
from mav_pipeline.schema.version import FORMER_DEFAULTS
from tests.fakes import build_set, encode_mp4, sav_json, write

HEIGHT, WIDTH, RADIUS, COUNT = 144, 256, 20, 12
_RNG = np.random.default_rng(3)
WALL = cv2.resize(
    _RNG.integers(90, 150, (9, 16, 1)).repeat(3, axis=2).astype(np.uint8),
    (WIDTH, HEIGHT),
    interpolation=cv2.INTER_NEAREST,
)
BALL, COVER = (
    cv2.resize(
        np.stack([_RNG.integers(low, high, (6, 6)) for low, high in channels], axis=2).astype(
            np.uint8
        ),
        (4 * RADIUS, 4 * RADIUS),
        interpolation=cv2.INTER_NEAREST,
    )
    for channels in (((150, 255), (20, 90), (0, 60)), ((0, 60), (40, 160), (150, 255)))
)


def place(index: int) -> tuple[int, int]:
    """(y, x) of the ball's centre: across the middle, well inside."""
    return 70 + index % 3, 60 + 11 * index


def disc(at: tuple[int, int], radius: int = RADIUS) -> Mask:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray((y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2)


def painted(frame: Frame, texture: Frame, at: tuple[int, int], radius: int = RADIUS) -> Frame:
    """The frame with a textured disc in it."""
    there = disc(at, radius)
    y, x = np.nonzero(there)
    size = len(texture)
    found = frame.copy()
    found[there] = texture[(y - at[0] + size // 2) % size, (x - at[1] + size // 2) % size]
    return found


def scene(count: int = COUNT, without: Collection[int] = ()) -> tuple[list[Frame], list[Mask]]:
    """Frames, and masks of the ball, which is not there on some."""
    shown = [n not in without for n in range(count)]
    frames = [painted(WALL, BALL, place(n)) if there else WALL for n, there in enumerate(shown)]
    masks = [disc(place(n)) & there for n, there in enumerate(shown)]
    return frames, masks


def looked(
    frames: Sequence[Frame],
    masks: Sequence[Mask],
    annotated: tuple[bool, ...] | None = None,
) -> LostFrames:
    """What comes of a masklet, as a build goes through it."""
    rles = tuple(map(encode_rle, masks))
    lost = LostFrames.of(Masklet("manual_000", 0, "manual", rles, annotated=annotated))
    for index, frame in enumerate(frames):
        if lost.wants(index):
            lost.see(index, frame)
    return lost


def dropped(masks: Sequence[Mask], frames: Collection[int]) -> list[Mask]:
    return [mask & (index not in frames) for index, mask in enumerate(masks)]


# a tracker's doing


@pytest.mark.parametrize(
    "gone",
    [{5}, {2, 5, 8}, {4, 5, 6}, {1, 3, 4, 7, 9}, {8, 9, 10, 11}],
    ids=["once", "now and then", "a run", "a mix", "from a point on"],
)
def test_masks_that_are_missing_while_the_object_goes_on_are_lost(gone: set[int]) -> None:
    frames, masks = scene()
    lost = looked(frames, dropped(masks, gone))
    assert (lost.gone, lost.crumbs) == (gone, set())


def test_a_crumb_of_a_mask_is_lost_too() -> None:
    frames, masks = scene()
    for index in (4, 5):
        masks[index] = disc(place(index), RADIUS // 4)
    lost = looked(frames, masks)
    assert (lost.gone, lost.crumbs) == (set(), {4, 5})


def test_frames_may_have_another_size_than_the_masks() -> None:
    frames, masks = scene()
    small = [cv2.resize(frame, (WIDTH * 3 // 4, HEIGHT * 3 // 4)) for frame in frames]
    assert looked(small, dropped(masks, {3, 7})).gone == {3, 7}


# true absences


@pytest.mark.parametrize("gone", [{5}, {4, 5, 6, 7}, {9, 10, 11}])
def test_an_object_that_is_not_there_is_not_lost(gone: set[int]) -> None:
    lost = looked(*scene(without=gone))
    assert not lost.gone | lost.crumbs


def test_an_object_behind_another_is_not_lost() -> None:
    frames, masks = scene()
    post = (72, place(5)[1])
    frames = [painted(frame, COVER, post, 2 * RADIUS) for frame in frames]
    behind = disc(post, 2 * RADIUS)
    masks = [mask & ~behind for mask in masks]
    assert any(not mask.any() for mask in masks)
    lost = looked(frames, masks)
    assert not lost.gone | lost.crumbs


@pytest.mark.parametrize("step", [7, 12, 30])
def test_an_object_that_leaves_through_the_border_is_not_lost(step: int) -> None:
    at = [(70, 150 + step * n) for n in range(COUNT)]
    frames = [painted(WALL, BALL, where) for where in at]
    masks = [disc(where) for where in at]
    for index, where in enumerate(at):  # its tracker gives up while half of it is to be seen
        if where[1] + RADIUS > WIDTH:
            masks[index] = np.zeros_like(masks[index])
    assert not looked(frames, masks).gone


def test_an_object_like_its_ground_tells_nothing() -> None:
    _, masks = scene()
    assert not looked([WALL] * COUNT, dropped(masks, {3, 6})).gone


def test_a_cut_loses_nothing() -> None:
    frames, masks = scene()
    other = np.ascontiguousarray(np.rot90(frames[0], 2))
    frames[6:] = [other] * (COUNT - 6)
    assert not looked(frames, dropped(masks, range(6, COUNT))).gone


def test_frames_that_nobody_annotated_are_not_lost() -> None:
    frames, masks = scene()
    annotated = tuple(index % 2 == 0 for index in range(COUNT))
    unseen = dropped(masks, {n for n in range(COUNT) if not annotated[n]})
    assert not looked(frames, unseen, annotated).gone
    assert looked(frames, dropped(unseen, {4}), annotated).gone == {4}


def test_what_is_found_does_not_hang_on_the_number_of_threads() -> None:
    frames, masks = scene()
    rle = encode_rle(masks[0])
    assert rle is not None
    threads, found = cv2.getNumThreads(), []
    try:
        for count in (1, 2, 4):
            cv2.setNumThreads(count)
            known = appearance(frames[0], rle)
            assert known is not None
            found.append(find(known, frames[1], (HEIGHT, WIDTH), middle(rle)))
    finally:
        cv2.setNumThreads(threads)
    assert found[0] == found[1] == found[2]
    assert found[0].at == pytest.approx(place(1), abs=3)


# what is looked at


def test_a_masklet_without_a_gap_is_not_looked_at() -> None:
    _, masks = scene()
    rles = tuple(map(encode_rle, masks))
    lost = LostFrames.of(Masklet("manual_000", 0, "manual", rles))
    assert not any(lost.wants(index) for index in range(COUNT))


def test_gaps_are_those_of_objects_that_are_whole_before_and_after() -> None:
    def gaps(*radii: int) -> tuple[Gap, ...]:
        rles = [
            encode_rle(disc(place(n), radius)) if radius else None for n, radius in enumerate(radii)
        ]
        return find_gaps(rles, [True] * len(rles))

    assert gaps(20, 20, 0, 20) == (Gap(1, (2,), 3),)
    assert gaps(20, 0, 20, 0, 0, 20) == (Gap(0, (1,), 2), Gap(2, (3, 4), 5))
    assert gaps(20, 20, 8, 20) == (Gap(1, (2,), 3),)  # a crumb
    assert gaps(20, 20, 12, 20) == ()  # smaller, and no crumb
    assert gaps(20, 14, 10, 0, 20) == ()  # it goes behind something
    assert gaps(20, 0, 10, 15, 20) == ()  # it comes from behind something
    assert gaps(0, 0, 20, 20) == ()  # it comes
    assert gaps(4, 0, 4) == ()  # a speck
    assert gaps(20, 20, 8, 8) == ()  # it is that small from then on
    assert gaps(20, 20, 0) == (Gap(1, (2,), None),)
    assert gaps(20, 8, 8, 0) == ()  # what is left may be a crumb of something else


# a build


def built_row(folder: Path, gone: Collection[int], *overrides: str) -> dict[str, Any]:
    frames, masks = scene()
    video = [frame for frame in frames for _ in range(4)][: 4 * COUNT - 3]
    write(folder / "in" / "sav_000001.mp4", encode_mp4(np.stack(video)))
    document = sav_json("sav_000001", {0: dropped(masks, gone)}, shape=(HEIGHT, WIDTH))
    write(folder / "in" / "sav_000001_manual.json", document)
    words = (f"source.root={folder / 'in'}", f"output.root={folder / 'out'}", "matting=binary")
    (row,) = build_set(load_config((*words, *overrides))).rows().to_pylist()
    return dict(row)


def test_a_masklet_that_was_lost_is_rejected_and_says_on_how_many_frames(tmp_path: Path) -> None:
    row = built_row(tmp_path, {3, 4, 8, 10, 11})
    assert (row["status"], row["reasons"]) == ("rejected", ["lost_frames"])
    assert (row["lost_frames"], row["lost_share"]) == (5, round(5 / 12, 6))
    assert row["visible_frames"] == 7
    assert row["quality"] < quality_of(5 / 12), "what is lost is wrong by all of its alpha"


def test_a_masklet_that_was_followed_throughout_has_lost_nothing(tmp_path: Path) -> None:
    row = built_row(tmp_path, ())
    assert (row["status"], row["lost_frames"], row["lost_share"]) == ("accepted", 0, 0.0)


def test_basic_scores_do_not_look_and_the_automatic_gate_is_off(tmp_path: Path) -> None:
    row = built_row(tmp_path, {3, 4, 8}, "quality.scores=basic")
    assert (row["status"], row["lost_frames"], row["lost_share"]) == ("accepted", None, None)


def test_older_sets_were_built_without_the_gate() -> None:
    assert FORMER_DEFAULTS["quality.max_lost_share"] is None
