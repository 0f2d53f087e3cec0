"""Each score of pictures and motion sees its damage, the more the worse; quality sees them all."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest

from mav_pipeline.config import QualityConfig
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.quality import Scorer, judge
from mav_pipeline.quality.region import VIEW_PIXELS, grow, margin, view
from mav_pipeline.schema import SCORE_NAMES, Alpha, Frames, Masks, Seams
from tests.fakes import config

H, W, T = 96, 128, 5


def scene(*, soft: float = 1.0, centre: float = 44, radius: float = 24) -> tuple[Frames, Alpha]:
    """A reddish disc that moves to the right over something greenish, both with texture."""
    rng = np.random.default_rng(7)
    cloud = cv2.GaussianBlur(rng.random((H, W + T, 1), np.float32), (0, 0), 2)
    cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    back = np.array([0.2, 0.5, 0.3], np.float32) + 0.15 * cloud.reshape(H, W + T, 1)
    front = np.array([0.7, 0.25, 0.2], np.float32) + 0.15 * cloud.reshape(H, W + T, 1)
    frames, alphas = [], []
    for index in range(T):
        y, x = np.mgrid[:H, :W]
        away = radius - np.hypot(y - H / 2, x - centre - index)
        alpha = np.clip(0.5 + away / (2 * soft), 0, 1).astype(np.float32)
        # The object's texture moves with it.
        moved = np.roll(front, index, axis=1)[:, :W]
        picture = alpha[..., None] * moved + (1 - alpha[..., None]) * back[:, :W]
        frames.append(np.rint(255 * picture).astype(np.uint8))
        alphas.append(np.rint(255 * alpha).astype(np.uint8))
    return np.stack(frames), np.stack(alphas)


FRAMES, TRUTH = scene()
MASKS: Masks = TRUTH > 127


def scores(alphas: Alpha, masks: Masks = MASKS, frames: Any = FRAMES) -> dict[str, Any]:
    scorer = Scorer(full=True)
    for index, (alpha, mask) in enumerate(zip(alphas, masks, strict=True)):
        rle = encode_rle(mask)
        if rle is not None:
            scorer.add(index, alpha, rle, None if frames is None else frames[index])
    return scorer.scores(Seams())


def blurred(sigma: float) -> Alpha:
    if not sigma:
        return TRUTH
    return np.stack([cv2.GaussianBlur(alpha, (0, 0), sigma) for alpha in TRUTH])


def moved(by: int) -> Alpha:
    return np.roll(TRUTH, by, axis=1)


def grown(by: int) -> Alpha:
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(by) + 1,) * 2)
    change = cv2.dilate if by > 0 else cv2.erode
    return np.stack([change(alpha, brush) if by else alpha for alpha in TRUTH])


def noisy(strength: float) -> Alpha:
    noise = np.random.default_rng(0).normal(0, strength, TRUTH.shape)
    return np.clip(TRUTH + 255 * noise * (MASKS), 0, 255).astype(np.uint8)


def pulsing(strength: float) -> Alpha:
    spoilt = TRUTH.copy()
    spoilt[1::2] = np.rint(spoilt[1::2] * (1 - strength))
    return spoilt


def dropped(count: float) -> Alpha:
    spoilt = TRUTH.copy()
    spoilt[T - int(count) :] = 0
    return spoilt


@pytest.mark.parametrize(
    ("score", "sign", "damage", "strengths"),
    [
        ("edge_gain", 1, blurred, (0, 2, 4)),
        ("band_width", 1, blurred, (0, 2, 4)),
        ("band_entropy", 1, blurred, (0, 2, 4)),
        ("edge_alignment", -1, moved, (0, 2, 5)),
        ("compositing", 1, moved, (0, 2, 5)),
        ("colour_over", 1, grown, (0, 2, 5)),
        ("colour_under", 1, grown, (0, -2, -5)),
        ("speckle", 1, noisy, (0, 0.1, 0.3)),
        ("area_jitter", 1, pulsing, (0, 0.1, 0.3)),
        ("motion_flicker", 1, pulsing, (0, 0.1, 0.3)),
        ("visibility", -1, dropped, (0, 1, 3)),
    ],
)
def test_each_score_grows_with_its_damage(
    score: str, sign: int, damage: Any, strengths: tuple[float, ...]
) -> None:
    found = [sign * scores(damage(strength))[score] for strength in strengths]
    assert all(before < after for before, after in itertools.pairwise(found)), found


@pytest.mark.parametrize(
    ("damage", "strengths"),
    [
        (blurred, (0, 2, 4)),
        (moved, (0, 3, 8)),
        (grown, (0, 3, 6)),
        (grown, (0, -3, -6)),
        (noisy, (0, 0.1, 0.3)),
        (pulsing, (0, 0.1, 0.3)),
        (dropped, (0, 1, 3)),
    ],
)
def test_quality_falls_with_every_damage(damage: Any, strengths: tuple[float, ...]) -> None:
    found = [scores(damage(strength))["quality"] for strength in strengths]
    assert all(0 <= value <= 1 for value in found)
    assert all(before > after for before, after in itertools.pairwise(found)), found


def test_the_truth_beats_a_poor_mask_that_it_departs_from() -> None:
    poor = np.zeros_like(MASKS)
    for index, mask in enumerate(poor):
        mask[H // 2 - 26 : H // 2 + 26, 44 - 26 + index : 44 + 26 + index] = True
    follows = poor.astype(np.uint8) * np.uint8(255)
    departs = scores(TRUTH, poor)
    assert departs["mask_iou"] < scores(follows, poor)["mask_iou"] == 1
    assert departs["quality"] > scores(follows, poor)["quality"] + 0.1


def test_a_matte_cut_by_the_frame_is_truncated() -> None:
    assert scores(TRUTH)["truncation"] == 0
    _, half = scene(centre=0)
    cut = scores(half, half > 127)["truncation"]
    assert 0.1 < cut < 0.5
    full = np.full_like(TRUTH, 255)
    assert scores(full, full > 0)["truncation"] == pytest.approx(
        (2 * W + 2 * H - 4) / (4 * (H * W) ** 0.5), abs=1e-6
    )


def test_sharpness_is_of_the_picture() -> None:
    dull = np.stack([cv2.GaussianBlur(frame, (0, 0), 2) for frame in FRAMES])
    assert scores(TRUTH, frames=dull)["sharpness"] < scores(TRUTH)["sharpness"]


@pytest.mark.parametrize(
    "alphas",
    [np.zeros_like(TRUTH), np.full_like(TRUTH, 255), np.full_like(TRUTH, 128)],
    ids=["empty", "full", "gray"],
)
@pytest.mark.parametrize(
    "masks",
    [
        MASKS,
        np.ones_like(MASKS),
        np.pad(np.ones((T, 1, 1), bool), ((0, 0), (0, H - 1), (0, W - 1))),
    ],
    ids=["disc", "whole frame", "corner pixel"],
)
def test_strange_mattes_have_finite_scores(alphas: Alpha, masks: Masks) -> None:
    found = scores(alphas, masks)
    assert tuple(found) == SCORE_NAMES
    assert all(value is None or np.isfinite(value) for value in found.values())
    assert 0 <= found["quality"] <= 1


def test_a_lost_matte_has_no_quality_to_speak_of() -> None:
    nothing, everything = (np.full_like(TRUTH, level) for level in (0, 255))
    assert scores(nothing)["quality"] < 0.25
    assert scores(everything)["quality"] < 0.1


def test_one_frame_is_enough() -> None:
    found = scores(TRUTH[:1], MASKS[:1], FRAMES[:1])
    assert found["quality"] > 0.6
    assert (found["flicker"], found["motion_flicker"], found["area_jitter"]) == (None, None, None)


def test_without_pictures_there_is_no_quality() -> None:
    found = scores(TRUTH, frames=None)
    assert (found["quality"], found["compositing"]) == (None, None)
    basic = Scorer(full=False)
    rle = encode_rle(MASKS[0])
    assert rle is not None
    basic.add(0, TRUTH[0], rle, FRAMES[0])
    assert basic.scores(Seams())["quality"] is None


def test_scores_are_the_same_with_any_number_of_threads() -> None:
    threads = cv2.getNumThreads()
    big = [np.repeat(np.repeat(part, 6, axis=1), 6, axis=2) for part in (TRUTH, MASKS, FRAMES)]
    found = []
    try:
        for count in (1, 2, 4):
            cv2.setNumThreads(count)
            found.append(scores(*big))
    finally:
        cv2.setNumThreads(threads)
    assert found[0] == found[1] == found[2]


def test_frames_may_be_smaller_than_alpha() -> None:
    size = (W * 4 // 5, H * 4 // 5)  # 1280x720 matted at 1024x576
    small = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in FRAMES])
    good = scores(TRUTH, frames=small)["quality"]
    assert good == pytest.approx(scores(TRUTH)["quality"], abs=0.05)
    # The box may lie half a pixel off, which on an object of 48 pixels is seen: these are as bad,
    # not bad by the same number.
    assert all(scores(bad, frames=small)["quality"] < good - 0.2 for bad in (blurred(3), moved(4)))


def test_a_scorer_keeps_one_frame_however_many_it_sees() -> None:
    scorer = Scorer(full=True)
    for index in range(2 * T):
        rle = encode_rle(MASKS[index % T])
        assert rle is not None
        scorer.add(index, TRUTH[index % T].copy(), rle, FRAMES[index % T].copy())
    held = [value for slot in scorer.__slots__ if isinstance(value := getattr(scorer, slot), list)]
    assert all(isinstance(item, float) for values in held for item in values)
    assert scorer._last is not None
    assert scorer._last.index == 2 * T - 1


def test_views_have_bounded_size_and_keep_their_shape() -> None:
    alpha = np.zeros((1080, 1920), np.uint8)
    mask = np.zeros((1080, 1920), np.bool_)
    mask[200:900, 300:1300] = True
    box = grow((200, 300, 900, 1300), margin(700_000), mask.shape)
    seen = view(alpha, mask, 700_000, np.zeros((540, 960, 3), np.uint8), box)
    assert seen.alpha.shape == seen.mask.shape == seen.rgb.shape[:2]
    assert seen.alpha.size <= 1.02 * VIEW_PIXELS
    assert seen.unit == pytest.approx(np.sqrt(np.count_nonzero(seen.mask)), rel=0.02)


def gates(least: float | None) -> QualityConfig:
    return config({"quality.min_quality": least}).quality


def test_the_quality_gate_rejects_by_name_and_is_open_by_default() -> None:
    good, bad = scores(TRUTH), scores(blurred(4))
    assert judge(bad, config().quality).status == "accepted"
    least = (good["quality"] + bad["quality"]) / 2
    assert judge(good, gates(least)).status == "accepted"
    assert judge(bad, gates(least)).reasons == ("quality",)
    assert judge({**bad, "quality": None}, gates(1.0)).status == "accepted"
