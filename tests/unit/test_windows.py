"""Windows cover a span with their full length, and cross-fade without a jump."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.matting.videomama.windows import (
    fade_weights,
    weights_of,
    window_borders,
    window_starts,
)


@st.composite
def layouts(draw: st.DrawFn, *, at_most_half: bool = False) -> tuple[int, int, int]:
    """(frames, window, overlap)."""
    window = draw(st.integers(1, 30))
    overlap = draw(st.integers(0, window // 2 if at_most_half else window - 1))
    return draw(st.integers(1, 150)), window, overlap


@given(layouts())
def test_every_frame_is_covered_and_windows_are_shifted_not_shrunk(
    layout: tuple[int, int, int],
) -> None:
    frames, window, overlap = layout
    starts = window_starts(*layout)
    covered = {frame for start in starts for frame in range(start, start + window)}
    assert covered >= set(range(frames))
    assert starts[0] == 0
    if frames >= window:
        assert starts[-1] + window == frames
    else:
        assert starts == [0]
    steps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(step == window - overlap for step in steps[:-1])
    assert all(0 < step <= window - overlap for step in steps)


@given(layouts())
def test_no_window_is_run_in_vain(layout: tuple[int, int, int]) -> None:
    frames, window, overlap = layout
    least = 1 + max(0, -(-(frames - window) // (window - overlap)))
    assert len(window_starts(*layout)) == least


@given(layouts())
def test_weights_sum_to_one_and_stay_inside_their_window(layout: tuple[int, int, int]) -> None:
    frames, window, _ = layout
    starts = window_starts(*layout)
    weights = fade_weights(starts, window, frames)
    assert weights.shape == (len(starts), frames)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    for row, start in zip(weights, starts, strict=True):
        inside = np.zeros(frames, np.bool_)
        inside[start : start + window] = True
        assert np.all(row[inside] > 0)
        assert np.all(row[~inside] == 0)


@given(layouts())
def test_a_window_has_the_same_weights_by_itself_as_among_all(
    layout: tuple[int, int, int],
) -> None:
    frames, window, _ = layout
    starts, window = window_starts(*layout), min(window, frames)
    table = fade_weights(starts, window, frames)
    for row, start in enumerate(starts):
        expected = table[row, start : start + window]
        np.testing.assert_array_equal(weights_of(row, starts, window), expected)


def test_one_window_weighs_one() -> None:
    np.testing.assert_array_equal(fade_weights([0], 24, 7), np.ones((1, 7)))


def test_the_ramp_rises_in_equal_steps() -> None:
    weights = fade_weights(window_starts(12, 8, 4), 8, 12)
    np.testing.assert_allclose(weights[1, 4:8], [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(weights[0, 4:8], [0.8, 0.6, 0.4, 0.2])


@given(layouts(at_most_half=True), st.data())
def test_an_offset_between_windows_fades_in_without_a_jump(
    layout: tuple[int, int, int], data: st.DataObject
) -> None:
    frames, window, overlap = layout
    starts = window_starts(*layout)
    first = data.draw(st.integers(0, len(starts)))
    offset = data.draw(st.floats(-10, 10))
    weights = fade_weights(starts, window, frames)
    jumps = np.diff(weights[first:].sum(axis=0) * offset) * np.sign(offset)
    assert np.all(jumps >= -1e-9)
    # Where the last window, shifted back, meets two others at once, their ramps add up: by 1.4 at
    # most over all layouts drawn here.
    crowded = (weights > 0).sum(axis=0).max() > 2
    step = (1.4 if crowded else 1.0) / (overlap + 1)
    assert np.all(jumps <= abs(offset) * step + 1e-9)


@given(layouts())
def test_borders_lie_where_the_later_window_comes_to_lead(layout: tuple[int, int, int]) -> None:
    frames, window, _ = layout
    starts = window_starts(*layout)
    borders = window_borders(starts, window)
    assert len(borders) == len(starts) - 1
    for (earlier, later), border in zip(itertools.pairwise(starts), borders, strict=True):
        assert later <= border <= earlier + window
        assert border < frames
        weights = fade_weights([0, later - earlier], window, later - earlier + window)
        leads = weights[1] >= weights[0]
        assert leads[border - earlier]
        assert border == later or not leads[border - earlier - 1]
