"""The network that expects errors of pixels: what it looks at, what it keeps, what it gives."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mav_pipeline.media.masks import encode_rle
from mav_pipeline.quality import Scorer, sampling
from mav_pipeline.quality.expected import UNUSUAL, Network, shipped
from mav_pipeline.quality.traits import NAMES
from mav_pipeline.schema import Seams

COUNT = len(NAMES)


def a_network() -> Network:
    rng = np.random.default_rng(1)
    sizes = ((COUNT, 5), (5, 1))
    layers = tuple((rng.normal(0, 1, size), rng.normal(0, 1, size[1])) for size in sizes)
    return Network(NAMES, rng.normal(0, 1, COUNT), rng.uniform(0.5, 2, COUNT), layers)


def test_the_shipped_network_is_of_the_traits_that_are_seen() -> None:
    assert shipped().names == NAMES
    assert len(set(NAMES)) == COUNT


def test_a_network_is_kept_to_five_digits() -> None:
    one = a_network()
    again = Network.of(json.loads(json.dumps(one.document())))
    traits = np.random.default_rng(2).normal(0, 2, (50, COUNT)).astype(np.float32)
    np.testing.assert_allclose(again(traits), one(traits), atol=1e-3)
    assert again.document() == one.document()


def test_what_is_expected_lies_between_nothing_and_all_whatever_is_seen() -> None:
    traits = np.random.default_rng(3).normal(0, 1, (20, COUNT)).astype(np.float32)
    for times in (0, 1, 1e3, 1e30):
        found = shipped()(traits * np.float32(times))
        assert ((found > 0) & (found < 1)).all()
    one = a_network()
    far = one.mean + UNUSUAL * one.scale
    for times in (1, 2, 10):  # beyond what was fitted nothing changes any more
        seen = one.mean + times * (far - one.mean)
        np.testing.assert_allclose(one(seen[None].astype(np.float32)), one(far[None]), rtol=1e-4)


def test_a_pixel_is_judged_alike_whatever_else_is_asked() -> None:
    traits = np.random.default_rng(4).normal(0, 1, (300, COUNT)).astype(np.float32)
    np.testing.assert_array_equal(shipped()(traits)[7:9], shipped()(traits[7:9]))


@pytest.fixture(scope="module")
def disc() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, alpha and mask of a soft disc of one texture before another."""
    y, x = np.mgrid[:120, :140].astype(np.float32)
    alpha = np.clip((36 - np.hypot(y - 60, x - 70)) / 5 + 0.5, 0, 1)[..., None]
    rng = np.random.default_rng(5)
    front, back = (cv2.GaussianBlur(rng.random((120, 140, 3), np.float32), (0, 0), 3) for _ in "ab")
    picture = alpha * (front * 0.6 + (0.5, 0.2, 0.1)) + (1 - alpha) * (back * 0.6 + (0, 0.2, 0.4))
    levels = np.rint(255 * alpha[..., 0]).astype(np.uint8)
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8), levels, levels > 127


def test_points_stand_for_all_they_are_drawn_of(
    disc: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    frame, alpha, mask = disc
    box = (10, 20, 110, 130)
    near = sampling.patch(alpha, mask, frame, box)
    sums, look = sampling.measure(near, box, seed=3)
    assert look is not None
    assert look.traits.shape == (len(look.points), COUNT)
    assert np.isfinite(look.traits).all()
    assert len(np.unique(look.points)) == len(look.points)
    solid = np.count_nonzero(near.bits | (near.alpha > 127))
    inside = (near.bits.ravel()[look.points] > 0) | (near.alpha.ravel()[look.points] > 127)
    assert look.stands_for[inside].sum() == pytest.approx(solid, rel=0.1)
    assert sums["expected_error"] == pytest.approx(float(look.stands_for @ shipped()(look.traits)))


def test_a_frame_adds_what_was_seen_of_it_and_nothing_is_kept_unasked(
    disc: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    frame, alpha, mask = disc
    rle = encode_rle(mask)
    assert rle is not None
    looks: list[tuple[int, sampling.Look]] = []
    kept, plain = Scorer(full=True, keep=looks), Scorer(full=True)
    for index in range(4):
        for scorer in (kept, plain):
            scorer.add(index, alpha, rle, frame)
    assert [index for index, _ in looks] == [0, 3]
    assert kept.scores(Seams()) == plain.scores(Seams())
