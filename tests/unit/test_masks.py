"""Run lengths are checked before anything decodes them, and decode as COCO's own do."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from mav_pipeline.media.masks import (
    at_size,
    decode_rle,
    encode_rle,
    parse_rle,
    rle_box,
    run_lengths,
    visible_spans,
)
from mav_pipeline.schema import Mask, WorkingSize
from mav_pipeline.schema.errors import InputError
from tests.fakes import rle

SIDES = st.integers(1, 40)
MASKS = hnp.arrays(np.bool_, st.tuples(SIDES, SIDES))


def compressed(runs: list[int]) -> bytes:
    """COCO's writing of run lengths, from its description: the reader must undo it."""
    text = bytearray()
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            digit, value = value & 31, value >> 5
            more = value != (-1 if digit & 16 else 0)
            text.append(48 + digit + 32 * more)
    return bytes(text)


def refused(data: Any, height: int = 4, width: int = 5) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_rle(data, height, width, role="manual")
    assert (caught.value.role, caught.value.stage) == ("manual", "masks")
    assert caught.value.status == "failed"
    return caught.value


@given(MASKS)
def test_run_lengths_are_those_of_the_mask(mask: Mask) -> None:
    runs = run_lengths(rle(mask)["counts"].encode())
    values = np.arange(runs.size) % 2 == 1
    np.testing.assert_array_equal(np.repeat(values, runs), mask.ravel(order="F"))


@given(st.lists(st.integers(0, 2**31 - 1), max_size=30))
def test_run_lengths_of_any_size_are_read(runs: list[int]) -> None:
    assert run_lengths(compressed(runs)).tolist() == runs


@given(st.binary(max_size=12))
def test_any_bytes_give_run_lengths_or_a_value_error(counts: bytes) -> None:
    try:
        assert run_lengths(counts).dtype == np.int64
    except ValueError:
        assert counts


@given(MASKS)
def test_parsing_and_decoding_agree_with_pycocotools(mask: Mask) -> None:
    data = rle(mask)
    parsed = parse_rle(data, *mask.shape, role="manual")
    if not mask.any():
        assert parsed is None
        return
    assert parsed is not None
    assert parsed.area == mask.sum() == coco.area(data)
    np.testing.assert_array_equal(decode_rle(parsed), mask)
    assert parsed == encode_rle(mask)


@given(MASKS)
def test_uncompressed_counts_mean_the_same(mask: Mask) -> None:
    data = rle(mask)
    runs = run_lengths(data["counts"].encode())
    for counts in (runs.tolist(), runs.astype(float).tolist()):
        listed = {"size": data["size"], "counts": counts}
        whole = parse_rle(data, *mask.shape, role="manual")
        assert parse_rle(listed, *mask.shape, role="manual") == whole


@given(MASKS.filter(lambda mask: bool(mask.any())))
def test_the_box_holds_the_mask_and_nothing_to_spare(mask: Mask) -> None:
    found = encode_rle(mask)
    assert found is not None
    top, left, bottom, right = rle_box(found)
    rows, columns = np.nonzero(mask)
    assert (top, bottom) == (rows.min(), rows.max() + 1)
    assert (left, right) == (columns.min(), columns.max() + 1)


@given(MASKS, st.integers(-3, 3).filter(bool), st.booleans())
def test_counts_that_sum_short_or_long_are_never_decoded(
    mask: Mask, change: int, listed: bool
) -> None:
    height, width = mask.shape
    runs = run_lengths(rle(mask)["counts"].encode()).tolist()
    runs[-1] += change
    if runs[-1] < 0:
        return
    counts = runs if listed else compressed(runs).decode()
    error = refused({"size": [height, width], "counts": counts}, height, width)
    assert error.reason == "rle_sum"


def test_no_counts_at_all_sum_short() -> None:
    assert refused({"size": [4, 5], "counts": ""}).reason == "rle_sum"
    assert refused({"size": [4, 5], "counts": []}).reason == "rle_sum"


def test_a_negative_run_is_refused_though_the_sum_is_right() -> None:
    counts = compressed([12, 10, -2]).decode()
    assert run_lengths(counts.encode()).sum() == 20
    assert refused({"size": [4, 5], "counts": counts}).reason == "rle_sum"


def test_runs_whose_sum_overflows_64_bits_are_refused() -> None:
    counts = [2**63 - 1, 2**63 - 1, 2, 20]
    assert refused({"size": [4, 5], "counts": counts}).reason == "rle_sum"


def test_another_size_is_named() -> None:
    mask = np.ones((4, 5), np.bool_)
    assert "5x4" in refused(rle(mask), 5, 4).cause
    assert refused(rle(mask), 5, 4).reason == "rle_size"


def test_null_and_all_zero_masks_are_invisible() -> None:
    assert parse_rle(None, 4, 5, role="manual") is None
    assert parse_rle(rle(np.zeros((4, 5), np.bool_)), 4, 5, role="manual") is None
    assert encode_rle(np.zeros((4, 5), np.bool_)) is None


@pytest.mark.parametrize(
    "data",
    [
        "text",
        [],
        {"counts": "0"},
        {"size": [4, 5]},
        {"size": [4], "counts": "0"},
        {"size": ["a", "b"], "counts": "0"},
        {"size": [float("inf"), 5], "counts": "0"},
        {"size": [4, 5], "counts": None},
        {"size": [4, 5], "counts": 20},
        {"size": [4, 5], "counts": "d€0"},
        {"size": [4, 5], "counts": " "},
        {"size": [4, 5], "counts": "P"},
        {"size": [4, 5], "counts": "oooooooo0"},
        {"size": [4, 5], "counts": [20, "x"]},
        {"size": [4, 5], "counts": [-1, 21]},
        {"size": [4, 5], "counts": [float("nan")]},
        {"size": [4, 5], "counts": [float("inf")]},
        {"size": [4, 5], "counts": [1e300]},
    ],
)
def test_what_is_no_rle_is_an_input_error(data: Any) -> None:
    assert refused(data).reason.startswith("rle")


def test_a_mask_at_working_size_is_its_majority_then_padded() -> None:
    mask = np.zeros((8, 8), np.bool_)
    mask[:, 3:] = True  # the second pair of columns is half covered, and counts
    small = at_size(mask, WorkingSize(4, 4, 6, 5))
    np.testing.assert_array_equal(small[0], [False, True, True, True, True])
    assert small.shape == (6, 5)
    np.testing.assert_array_equal(small, np.repeat(small[:1], 6, axis=0))


def test_a_mask_at_source_size_is_itself() -> None:
    mask = np.eye(6, dtype=np.bool_)
    np.testing.assert_array_equal(at_size(mask, WorkingSize(6, 6, 6, 6)), mask)


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 4))
def test_spans_cover_the_visible_frames_and_join_short_gaps(shown: list[bool], join: int) -> None:
    spans = visible_spans(shown, join)
    inside = {index for start, end in spans for index in range(start, end)}
    assert {index for index, seen in enumerate(shown) if seen} <= inside
    for start, end in spans:
        assert shown[start]
        assert shown[end - 1]
        assert "0" * (join + 1) not in "".join("01"[seen] for seen in shown[start:end])
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert start - end > join
