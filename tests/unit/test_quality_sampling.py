"""Single colours tell the truth from its mask, at source resolution, whatever a matte claims."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.media.masks import encode_rle
from mav_pipeline.quality import Scorer, pairs, sampling
from mav_pipeline.schema import AlphaFrame, Frame, Mask, Seams

H, W = 160, 200
NAMES = ("over", "under", "mismatch", "blur", "detail", "smear")


def mesh() -> tuple[Frame, AlphaFrame]:
    """Wires of two pixels over ground with texture, the edges antialiased."""
    fine = np.zeros((4 * H, 4 * W), np.uint8)
    for at in range(30, 140, 14):
        cv2.line(fine, (4 * at, 120), (4 * at + 80, 520), 255, 8)
        cv2.line(fine, (120, 4 * at), (640, 4 * at + 40), 255, 8)
    alpha = cv2.resize(fine, (W, H), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.random((H, W, 3), np.float32), (0, 0), 4)
    ground = np.array([0.3, 0.5, 0.2], np.float32) + 2 * (ground - 0.5)
    share = alpha[..., None].astype(np.float32) / 255
    picture = share * np.array([0.8, 0.7, 0.75], np.float32) + (1 - share) * ground
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8), alpha


FRAME, TRUTH = mesh()
MASK: Mask = TRUTH > 127


def scores(alpha: AlphaFrame, mask: Mask = MASK, frame: Frame = FRAME) -> dict[str, float]:
    scorer = Scorer(full=True)
    rle = encode_rle(mask)
    assert rle is not None
    scorer.add(0, alpha, rle, frame)
    return {name: value for name, value in scorer.scores(Seams()).items() if value is not None}


def faults(alpha: AlphaFrame, **more: np.ndarray) -> float:
    found = scores(alpha, **more)
    return sum(found[f"sampled_{name}"] for name in NAMES)


def test_a_mesh_is_told_from_its_mask_and_from_fog() -> None:
    binary = MASK.astype(np.uint8) * np.uint8(255)
    blurred = cv2.GaussianBlur(TRUTH, (0, 0), 2)
    assert faults(TRUTH) < 0.5 * faults(binary)
    assert faults(TRUTH) < 0.2 * faults(blurred)
    found = [scores(alpha)["quality"] for alpha in (TRUTH, binary, blurred)]
    assert found == sorted(found, reverse=True)


def test_a_grey_matte_does_not_excuse_itself() -> None:
    """It has no pixel that is sure, so that sure colours must come from the mask too."""
    near = cv2.dilate(MASK.view(np.uint8), np.ones((15, 15), np.uint8))
    grey = near * np.uint8(128)
    found = scores(grey)
    assert found["sampled_over"] > 0.2
    assert found["sampled_under"] > 0.1
    assert found["sampled_mismatch"] > scores(TRUTH)["sampled_mismatch"]
    assert found["quality"] < 0.2


@given(
    share=st.floats(0, 1),
    object_=st.tuples(*[st.integers(150, 255)] * 3),
    ground=st.tuples(*[st.integers(0, 100)] * 3),
)
def test_an_exact_composite_gives_its_alpha(
    share: float, object_: tuple[int, ...], ground: tuple[int, ...]
) -> None:
    row = np.zeros((8, 40, 3), np.uint8)
    row[:, :18], row[:, 22:] = object_, ground
    row[:, 18:22] = np.rint(share * np.array(object_) + (1 - share) * np.array(ground))
    places = np.arange(8 * 40).reshape(8, 40)
    points = places[:, 18:22].ravel()
    alpha = np.full(len(points), share, np.float32)
    found = pairs.explain(row, points, places[:, :16].ravel(), places[:, 24:].ravel(), alpha)
    # A level of rounding on at least 50 of distance.
    np.testing.assert_allclose(found.guess, share, atol=0.02)
    assert found.spread.max() < 0.25
    assert found.own_rest.max() < 0.01  # the true alpha explains the colour
    np.testing.assert_allclose(pairs.likeness(found), 1, atol=0.1)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 60))
def test_what_is_drawn_is_of_the_mask_and_hangs_on_nothing_else(seed: int, count: int) -> None:
    places = sampling.draw(MASK, count, seed)
    assert len(np.unique(places)) == count
    assert MASK.ravel()[places].all()
    np.testing.assert_array_equal(places, sampling.draw(MASK, count, seed))


def test_masks_that_overlap_share_what_is_drawn_of_them() -> None:
    larger = MASK.copy()
    larger[:4] = True
    one, other = (sampling.draw(mask, 300, 5) for mask in (MASK, larger))
    assert len(np.intersect1d(one, other)) > 200
    assert len(np.intersect1d(one, sampling.draw(MASK, 300, 6))) < 150


def test_a_frame_of_another_size_is_mapped() -> None:
    """Smaller pictures are looked at as they are; larger ones give what the source holds."""
    for scale in (0.5, 2.0):
        frame = cv2.resize(FRAME, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = sampling.patch(TRUTH, MASK, frame, (20, 30, 140, 170))
        size = (round(120 * min(scale, 1)), round(140 * min(scale, 1)))
        assert found.alpha.shape == found.bits.shape == found.rgb.shape[:2] == size
        mirrored = sampling.patch(TRUTH, MASK, FRAME, (20, 30, 140, 170))
        small = cv2.resize(mirrored.rgb, size[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - found.rgb).mean() < 10
        binary = MASK.astype(np.uint8) * np.uint8(255)
        assert faults(TRUTH, frame=frame) < faults(binary, frame=frame)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_what_has_no_contrast_is_no_match(level: int) -> None:
    found = scores(np.full_like(TRUTH, level))
    assert all(np.isfinite(value) for value in found.values())
    assert found["sampled_mismatch"] > 0.5


@pytest.mark.parametrize(
    ("score", "alphas"),
    [
        ("sampled_smear", [cv2.GaussianBlur(TRUTH, (0, 0), sigma) for sigma in (0.1, 1, 2)]),
        ("sampled_over", [cv2.dilate(TRUTH, np.ones((n, n), np.uint8)) for n in (1, 3, 5)]),
        ("sampled_under", [cv2.erode(TRUTH, np.ones((n, n), np.uint8)) for n in (1, 2, 3)]),
        ("sampled_detail", [np.roll(TRUTH, by, axis=1) for by in (0, 1, 2)]),
        ("sampled_mismatch", [np.roll(TRUTH, by, axis=1) for by in (0, 1, 2)]),
        ("expected_error", [cv2.GaussianBlur(TRUTH, (0, 0), sigma) for sigma in (0.1, 1, 2)]),
        ("expected_error", [cv2.dilate(TRUTH, np.ones((n, n), np.uint8)) for n in (1, 3, 5)]),
        ("expected_error", [cv2.erode(TRUTH, np.ones((n, n), np.uint8)) for n in (1, 2, 3)]),
        ("expected_error", [np.roll(TRUTH, by, axis=1) for by in (0, 1, 2)]),
    ],
)
def test_each_score_grows_with_its_damage(score: str, alphas: list[AlphaFrame]) -> None:
    found = [scores(alpha)[score] for alpha in alphas]
    assert found[0] < found[1] < found[2], found
