"""Fine structure in the sample: thin, its truth exact, followed by some masks and not by others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mav_pipeline.config import SampleConfig
from mav_pipeline.synthetic import Photographs, render
from mav_pipeline.synthetic.annotate import draw, follow
from mav_pipeline.synthetic.canvas import Canvas
from mav_pipeline.synthetic.compose import Composed, compose
from mav_pipeline.synthetic.natural import natural
from mav_pipeline.synthetic.plan import plan_clip
from mav_pipeline.synthetic.scene import FINE, KINDS, ClipPlan
from mav_pipeline.synthetic.sprite import paint_object

SIZE = (240, 320)  # of frames


def config(*kinds: Any, **changes: Any) -> SampleConfig:
    height, width = SIZE
    settings = {"root": None, "clips": 2, "frames": 1, "width": width, "height": height, "seed": 4}
    return SampleConfig(**{**settings, "kinds": kinds, **changes})


def first(plan: ClipPlan, **changes: Any) -> ClipPlan:
    """The clip with its largest object alone."""
    thing = dataclasses.replace(plan.objects[0], **changes)
    return dataclasses.replace(plan, objects=(thing,), depth=(0,))


def frame(plan: ClipPlan, photographs: Photographs = Photographs()) -> Composed:  # noqa: B008
    return next(compose(plan, photographs))


def flat(value: int) -> Photographs:
    """Footage of one colour, which is shown as it is."""
    still = np.full((*SIZE, 3), value, np.uint8)
    return Photographs(grounds=[[still, still]])


def gaps(mask: np.ndarray) -> int:
    """Holes in a mask, the outside not counted."""
    count, _ = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    return count - 2


def ridge_widths(alpha: np.ndarray) -> np.ndarray:
    """Width in pixels along the middle of what is solid."""
    away = cv2.distanceTransform(
        (alpha >= 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    ridge = (away > 0) & (away >= cv2.dilate(away, np.ones((3, 3), np.uint8)))
    return np.asarray(2 * away[ridge] - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_two_grounds_give_the_alpha_that_is_stored(kind: str) -> None:
    """Smith & Blinn, "Blue screen matting" (1996): black and white ground tell alpha exactly."""
    plan = plan_clip(config(kind), 0)
    black, white = (frame(plan, flat(value)) for value in (0, 255))
    through = (white.rgb.astype(float) - black.rgb).mean(axis=2) / 255
    seen = sum(black.alphas)
    assert np.abs(1 - through - seen).max() < 6 / 255  # of it grain, cut off at 0 and 255
    assert all((a == b).all() for a, b in zip(black.alphas, white.alphas, strict=True))


@pytest.mark.parametrize("width", [1.0, 1.7, 3.0])
@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2])
def test_a_ribbon_covers_its_width_times_its_length(width: float, angle: float) -> None:
    canvas = Canvas(100)
    reach = np.linspace(-35.0, 35.0, 9)[:, None]
    points = 50.3 + reach * np.array((np.cos(angle), np.sin(angle)))
    canvas.ribbon(points, np.full(9, width), 1.0)
    covered, tint = canvas.read()
    assert covered.sum() == pytest.approx(70 * width, rel=0.08)
    y, x = np.nonzero(covered)
    aside = np.average(
        np.cos(angle) * (y - 50.3) - np.sin(angle) * (x - 50.3), weights=covered[y, x]
    )
    assert abs(aside) < 0.15  # of a pixel, off its middle
    assert np.abs(tint - 1).max() < 0.1


@pytest.mark.parametrize("kind", FINE)
def test_what_is_thin_is_one_to_three_pixels_wide(kind: str) -> None:
    for height, seed in ((360, 0), (360, 1), (720, 2)):
        settings = config(kind, height=height, width=16 * height // 9, seed=seed)
        plan = first(plan_clip(settings, 0), defocus=0.0)
        alpha = paint_object(plan.objects[0], plan.unit).rgba[..., 3]
        assert alpha.max() > 0.99
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
        solid = cv2.morphologyEx((alpha >= 0.5).astype(np.uint8), cv2.MORPH_OPEN, disc)
        thin = np.where(cv2.dilate(solid, disc) > 0, 0, alpha)
        widths = ridge_widths(thin)
        assert len(widths) > 100, (kind, seed)
        # Wires cross, lace has flowers, and the tips of leaves are no stems.
        assert np.quantile(widths, 0.9 if kind == "hairs" else 0.5) <= 3, (kind, seed)


def test_a_mesh_shows_its_ground_and_has_no_wide_part() -> None:
    for seed in range(3):
        plan = first(plan_clip(config("mesh", seed=seed), 0), defocus=0.0)
        sprite = paint_object(plan.objects[0], plan.unit)
        alpha, cover = sprite.rgba[..., 3], sprite.cover
        assert cover is not None
        assert alpha.sum() < 0.6 * cover.sum()
        assert gaps(alpha >= 0.5) > 20
        assert ridge_widths(alpha).max() <= 9


@pytest.mark.parametrize("kind", FINE)
def test_a_faithful_mask_is_alpha_at_one_half_and_another_is_not(kind: str) -> None:
    plan = first(plan_clip(config(kind), 0))
    seen = frame(plan)
    alpha, cover = seen.alphas[0], seen.covers[0]
    faithful, by_hand = follow(alpha, cover, 1.0).mask, draw(cover, 1.0, careful=True).mask
    assert (faithful == (alpha >= 0.5)).all()
    assert (faithful != by_hand).sum() > 0.02 * faithful.sum()
    if kind in ("mesh", "lace"):
        assert gaps(by_hand) < gaps(faithful) / 10  # painted over


def test_where_motion_leaves_too_little_a_faithful_mask_is_drawn_by_hand() -> None:
    cover = np.zeros((40, 60), np.float32)
    cover[10:30, 10:50] = 1
    smeared = 0.3 * cover
    assert (follow(smeared, cover, 1.0).mask == draw(cover, 1.0, careful=True).mask).all()
    nothing = np.zeros_like(cover)
    assert not follow(nothing, nothing, 1.0).mask.any()


def test_some_masks_follow_fine_structure_and_some_paint_it_over() -> None:
    plans = [plan_clip(config(*FINE, seed=seed), 0) for seed in range(8)]
    for kind in FINE:
        objects = [thing for plan in plans for thing in plan.objects if thing.kind == kind]
        assert {thing.faithful for thing in objects} == {True, False}
        assert {thing.defocus > 0 for thing in objects} == {True, False}


def test_no_exposure_smears_a_wire_into_haze() -> None:
    for seed in range(20):
        plan = plan_clip(config("mesh", height=1080, width=1920, frames=96, seed=seed), 1)
        motion = plan.objects[0].motion
        for number in range(0, 96, 4):
            before, after = motion.pose(number - 0.25), motion.pose(number + 0.25)
            assert np.hypot(after.x - before.x, after.y - before.y) < 3.0


def test_the_kinds_that_are_asked_for_are_shown_in_turn() -> None:
    plans = [plan_clip(config("lace", "soft", "mesh", seed=1), index) for index in range(3)]
    shown = [[thing.kind for thing in plan.objects[:3]] for plan in plans]
    assert shown == [["lace", "soft", "mesh"], ["soft", "mesh", "lace"], ["mesh", "lace", "soft"]]


def test_without_fine_structure_all_is_plain_and_with_it_of_many_colours() -> None:
    plain = [plan_clip(config("soft", "hairy", seed=seed), 0) for seed in range(12)]
    fine = [plan_clip(config("soft", "mesh", seed=seed), 0) for seed in range(12)]
    assert not any(plan.natural for plan in plain)
    assert {plan.natural for plan in fine} == {True, False}
    assert {plan.defocus > 0 for plan in fine} == {True, False}
    hues = [thing.hue for plan in fine for thing in plan.objects]
    assert len({int(6 * hue) for hue in hues}) == 6


def test_a_natural_ground_has_edges_many_colours_and_the_spectrum_of_photographs() -> None:
    pictures = [natural(np.random.default_rng(seed), 256, 256) for seed in range(4)]
    for picture in pictures:
        assert 0 <= picture.min() < picture.max() <= 1
        assert picture.std(axis=(0, 1)).min() > 0.05
        grey = picture.mean(axis=2) * np.outer(np.hanning(256), np.hanning(256))
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
        f = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        rings = [np.log(power[(f >= low) & (f < 1.3 * low)].mean()) for low in (0.02, 0.2)]
        slope = (rings[0] - rings[1]) / np.log(10)
        assert 1.4 < slope < 3.2  # photographs have about 2: van der Schaaf & van Hateren, 1996
    means = np.stack([picture.mean(axis=(0, 1)) for picture in pictures])
    assert means.std(axis=0).max() > 0.05


def test_photographs_take_the_place_of_paint() -> None:
    red = np.zeros((50, 70, 3), np.uint8)
    red[..., 0] = 200
    blue = np.ascontiguousarray(red[..., ::-1])
    plan = first(plan_clip(config("soft"), 0))
    seen = frame(plan, Photographs(textures=[red], grounds=[[blue]]))
    solid, empty = seen.alphas[0] > 0.99, seen.alphas[0] == 0
    assert seen.rgb[solid].mean(axis=0)[0] > 8 * seen.rgb[solid].mean(axis=0)[2]
    assert seen.rgb[empty].mean(axis=0)[2] > 8 * seen.rgb[empty].mean(axis=0)[0]


def test_footage_goes_on_frame_by_frame_and_back_at_its_end() -> None:
    levels = [20, 60, 100, 140]
    ground = [np.full((30, 40, 3), level, np.uint8) for level in levels]
    plan = first(plan_clip(config("soft", frames=14), 0))
    seen = compose(plan, Photographs(grounds=[ground]))
    shown = [int(np.median(composed.rgb)) for composed in seen]
    steps = [levels.index(min(levels, key=lambda level: abs(level - s))) for s in shown]
    assert set(np.abs(np.diff(steps))) == {1}
    assert set(steps) == {0, 1, 2, 3}


def test_a_grey_photograph_gets_a_colour() -> None:
    grey = np.random.default_rng(0).integers(60, 200, (60, 60, 1), np.uint8).repeat(3, axis=2)
    plan = first(plan_clip(config("soft"), 0))
    seen = frame(plan, Photographs(grounds=[[grey]]))
    corner = seen.rgb[seen.alphas[0] == 0].mean(axis=0)
    assert corner.max() - corner.min() > 5


@pytest.mark.parametrize("kind", FINE)
@pytest.mark.parametrize("size", [(64, 64), (64, 200)])
def test_every_size_can_be_rendered(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    made = render(tmp_path, config(kind, height=height, width=width, frames=5, clips=1))
    assert made == ["sav_000001"]


def test_same_settings_same_bytes_with_photographs_too(tmp_path: Path) -> None:
    picture = (natural(np.random.default_rng(0), 90, 120) * 255).astype(np.uint8)
    photographs = Photographs(textures=[picture], grounds=[[picture], [picture, picture[::-1]]])
    settings = config(*FINE, frames=5, height=96, width=128)
    for name in ("a", "b"):
        render(tmp_path / name, settings, photographs)
        render(tmp_path / f"{name} painted", settings)
    made = {
        name: [
            path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*")) if path.is_file()
        ]
        for name in ("a", "b", "a painted", "b painted")
    }
    assert made["a"] == made["b"] != made["a painted"] == made["b painted"]
