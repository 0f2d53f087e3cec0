"""Working sizes: never up, never above the bound, the aspect kept, and the way back exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mav_pipeline.media.sizing import SizeRule, pad, restore, scale, source_size

SIDES = st.integers(16, 4500)
MULTIPLES = st.sampled_from([1, 8, 32, 64])


def rule(mode: str, max_pixels: int = 1024 * 576, multiple: int = 1) -> SizeRule:
    return SizeRule(
        mode=mode,  # type: ignore[arg-type]
        max_pixels=max_pixels,
        width=1024,
        height=576,
        multiple=multiple,
    )


@given(SIDES, SIDES, st.integers(4096, 2_000_000), MULTIPLES)
def test_fit_stays_below_the_bound_with_its_padding_and_never_scales_up(
    height: int, width: int, max_pixels: int, multiple: int
) -> None:
    size = rule("fit", max_pixels, multiple)(height, width)
    assert size.pad_height * size.pad_width <= max_pixels
    assert size.height <= height
    assert size.width <= width


@given(SIDES, SIDES, st.integers(4096, 2_000_000), st.sampled_from([8, 32, 64]))
def test_fit_keeps_the_aspect_within_two_percent_or_to_a_pixel(
    height: int, width: int, max_pixels: int, multiple: int
) -> None:
    size = rule("fit", max_pixels, multiple)(height, width)
    off = abs(size.width * height / (size.height * width) - 1)
    exact = max(size.height / height, size.width / width)
    apart = max(abs(size.height - height * exact), abs(size.width - width * exact))
    assert off <= 0.02 or apart <= 1 or min(size.height, size.width) == 1


@pytest.mark.parametrize(
    ("source", "working", "padded"),
    [
        ((1920, 1080), (1024, 576), (1024, 576)),
        ((1080, 1920), (576, 1024), (576, 1024)),
        ((720, 720), (704, 704), (704, 704)),  # not padded to 768x768
        ((848, 480), (848, 480), (896, 512)),  # nothing near its aspect is large enough
        ((1440, 1080), (853, 640), (896, 640)),  # not 896x704, which passes the bound
        ((320, 240), (320, 240), (320, 256)),
        ((20, 10), (20, 10), (64, 64)),
    ],
)
def test_sizes_of_the_model(
    source: tuple[int, int], working: tuple[int, int], padded: tuple[int, int]
) -> None:
    size = rule("fit", multiple=64)(source[1], source[0])
    assert ((size.width, size.height), (size.pad_width, size.pad_height)) == (working, padded)


def test_alpha_shrinks_by_area() -> None:
    lines = np.zeros((64, 64), np.uint8)
    lines[:, ::4] = 255
    size = source_size(64, 64)
    assert set(np.unique(restore(lines, size, 16, 16))) == {64}


@given(SIDES, SIDES, st.integers(4096, 2_000_000))
def test_fit_keeps_the_aspect_to_a_pixel_and_uses_the_room(
    height: int, width: int, max_pixels: int
) -> None:
    size = rule("fit", max_pixels)(height, width)
    exact = min(1.0, (max_pixels / (height * width)) ** 0.5)
    assert abs(size.height - height * exact) <= 1
    assert abs(size.width - width * exact) <= 1


@given(SIDES, SIDES, MULTIPLES, st.sampled_from(["fit", "native", "stretch"]))
def test_padding_reaches_the_next_multiple_and_no_further(
    height: int, width: int, multiple: int, mode: str
) -> None:
    size = rule(mode, multiple=multiple)(height, width)
    for side, padded in ((size.height, size.pad_height), (size.width, size.pad_width)):
        assert padded % multiple == 0
        assert side <= padded < side + multiple


@given(SIDES, SIDES)
def test_native_scales_nothing_and_stretch_ignores_the_source(height: int, width: int) -> None:
    native = rule("native", max_pixels=1)(height, width)
    assert (native.height, native.width) == (height, width)
    stretched = rule("stretch")(height, width)
    assert (stretched.height, stretched.width) == (576, 1024)


def test_the_released_scripts_size_is_kept_for_its_own_aspect() -> None:
    assert rule("fit", multiple=64)(1080, 1920) == rule("stretch", multiple=64)(1080, 1920)


@given(st.integers(1, 40), st.integers(1, 40), MULTIPLES, st.integers(0, 2**32 - 1))
def test_padding_is_taken_off_exactly(height: int, width: int, multiple: int, seed: int) -> None:
    size = rule("native", multiple=multiple)(height, width)
    alpha = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    padded = pad(alpha, size)
    assert padded.shape == (size.pad_height, size.pad_width)
    np.testing.assert_array_equal(restore(padded, size, height, width), alpha)


def test_padding_repeats_the_edge() -> None:
    frame = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = scale(frame, rule("native", multiple=4)(2, 3))
    np.testing.assert_array_equal(padded[:2, :3], frame)
    np.testing.assert_array_equal(padded[3, 3], frame[1, 2])
    np.testing.assert_array_equal(padded[0, 3], frame[0, 2])


@given(st.integers(16, 200), st.integers(16, 200), st.integers(0, 255))
def test_a_plain_frame_survives_any_scaling(height: int, width: int, value: int) -> None:
    assume(height * width > 64)
    for mode in ("fit", "stretch"):
        size = rule(mode, max_pixels=64, multiple=8)(height, width)
        small = scale(np.full((height, width, 3), value, np.uint8), size)
        assert np.ptp(small) == 0
        alpha = restore(np.ascontiguousarray(small[..., 0]), size, height, width)
        assert alpha.shape == (height, width)
        assert np.all(alpha == value)


def test_restoring_neither_rings_nor_moves_the_picture() -> None:
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 16:] = 255
    size = rule("fit", max_pixels=1024)(128, 128)
    whole = restore(alpha, size, 128, 128)
    assert np.all(np.diff(whole.astype(int), axis=1) >= 0)
    assert whole[:, 63].max() < 128 < whole[:, 64].min() + 1
    assert np.abs(whole[:, ::-1].astype(int) - (255 - whole.astype(int))).max() <= 1


def test_the_source_itself_is_a_working_size() -> None:
    size = source_size(7, 9)
    assert (size.height, size.width, size.pad_height, size.pad_width) == (7, 9, 7, 9)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_nothing_to_pad_gives_the_frame_itself(shape: tuple[int, ...]) -> None:
    frame = np.zeros(shape, np.uint8)
    assert pad(frame, source_size(4, 5)) is frame
