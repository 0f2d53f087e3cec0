"""An object's own colours come without those of the ground it was filmed on."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from mav_pipeline.media.foreground import checkerboard, foreground, on_ground
from mav_pipeline.schema import AlphaFrame, Frame


def disc(height: int, width: int, edge: float) -> AlphaFrame:
    """A disc whose border is ``edge`` pixels wide."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot(y - height / 2, x - width / 2)
    return np.rint(255 * np.clip((height / 4 - far) / edge + 0.5, 0, 1)).astype(np.uint8)


def mixed(alpha: AlphaFrame, front: tuple[int, int, int], back: tuple[int, int, int]) -> Frame:
    plain = np.empty((*alpha.shape, 3), np.uint8)
    return on_ground(np.full_like(plain, front), alpha, np.full_like(plain, back))


@pytest.mark.parametrize("edge", [3, 20])
def test_a_red_object_on_a_green_ground_shows_no_green_on_the_checkerboard(edge: int) -> None:
    alpha = disc(162, 288, edge)
    frame = mixed(alpha, (220, 30, 30), (20, 200, 40))
    board = checkerboard(*alpha.shape, 12)
    best = on_ground(np.full_like(frame, (220, 30, 30)), alpha, board)
    tinted = on_ground(frame, alpha, board).astype(int) - best
    clean = on_ground(foreground(frame, alpha), alpha, board).astype(int) - best
    assert tinted[..., 1].max() > 35, "of the frame's own colours"
    assert clean[..., 1].max() <= 4
    assert np.abs(clean).max() <= 8


def test_colours_that_change_over_object_and_ground_are_found() -> None:
    y, x = np.mgrid[:270, :480]
    alpha = disc(270, 480, 8)
    share = alpha[..., None] / 255
    front = np.stack([180 + x / 8, 60 + y / 4, np.full(x.shape, 40.0)], axis=2)
    back = np.stack([np.full(x.shape, 30.0), 90 + x / 4, 180 - y / 3], axis=2)
    frame = np.rint(share * front + (1 - share) * back).astype(np.uint8)
    found = foreground(frame, alpha)
    halo = np.abs(share * (frame - front)).max()
    assert halo > 20, "of the frame's own colours"
    assert np.abs(share * (found - front)).max() < halo / 20
    assert (found[alpha == 255] == frame[alpha == 255]).all()


def test_the_same_input_gives_the_same_bytes_and_leaves_threads_as_they_were() -> None:
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (54, 96, 3), dtype=np.uint8)
    alpha, threads = disc(54, 96, 10), numba.get_num_threads()
    first = foreground(frame, alpha)
    assert (first.dtype, first.shape) == (np.uint8, frame.shape)
    assert foreground(frame, alpha).tobytes() == first.tobytes()
    assert numba.get_num_threads() == threads


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 1)])
@pytest.mark.parametrize("opacity", [0, 128, 255])
def test_every_size_has_colours(shape: tuple[int, int], opacity: int) -> None:
    frame = np.full((*shape, 3), 90, np.uint8)
    assert foreground(frame, np.full(shape, opacity, np.uint8)).shape == frame.shape
