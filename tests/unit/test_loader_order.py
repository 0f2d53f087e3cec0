"""Shares, orders and crops by properties: nothing twice, nothing lost, nothing outside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.train.loader.order import crop_frames, crop_window, epoch_order, share

small = st.integers(1, 12)
seeds = st.integers(0, 2**32)
#: Items of each shard; a shard may have none.
sets = st.lists(st.integers(0, 6), min_size=1, max_size=9).filter(sum)


def shards_of(counts: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


@given(st.integers(0, 200), small)
def test_shares_cover_all_once_and_differ_by_one(count: int, parts: int) -> None:
    shares = [share(count, part, parts) for part in range(parts)]
    assert [*itertools.chain(*shares)] == [*range(count)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(sets, seeds, st.integers(0, 99))
def test_an_epoch_holds_every_item_once_and_shards_stand_together(
    counts: list[int], seed: int, epoch: int
) -> None:
    shards = shards_of(counts)
    order = epoch_order(shards, seed=seed, epoch=epoch, shuffle=True, draws=None)
    assert sorted(order) == [*range(len(shards))]
    runs = [[*run] for _, run in itertools.groupby(order, key=lambda item: shards[item])]
    assert len(runs) == sum(count > 0 for count in counts)
    assert all(run == sorted(run) for run in runs)
    again = epoch_order(shards, seed=seed, epoch=epoch, shuffle=True, draws=None)
    assert order.tolist() == again.tolist()


@given(sets, seeds)
def test_without_shuffling_an_epoch_is_the_set(counts: list[int], seed: int) -> None:
    order = epoch_order(shards_of(counts), seed=seed, epoch=0, shuffle=False, draws=None)
    assert order.tolist() == [*range(sum(counts))]


@given(sets, seeds, st.integers(1, 50), st.booleans())
def test_draws_are_as_many_as_asked_and_shards_stand_together(
    counts: list[int], seed: int, draws: int, shuffle: bool
) -> None:
    shards = shards_of(counts)
    order = epoch_order(shards, seed=seed, epoch=0, shuffle=shuffle, draws=draws)
    assert len(order) == draws
    runs = [shard for shard, _ in itertools.groupby(shards[order])]
    assert len(runs) == len(set(runs))


def test_draws_are_even() -> None:
    order = epoch_order(shards_of([1, 3]), seed=0, epoch=0, shuffle=True, draws=40_000)
    counts = np.bincount(order)
    assert counts.min() > 9_700
    assert counts.max() < 10_300


def test_epochs_and_seeds_differ() -> None:
    shards = shards_of([1] * 20)
    orders = {
        tuple(epoch_order(shards, seed=seed, epoch=epoch, shuffle=True, draws=None).tolist())
        for seed, epoch in itertools.product(range(3), range(3))
    }
    assert len(orders) == 9


flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(flags.filter(lambda pairs: any(usable for _, usable in pairs)), small, st.none() | seeds)
def test_a_crop_is_of_usable_frames_and_sees_the_object(
    pairs: list[tuple[bool, bool]], count: int, seed: int | None
) -> None:
    visible, usable = np.array(pairs).T
    random = None if seed is None else np.random.default_rng(seed)
    start, stop = crop_frames(visible, usable, count, random)
    assert 0 <= start < stop <= len(usable)
    assert usable[start:stop].all()
    runs = [sum(run) for flag, run in itertools.groupby(usable.tolist()) if flag]
    assert stop - start == min(count, max(runs))
    fit = [at for at in range(len(usable) - count + 1) if usable[at : at + count].all()]
    if stop - start == count and random is None and max(runs) > count:
        assert start == fit[0]
    if stop - start == count and random is not None and max(runs) > count:
        shows = any(visible[at : at + count].any() for at in fit)
        assert visible[start:stop].any() or not shows
    assert crop_frames(visible, usable, None, random) == longest(usable.tolist())


def longest(usable: list[bool]) -> tuple[int, int]:
    spans = itertools.combinations(range(len(usable) + 1), 2)
    whole = [(start, stop) for start, stop in spans if all(usable[start:stop])]
    return max(whole, key=lambda span: (span[1] - span[0], -span[0]))


def test_every_crop_that_sees_the_object_is_taken_at_times() -> None:
    visible, usable = np.array([False] * 4 + [True] + [False] * 5), np.ones(10, np.bool_)
    crops = {crop_frames(visible, usable, 3, np.random.default_rng(seed)) for seed in range(60)}
    assert crops == {(2, 5), (3, 6), (4, 7)}


@given(st.tuples(small, small), st.tuples(small, small), st.none() | seeds)
def test_a_window_lies_inside_and_touches_two_borders(
    shape: tuple[int, int], size: tuple[int, int], seed: int | None
) -> None:
    random = None if seed is None else np.random.default_rng(seed)
    rows, columns = crop_window(shape, size, random)
    sides = (rows.stop - rows.start, columns.stop - columns.start)
    assert 0 <= rows.start < rows.stop <= shape[0]
    assert 0 <= columns.start < columns.stop <= shape[1]
    assert sides[0] == shape[0] or sides[1] == shape[1]


@pytest.mark.parametrize(
    ("shape", "size", "window"),
    [
        ((720, 1280), (512, 512), (slice(0, 720), slice(280, 1000))),
        ((1280, 720), (512, 512), (slice(280, 1000), slice(0, 720))),
        ((720, 1280), (720, 1280), (slice(0, 720), slice(0, 1280))),
        ((720, 1280), (36, 64), (slice(0, 720), slice(0, 1280))),
    ],
)
def test_the_middle_is_the_largest_part_of_that_shape(
    shape: tuple[int, int], size: tuple[int, int], window: tuple[slice, slice]
) -> None:
    assert crop_window(shape, size, None) == window


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12).filter(
        lambda flags: any(seen and usable for seen, usable in flags)
    ),
    st.integers(1, 6),
    st.none() | st.integers(0, 99),
)
def test_a_run_that_begins_with_its_object_is_as_long_as_can_be(
    flags: list[tuple[bool, bool]], count: int, seed: int | None
) -> None:
    visible, usable = np.array(flags, np.bool_).T
    random = None if seed is None else np.random.default_rng(seed)
    start, stop = crop_frames(visible, usable, count, random, seen_first=True)
    assert visible[start]
    assert usable[start:stop].all()
    assert 1 <= stop - start <= count
    for other in np.flatnonzero(visible & usable):
        assert not usable[other : other + stop - start + 1].all() or (
            other + stop - start + 1 > len(flags) or stop - start == count
        )
