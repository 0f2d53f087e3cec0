"""Closed-form mattes: better than the mask, exact where the mask is sure, never silent."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from mav_pipeline.matting import closed_form
from mav_pipeline.matting.blocks import BLOCK
from mav_pipeline.matting.closed_form import ClosedFormBackend
from mav_pipeline.matting.sampling import evidence
from mav_pipeline.matting.trimap import make_trimap, thinness
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.schema import Clip, LoadedClip, Masklet, Matte, Seams, WorkingSize
from mav_pipeline.schema.interfaces import MattingBackend
from tests.fakes import mattes

HEIGHT, WIDTH = 72, 96


def _textures(height: int = HEIGHT, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy, shaded colours, (h, w, 3) in [0, 1]."""
    rng = np.random.default_rng(7)
    shade = np.linspace(0, 0.15, width)[None, :, None]
    noise = 0.03 * rng.standard_normal((2, height, width, 3))
    orange, blue = np.array([0.8, 0.4, 0.1]), np.array([0.1, 0.3, 0.6])
    return orange + shade + noise[0], blue + shade + noise[1]


def _soft_disk(
    row: float = 36, column: float = 46, radius: float = 20, soft: float = 3
) -> np.ndarray:
    """Alpha (HEIGHT, WIDTH) that falls from 1 to 0 over 2 x ``soft`` pixels."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.clip(0.5 + (radius - np.hypot(y - row, x - column)) / (2 * soft), 0, 1)


def _composite(alpha: np.ndarray) -> np.ndarray:
    front, back = _textures(*alpha.shape)
    image = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _masklet(masks: Sequence[np.ndarray], number: int = 0) -> Masklet:
    rles = tuple(encode_rle(mask) for mask in masks)
    return Masklet(f"manual_{number:03d}", number, "manual", rles)


def _clip(frames: Sequence[np.ndarray], masklets: Sequence[Masklet], pad: int = 0) -> LoadedClip:
    height, width = frames[0].shape[:2]
    size = WorkingSize(height, width, height + pad, width + pad)
    indices = tuple(range(0, 4 * len(frames), 4))
    padded = np.stack([np.pad(f, ((0, pad), (0, pad), (0, 0)), mode="edge") for f in frames])
    clip = Clip("sav_000001", width, height, 24.0, indices, None, tuple(masklets), size)
    return LoadedClip(clip, padded)


def _backend() -> ClosedFormBackend:
    backend = ClosedFormBackend(threads=1, band=0.02, band_min=4, band_max=8)
    backend.setup()
    return backend


def _matte(image: np.ndarray, mask: np.ndarray, pad: int = 0) -> Matte:
    masklet = _masklet([mask])
    (block,) = mattes(_backend(), _clip([image], [masklet], pad), [masklet])
    return block


def _alpha(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    block = _matte(image, mask)
    assert block.note is None
    return block.alpha[0]


def _mad(alpha: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(alpha / 255.0 - truth).mean())


def test_it_keeps_the_backend_contract() -> None:
    backend: MattingBackend = _backend()
    assert (backend.multiple, backend.identity(), backend.settings()) == (1, {}, {})
    assert backend.seams(_masklet([np.ones((4, 4), np.bool_)])) == Seams()
    backend.close()


@pytest.mark.parametrize("shift", [0, 2])
def test_it_beats_the_mask_by_more_than_a_third(shift: int) -> None:
    truth = _soft_disk()
    mask = np.roll(truth > 0.5, shift, axis=1)  # masks are rough
    error = _mad(_alpha(_composite(truth), mask), truth)
    assert error < 2 / 3 * _mad(mask * 255.0, truth)


def test_sure_pixels_are_exact() -> None:
    mask = _soft_disk() > 0.5
    trimap = make_trimap(mask, 4.0)
    alpha = _alpha(_composite(_soft_disk()), mask)
    assert trimap.foreground.any()
    assert (alpha[trimap.foreground] == 255).all()
    assert (alpha[~trimap.foreground & ~trimap.unknown] == 0).all()
    soft = alpha[trimap.unknown]
    assert ((soft > 0) & (soft < 255)).any()


def test_the_band_lies_on_both_sides_of_the_edge() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[:, 20:] = True
    trimap = make_trimap(mask, 4.0)
    np.testing.assert_array_equal(np.flatnonzero(trimap.unknown[9]), np.arange(16, 24))
    np.testing.assert_allclose(trimap.prior[9, 15:25], np.r_[[0] * 4, 1 / 3, 2 / 3, [1] * 4])


def _wires(shape: tuple[int, int]) -> np.ndarray:
    """Alpha of a net of wires of 3 px, 14 px apart, their edges softened as a lens does."""
    net = np.zeros(shape, np.float32)
    for line in range(6, min(shape), 14):
        net[line : line + 3] = net[:, line : line + 3] = 1
    return np.asarray(cv2.GaussianBlur(net, (0, 0), 0.7), dtype=np.float64)


def test_wires_do_not_turn_into_fog() -> None:
    truth = _wires((HEIGHT, WIDTH))
    mask = truth > 0.5
    assert _mad(_alpha(_composite(truth), mask), truth) < 0.25 * _mad(mask * 255.0, truth)


def test_thin_is_what_wires_and_narrow_gaps_are() -> None:
    mask = np.zeros((80, 120), np.bool_)
    mask[10:70, 10:70] = True
    mask[39:41, 70:110] = True
    thin = thinness(mask)
    assert thin[40, 95] > 0.25
    assert thin[40, 30] == thin[10, 40] == 0  # an inside, a straight edge
    np.testing.assert_allclose(thinness(~mask), thin, atol=1e-6)  # a gap as a wire


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_colours_nearby_say_what_alpha_is(alpha: float) -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[:, 20:] = True
    image = np.where(mask[..., None], [230, 120, 20], [20, 60, 200]).astype(np.float64)
    image[:, 19:21] = alpha * image[0, 39] + (1 - alpha) * image[0, 0]
    trimap = make_trimap(mask, 4.0)
    found = evidence(np.rint(image).astype(np.uint8), trimap)
    assert found is not None
    mixed = np.zeros_like(mask)
    mixed[:, 19:21] = True
    at = mixed[trimap.unknown]
    np.testing.assert_allclose(found.alpha[at], alpha, atol=0.02)
    assert found.trust[at].min() > 0.5


def test_colours_are_not_trusted_where_object_and_ground_look_alike() -> None:
    mask = _soft_disk() > 0.5
    found = evidence(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), make_trimap(mask, 4.0))
    assert found is not None
    assert found.trust.max() < 0.1


def test_a_side_that_is_not_in_sight_gives_no_evidence() -> None:
    trimap = make_trimap(np.ones((20, 20), np.bool_), 4.0)
    assert evidence(np.zeros((20, 20, 3), np.uint8), trimap) is None


def test_the_band_grows_with_the_object_within_its_bounds() -> None:
    widths = []
    for radius in (6, 20, 30):
        backend = ClosedFormBackend(threads=1, band=0.1, band_min=2, band_max=5)
        mask = _soft_disk(radius=radius) > 0.5
        masklet = _masklet([mask])
        flat = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)  # no colours: the prior's ramp shows
        (matte,) = mattes(backend, _clip([flat], [masklet]), [masklet])
        widths.append(int(((matte.alpha[0, 36] > 0) & (matte.alpha[0, 36] < 255)).sum()))
    assert widths == [8, 16, 20]  # on both sides of two edges: 2, then those below 3.5, then 5


@pytest.mark.parametrize("shape", ["dot", "line", "speck"])
def test_a_thin_or_tiny_object_keeps_a_core(shape: str) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    where = {"dot": np.s_[30, 40], "line": np.s_[20, 10:80], "speck": np.s_[30:33, 40:44]}
    mask[where[shape]] = True
    alpha = _alpha(_composite(mask.astype(np.float64)), mask)
    assert alpha[mask].max() == 255
    assert _mad(alpha, mask) < 0.01
    rows, columns = np.nonzero(alpha)
    assert rows.min() >= np.nonzero(mask)[0].min() - 5
    assert columns.max() <= np.nonzero(mask)[1].max() + 5


@pytest.mark.parametrize(("row", "column"), [(0, 46), (HEIGHT - 1, 0), (36, WIDTH - 1), (4, 4)])
def test_the_image_border_is_no_edge_of_the_object(row: int, column: int) -> None:
    truth = _soft_disk(row, column)
    mask = truth > 0.5
    alpha = _alpha(_composite(truth), mask)
    assert alpha[row, column] == 255
    assert _mad(alpha, truth) < 2 / 3 * _mad(mask * 255.0, truth)


def test_a_full_frame_object_is_opaque() -> None:
    image = _composite(_soft_disk())
    assert (_alpha(image, np.ones((HEIGHT, WIDTH), np.bool_)) == 255).all()


@pytest.mark.parametrize("shape", [(1, 9), (2, 2), (9, 1), (3, 3)])
def test_frames_smaller_than_a_window_work(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.bool_)
    mask[0, 0] = True
    assert _alpha(np.zeros((*shape, 3), np.uint8), mask)[0, 0] == 255


@pytest.mark.parametrize("colour", [0, 255])
def test_where_colours_say_nothing_the_soft_mask_decides(colour: int) -> None:
    mask = _soft_disk() > 0.5
    alpha = _alpha(np.full((HEIGHT, WIDTH, 3), colour, np.uint8), mask)
    assert 250 > alpha[36, 46 + 18] > 128 > alpha[36, 46 + 22] > 5


def test_padding_is_transparent_and_changes_nothing() -> None:
    truth = _soft_disk(HEIGHT - 5, WIDTH - 5)
    image, mask = _composite(truth), truth > 0.5
    padded = _matte(image, mask, pad=16).alpha[0]
    assert padded.shape == (HEIGHT + 16, WIDTH + 16)
    assert not padded[HEIGHT:].any()
    assert not padded[:, WIDTH:].any()
    np.testing.assert_array_equal(padded[:HEIGHT, :WIDTH], _alpha(image, mask))


def test_a_mask_is_brought_to_working_size() -> None:
    truth = _soft_disk()
    large = np.kron(truth > 0.5, np.ones((3, 3), np.bool_)).astype(np.bool_)
    masklet = _masklet([large])
    clip = _clip([_composite(truth)], [masklet])
    (block,) = mattes(_backend(), clip, [masklet])
    assert block.size == clip.clip.size
    np.testing.assert_array_equal(block.alpha[0], _alpha(_composite(truth), truth > 0.5))


def test_only_visible_frames_are_yielded_in_small_blocks() -> None:
    truth = _soft_disk()
    image, mask = _composite(truth), truth > 0.5
    visible = [False] * 2 + [True] * (BLOCK + 1) + [False] + [True]
    masklet = _masklet([mask & shown for shown in visible])
    blocks = mattes(_backend(), _clip([image] * len(visible), [masklet]), [masklet])
    assert [(block.start, len(block.alpha)) for block in blocks] == [(2, 6), (8, 3), (12, 1)]


def test_a_masklet_that_is_never_visible_yields_nothing() -> None:
    masklet = _masklet([np.zeros((HEIGHT, WIDTH), np.bool_)])
    assert (mattes(_backend(), _clip([_composite(_soft_disk())], [masklet]), [masklet])) == []


def _nan(image: np.ndarray, trimap: closed_form.Trimap) -> np.ndarray:
    return np.full(int(trimap.unknown.sum()), np.nan)


def _overflow(image: np.ndarray, trimap: closed_form.Trimap) -> np.ndarray:
    return np.exp(np.full(int(trimap.unknown.sum()), 1e6))


def _stuck(image: np.ndarray, trimap: closed_form.Trimap) -> np.ndarray:
    raise ArithmeticError("no convergence")


@pytest.mark.parametrize("solver", [_nan, _overflow, _stuck])
def test_a_failing_solver_is_recorded_and_leaves_the_ramp(
    solver: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_form, "solve", solver)
    mask = _soft_disk() > 0.5
    block = _matte(_composite(_soft_disk()), mask)
    assert block.note == "solver_fallback"
    expected = np.rint(make_trimap(mask, 4.0).prior * 255)
    np.testing.assert_array_equal(block.alpha[0], expected)


def test_only_the_block_with_the_failure_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _backend()
    solve, calls = closed_form.solve, []

    def once(image: np.ndarray, trimap: closed_form.Trimap) -> np.ndarray:
        calls.append(1)
        if len(calls) == 2:
            raise ArithmeticError("no convergence")
        return solve(image, trimap)

    monkeypatch.setattr(closed_form, "solve", once)
    masklet = _masklet([_soft_disk() > 0.5] * (BLOCK + 1))
    clip = _clip([_composite(_soft_disk())] * (BLOCK + 1), [masklet])
    assert [block.note for block in mattes(backend, clip, [masklet])] == ["solver_fallback", None]


def test_a_bug_in_the_solver_is_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(image: np.ndarray, trimap: closed_form.Trimap) -> np.ndarray:
        raise TypeError("a bug")

    monkeypatch.setattr(closed_form, "solve", broken)
    with pytest.raises(TypeError, match="a bug"):
        _matte(_composite(_soft_disk()), _soft_disk() > 0.5)


def test_alpha_depends_on_clip_and_masklet_alone() -> None:
    truth, other = _soft_disk(), _soft_disk(20, 70, 9)
    first, second = _masklet([truth > 0.5], 0), _masklet([other > 0.5], 1)
    clip = _clip([_composite(truth)], [first, second])
    (alone,) = mattes(_backend(), clip, [second])

    used = _backend()
    (mattes(used, _clip([_composite(other)], [first]), [first]))  # an earlier clip
    blocks = mattes(used, clip, [first, second])
    assert [block.masklet.name for block in blocks] == ["manual_000", "manual_001"]
    assert blocks[1].alpha.tobytes() == alone.alpha.tobytes()


def test_the_number_of_threads_moves_no_byte() -> None:
    masklet = _masklet([_soft_disk() > 0.5])
    clip = _clip([_composite(_soft_disk())], [masklet])
    alphas = []
    for threads in (2, 1):
        backend = ClosedFormBackend(threads=threads, band=0.02, band_min=4, band_max=8)
        backend.setup()
        (block,) = mattes(backend, clip, [masklet])
        alphas.append(block.alpha.tobytes())
    assert alphas[0] == alphas[1]


def test_a_system_that_does_not_converge_is_no_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_form, "MAX_ITERATIONS", 0)
    trimap = make_trimap(_soft_disk() > 0.5, 4.0)
    with pytest.raises(ArithmeticError, match="did not converge"):
        closed_form.solve(_composite(_soft_disk()), trimap)
