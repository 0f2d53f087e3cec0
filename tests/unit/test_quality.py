"""Scores see leaks and holes and nothing else; gates let the authors' good clips through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.media.masks import encode_rle
from mav_pipeline.quality import Scorer, judge
from mav_pipeline.schema import SCORE_NAMES, Alpha, Mask, Masks, Seams
from tests.fakes import config, moving_box

GOLDEN = Path(__file__).parent.parent / "data" / "metrics_golden.npz"
H, W = 100, 140
REACH = 3  # of a mask of at most 3600 pixels: max(3, .05 sqrt(area))
PERFECT = {
    "outside_mass": 0.0,
    "core_loss": 0.0,
    "area_ratio": 1.0,
    "mask_iou": 1.0,
    "mask_j": 1.0,
    "softness": 0.0,
    "flicker": 0.0,
}


def square(top: int = 30, left: int = 40, side: int = 40) -> Mask:
    mask = np.zeros((H, W), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def scorer(
    alphas: Alpha | Sequence[Any], masks: Masks | Sequence[Mask], *, full: bool = True
) -> Scorer:
    result = Scorer(full=full)
    for index, (alpha, mask) in enumerate(zip(alphas, masks, strict=True)):
        rle = encode_rle(mask)
        if rle is not None:
            result.add(index, alpha, rle)
    return result


def scores(
    alphas: Alpha | Sequence[Any],
    masks: Masks | Sequence[Mask],
    *,
    full: bool = True,
    seams: Seams | None = None,
) -> dict[str, float | None]:
    return scorer(alphas, masks, full=full).scores(seams or Seams())


def opaque(mask: Any) -> Any:
    return mask.astype(np.uint8) * np.uint8(255)


def test_a_perfect_matte_has_perfect_scores() -> None:
    masks = moving_box(4, side=20)
    found = scores(opaque(masks), masks)
    # Its corners are the four pixels that a median takes away.
    expected = {**PERFECT, "visibility": 1, "truncation": 0, "area_jitter": 0, "speckle": 0.01}
    assert found == {**dict.fromkeys(SCORE_NAMES), **expected}


def test_scores_come_in_their_order_and_none_without_frames() -> None:
    nothing = Scorer(full=True)
    assert nothing.scores(Seams()) == dict.fromkeys(SCORE_NAMES)
    assert tuple(nothing.scores(Seams())) == SCORE_NAMES
    assert nothing.motion is None
    assert nothing.mean_area is None


@given(st.integers(-25, 25), st.integers(-35, 35), st.integers(0, 2**32 - 1))
def test_scores_do_not_depend_on_the_place(down: int, right: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks, alphas = np.zeros((2, H, W), np.bool_), np.zeros((2, H, W), np.uint8)
    masks[:, 40:60, 50:80] = rng.random((2, 20, 30)) < 0.8
    alphas[:, 35:65, 45:85] = rng.integers(0, 256, (2, 30, 40))
    here = scorer(alphas, masks)
    there = scorer(*(np.roll(part, (down, right), (1, 2)) for part in (alphas, masks)))
    assert there.scores(Seams()) == here.scores(Seams())
    assert there.motion == here.motion
    assert there.mean_area == here.mean_area


def test_a_leak_far_from_the_mask_is_outside_mass() -> None:
    mask = square()
    alpha = opaque(mask)
    alpha[0:10, 0:20] = 255
    found = scores([alpha], [mask])
    assert found["outside_mass"] == pytest.approx(200 / 1800, abs=1e-6)
    assert found["area_ratio"] == pytest.approx(1800 / 1600)
    assert found["mask_iou"] == pytest.approx(1600 / 1800, abs=1e-6)
    assert (found["core_loss"], found["softness"]) == (0, 0)


def test_mask_iou_is_pooled_and_mask_j_the_mean_over_frames() -> None:
    """A large object matted well and a small one half: J is what the field's scorers print."""
    masks = [square(side=40), square(side=20)]
    alphas = [opaque(mask) for mask in masks]
    alphas[1][30:40] = 0
    found = scorer(alphas, masks)
    assert found.scores(Seams())["mask_iou"] == pytest.approx(1800 / 2000)
    assert found.scores(Seams())["mask_j"] == pytest.approx((1 + 0.5) / 2)
    absent = found.scores(Seams(), absent=2)
    assert absent["mask_j"] == pytest.approx((1 + 0.5 + 2) / 4), "empty against empty is 1"
    assert {**absent, "mask_j": None} == {**found.scores(Seams()), "mask_j": None}


def test_mask_j_is_that_of_the_published_scorer() -> None:
    """J of SA-V's evaluator, which begins with the first frame that shows the object."""
    with np.load(GOLDEN) as data:
        for name in {part.rpartition(".")[0] for part in data.files}:
            alphas, truth, values = (data[f"{name}.{part}"] for part in ("pred", "true", "values"))
            shown = (truth > 127).any((1, 2))
            seen = scorer(alphas, truth > 127, full=False)
            found = seen.scores(Seams(), absent=int(np.count_nonzero(~shown)))["mask_j"]
            assert found is not None
            before = int(shown.argmax())
            theirs = (found * len(shown) - before) / (len(shown) - before)
            assert theirs == pytest.approx(values[6] / 100, abs=2e-6), name


def test_a_leak_beside_the_mask_counts_from_the_border_zone_on() -> None:
    mask = square()
    for depth in (REACH, REACH + 1):
        alpha = opaque(mask)
        alpha[30:70, 80 : 80 + depth] = 255
        outside = scores([alpha], [mask])["outside_mass"]
        assert outside == pytest.approx(40 * (depth - REACH) / (1600 + 40 * depth), abs=1e-6)


def test_a_hole_is_core_loss() -> None:
    mask = square()
    alpha = opaque(mask)
    alpha[45:55, 50:60] = 51
    found = scores([alpha], [mask])
    core = (40 - 2 * REACH) ** 2
    assert found["core_loss"] == pytest.approx(100 * 0.8 / core, abs=1e-6)
    assert found["area_ratio"] == pytest.approx((1600 - 80) / 1600)
    assert found["mask_iou"] == pytest.approx(1500 / 1600)
    assert (found["outside_mass"], found["softness"]) == (0, 0)


def test_a_soft_border_is_softness_and_nothing_worse() -> None:
    mask = square()
    alpha = opaque(mask)
    alpha[30:70, 79] = 128
    alpha[30:70, 80] = 127
    found = scores([alpha], [mask])
    zone = (40 + 2 * REACH) ** 2 - (40 - 2 * REACH) ** 2
    assert found["softness"] == pytest.approx(80 / zone, abs=1e-6)
    assert (found["outside_mass"], found["core_loss"]) == (0, 0)


def test_a_mask_that_fills_the_frame_has_a_core_up_to_the_edge() -> None:
    mask = np.ones((H, W), np.bool_)
    alpha = opaque(mask)
    alpha[0, 0] = 0
    found = scores([alpha], [mask])
    assert found["core_loss"] == pytest.approx(1 / (H * W), abs=1e-6)


def test_the_border_zone_grows_with_the_object_and_has_bounds() -> None:
    for side, reach in ((4, 3), (60, 3), (90, 4)):
        mask = np.zeros((200, 200), np.bool_)
        mask[20 : 20 + side, 20 : 20 + side] = True
        for depth, leaks in ((reach, False), (reach + 1, True)):
            alpha = opaque(mask)
            alpha[20 : 20 + side, 20 + side + depth - 1] = 255
            outside = scores([alpha], [mask])["outside_mass"]
            assert outside is not None
            assert (outside > 0) is leaks, (side, depth)


def test_a_moving_mask_is_no_flicker_but_a_blinking_matte_is() -> None:
    masks = moving_box(4, side=20)
    steady, blinking = opaque(masks), opaque(masks)
    blinking[1::2] //= 2
    assert scores(steady, masks)["flicker"] == 0
    expected = 3 * 400 * 128 / (400 * (127 + 255 + 127))
    assert scores(blinking, masks)["flicker"] == pytest.approx(expected, abs=1e-6)


def test_a_constant_halo_that_moves_with_the_mask_flickers_little() -> None:
    mask = square()
    halo = opaque(mask)
    halo[30:70, 80:82] = 100
    assert scores([halo, halo], [mask, mask])["flicker"] == 0


def test_jumps_at_window_borders_are_seams() -> None:
    mask = square()
    levels = (255, 250, 245, 145, 140, 135)
    alphas = [opaque(mask) // 255 * np.uint8(level) for level in levels]
    found = scores(alphas, [mask] * 6, seams=Seams(windows=(3,), count=2))
    assert found["seam_ratio"] == 20
    assert scores(alphas, [mask] * 6)["seam_ratio"] is None


def test_frames_with_a_gap_between_them_are_not_compared() -> None:
    masks = [square(), np.zeros((H, W), np.bool_), square(left=60)]
    found = scorer([opaque(masks[0]), opaque(masks[1]), opaque(masks[2]) // 2], masks)
    assert found.scores(Seams())["flicker"] is None
    assert found.motion is None


def test_basic_scores_leave_out_what_compares_frames() -> None:
    masks = moving_box(4, side=20)
    found = scores(opaque(masks), masks, full=False, seams=Seams(windows=(2,), count=2))
    expected = {**PERFECT, "flicker": None, "visibility": 1, "truncation": 0}
    assert found == {**dict.fromkeys(SCORE_NAMES), **expected}


def test_motion_and_area_are_relative_to_the_object_and_the_frame() -> None:
    found = scorer([opaque(square()), opaque(square(left=44))], [square(), square(left=44)])
    assert found.motion == pytest.approx(4 / 40)
    assert found.mean_area == pytest.approx(1600 / (H * W), abs=1e-6)


def test_scores_are_rounded() -> None:
    mask = square(side=30)
    alpha = opaque(mask)
    alpha[45, 55] = 1
    for value in scores([alpha], [mask]).values():
        assert value is None or value == round(value, 6)


# gates: p0, p5, p50, p95, p100 of the 47 clips that VideoMaMa's authors show

OUTSIDE = (0.0001, 0.0003, 0.004, 0.017, 0.025)
CORE = (0.0002, 0.0007, 0.0035, 0.238, 0.462)
RATIO = (0.707, 0.763, 1.005, 1.028, 1.053)


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("core", CORE)
@pytest.mark.parametrize("ratio", RATIO)
def test_the_authors_good_clips_pass_the_default_gates(
    outside: float, core: float, ratio: float
) -> None:
    found = {**PERFECT, "outside_mass": outside, "core_loss": core, "area_ratio": ratio}
    verdict = judge({**found, "mask_iou": 0.675, "seam_ratio": None}, config().quality)
    assert (verdict.status, verdict.reasons) == ("accepted", ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"outside_mass": 0.051}, "outside_mass"),
        ({"core_loss": 0.551}, "core_loss"),
        ({"area_ratio": 0.499}, "area_ratio_low"),
        ({"area_ratio": 1.501}, "area_ratio_high"),
    ],
)
def test_each_gate_rejects_with_its_own_reason(change: dict[str, float], reason: str) -> None:
    verdict = judge({**PERFECT, **change}, config().quality)
    assert (verdict.status, verdict.reasons) == ("rejected", (reason,))
    assert verdict.scores == {**PERFECT, **change}


def test_a_score_on_its_threshold_passes() -> None:
    found = {**PERFECT, "outside_mass": 0.05, "core_loss": 0.55, "area_ratio": 1.5}
    assert judge(found, config().quality).status == "accepted"


def test_several_gates_give_several_reasons() -> None:
    found = {**PERFECT, "outside_mass": 1.0, "area_ratio": 9.0}
    reasons = judge(found, config().quality).reasons
    assert reasons == ("outside_mass", "area_ratio_high")


def test_no_value_and_no_threshold_pass() -> None:
    assert judge(dict.fromkeys(SCORE_NAMES), config().quality).status == "accepted"
    open_gate = config({"quality.max_outside_mass": None}).quality
    assert judge({**PERFECT, "outside_mass": 1.0}, open_gate).status == "accepted"
    flicker = config({"quality.max_flicker": 0.1}).quality
    assert judge({**PERFECT, "flicker": 0.2}, flicker).reasons == ("flicker",)


def test_disabled_gates_reject_nothing() -> None:
    verdict = judge({**PERFECT, "outside_mass": 1.0}, config({"quality.enabled": False}).quality)
    assert (verdict.status, verdict.reasons) == ("accepted", ())
