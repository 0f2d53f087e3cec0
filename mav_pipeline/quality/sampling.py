"""What single colours of the picture say of a matte, at source resolution.

    mask + alpha -> zone, sure samples; points -> pairs of samples -> alpha-hat -> sums
                                               -> traits -> expected error -> sum

One mean colour a side hides hair and mesh; single samples do not: see ``pairs``. Sure is what mask
and matte say together, so that a matte which is grey everywhere does not take its own evidence
away, and a matte that departs from a poor mask is judged by the colours that both agree on. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mav_pipeline.quality.expected import shipped
from mav_pipeline.quality.pairs import NEAREST, Floats, Places, Sampled, beside, explain
from mav_pipeline.quality.region import Box, crop, picture, shrink
from mav_pipeline.quality.traits import describe
from mav_pipeline.schema import AlphaFrame, Frame, Mask

POINTS = 300  # of a look in the zone: five times as many rank mattes no better
INNER, OUTER = 100, 50  # of it in what is solid and in what is clear beyond the zone
_POINT_EACH = 5  # pixels of the zone, so that a small object costs what it costs to be matted
_LEAST_POINTS = 100
_SAMPLES = 1500  # of each side that are searched for the nearest
_REACH = 0.04  # half width of the zone / sqrt(object area)
_REACH_PX = (3, 12)  # its bounds in pixels
_SURE = 0.7  # mean of mask and alpha from which a pixel may be a sample of the object
_RIDGE = 12  # levels by which a sample may lie below the highest of its neighbours
_NIL = 1e-6
_BEYOND = 1.5  # spreads from alpha-hat that alpha may lie without a fault
_DOUBT = 0.15  # spread at which a point has half a say
_PRIOR = 0.2  # share of the points that are taken as faultless: few clear ones prove little


@dataclass(frozen=True, slots=True)
class Patch:
    """A frame around its object, all at the finer resolution that the picture has.

    Attributes:
        alpha: (h, w), 255 = opaque.
        bits: (h, w) uint8, 1 = mask.
        rgb: (h, w, 3).
    """

    alpha: AlphaFrame
    bits: NDArray[np.uint8]
    rgb: Frame


def patch(alpha: AlphaFrame, mask: Mask, frame: Frame, box: Box) -> Patch:
    """What ``box`` shows, at source resolution or the frame's, whichever has fewer pixels.

    Args:
        alpha, mask: (H, W) at source resolution.
        frame: (h, w, 3), the whole picture at any size.
    """
    bits = crop(mask, box).view(np.uint8)
    if frame.shape[:2] == mask.shape:
        return Patch(crop(alpha, box), bits, crop(frame, box))
    sides = (box[3] - box[1], box[2] - box[0])
    scales = (frame.shape[1] / mask.shape[1], frame.shape[0] / mask.shape[0])
    width, height = (
        max(1, round(side * min(1.0, scale))) for side, scale in zip(sides, scales, strict=True)
    )
    size = (width, height)
    solid = shrink(bits * np.uint8(255), size) > 127
    return Patch(
        shrink(crop(alpha, box), size),
        solid.view(np.uint8),
        picture(frame, box, mask.shape, size),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at n points of a patch, those of the zone first.

    Attributes:
        points: (n,) pixels of the patch.
        stands_for: (n,) how many pixels each stands for.
        traits: (n, k) in the order of ``traits.describe``.
        box: what the patch shows, in source pixels.
        opaque: sum of alpha in [0, 1], a tenth of the mask's area at least.
    """

    points: Places
    stands_for: Floats
    traits: Floats
    box: Box
    opaque: float


def measure(seen: Patch, box: Box, seed: int) -> tuple[dict[str, float], Look | None]:
    """Sums over one look, and the look; nothing where object or background is out of sight.

    Args:
        box: what the patch shows, in source pixels.
        seed: of the draw; equal input and seed give equal sums on every machine of a kind.
    """
    if not (seen.bits.any() and not seen.bits.all()):
        return {}, None
    zone, half = _zone(seen)
    object_at, ground_at = _samples(seen, zone, half, seed)
    drawn = _points(seen, zone, half, seed)
    points = np.concatenate([places for places, _ in drawn])
    first = len(drawn[0][0])
    if min(len(object_at), len(ground_at)) <= NEAREST or not first:
        return {}, None
    alpha = _levels(seen, points)
    found = explain(seen.rgb, points, object_at, ground_at, alpha)
    steps = _levels(seen, beside(points, seen.alpha.shape)) - alpha[:, None]
    stands_for = np.concatenate([np.full(len(p), each, np.float32) for p, each in drawn])
    look = Look(
        points=points,
        stands_for=stands_for,
        traits=describe(seen.alpha, seen.bits, seen.rgb, points, stands_for, found),
        box=box,
        opaque=max(_total(seen.alpha) / 255, 0.1 * _total(seen.bits)),
    )
    near = slice(first)
    sure = _far_from_edge(seen.bits).ravel()[points]
    sums = _sums(alpha[near], steps[near], found.first(first), sure[near], drawn[0][1] * first)
    expected = float(look.stands_for @ shipped()(look.traits))
    return {**sums, "expected_error": expected, "sampled_alpha": look.opaque}, look


def _levels(seen: Patch, places: Places) -> Floats:
    return seen.alpha.ravel()[places].astype(np.float32) / np.float32(255)


def _points(seen: Patch, zone: Mask, half: int, seed: int) -> list[tuple[Places, float]]:
    """In the zone, in what is solid within it, in what is clear around it; what each stands for."""
    solid = (seen.bits > 0) | (seen.alpha > 127)
    around = cv2.dilate(zone.view(np.uint8), np.ones((4 * half + 1,) * 2, np.uint8)) > 0
    some = min(POINTS, max(_LEAST_POINTS, int(np.count_nonzero(zone)) // _POINT_EACH))
    drawn = []
    for where, count in ((zone, some), (solid & ~zone, INNER), (around & ~solid & ~zone, OUTER)):
        places = draw(np.asarray(where, np.bool_), count, seed)
        drawn.append((places, int(np.count_nonzero(where)) / max(1, len(places))))
    return drawn


def draw(where: Mask, count: int, seed: int) -> Places:
    """Up to ``count`` pixels of a mask, as if at random.

    Each pixel has its own lot: masks that overlap share most of what is drawn of them, so that
    mattes of one frame are judged at the same places.
    """
    places = np.flatnonzero(where)
    if len(places) <= count:
        return places
    lots = (places.astype(np.uint64) + np.uint64(seed * 7919)) * np.uint64(0x9E3779B97F4A7C15)
    lots ^= lots >> np.uint64(29)
    lots *= np.uint64(0xBF58476D1CE4E5B9)
    return np.sort(places[np.argpartition(lots, count)[:count]])


def _zone(seen: Patch) -> tuple[Mask, int]:
    """Where alpha is soft, or an edge of mask or matte is near; and its half width."""
    half = int(np.clip(round(_REACH * _total(seen.bits) ** 0.5), *_REACH_PX))
    brush = np.ones((2 * half + 1,) * 2, np.uint8)
    solid = (seen.alpha > 127).view(np.uint8)
    wide = cv2.dilate(seen.bits | solid, brush)
    core = cv2.erode(seen.bits & solid, brush, borderType=cv2.BORDER_REPLICATE)
    soft = cv2.inRange(seen.alpha, np.array(13), np.array(242)) > 0
    return np.asarray((wide > core) | soft), half


def _samples(seen: Patch, zone: Mask, half: int, seed: int) -> tuple[Places, Places]:
    """Sure pixels of object and background, near the zone where there are enough of them."""
    near = cv2.dilate(zone.view(np.uint8), np.ones((6 * half + 1,) * 2, np.uint8)).view(np.bool_)
    mask = seen.bits * np.uint8(255)
    both = cv2.addWeighted(mask, 0.5, seen.alpha, 0.5, 0)
    found = []
    for turn in (False, True):
        say, alone = (255 - part if turn else part for part in (both, mask))
        ridge = _ridge(say)
        chosen = next(filter(_enough, (ridge & near, ridge)), None)
        if chosen is None:  # the matte says nothing: the mask alone does
            chosen = next(filter(_enough, (_ridge(alone),)), alone > 127)
        found.append(draw(chosen, _SAMPLES, seed))
    return found[0], found[1]


def _enough(where: Mask) -> bool:
    return int(np.count_nonzero(where)) > 2 * NEAREST


def _ridge(say: Any) -> Mask:
    """Where it is high, and as high as anywhere near: hair has no core, and edges are mixed."""
    mean = cv2.blur(say, (3, 3))
    highest = cv2.dilate(mean, np.ones((5, 5), np.uint8))
    return np.asarray((cv2.add(mean, np.array(float(_RIDGE))) >= highest) & (say > 255 * _SURE))


def _far_from_edge(bits: NDArray[np.uint8]) -> Mask:
    three = np.ones((3, 3), np.uint8)
    core = cv2.erode(bits, three, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(core == cv2.dilate(bits, three))


def _sums(
    alpha: Floats, steps: Floats, found: Sampled, sure: Mask, zone: float
) -> dict[str, float]:
    """What is pooled over looks: each point stands for its share of the zone."""
    clear = 1 / (1 + (found.spread / _DOUBT) ** 2)
    share = zone / (float(clear.sum(dtype=np.float64)) + _PRIOR * len(alpha))
    gap, free = alpha - found.guess, _BEYOND * found.spread
    each = zone / len(alpha)
    return {
        "sampled_zone": zone,
        "sampled_over": share * _total(clear * np.maximum(gap - free, 0)),
        "sampled_under": share * _total(clear * np.maximum(-gap - free, 0)),
        "sampled_doubt": each * _total(found.spread * sure),
        "sampled_n": each * _total(clear),
        "sampled_a": each * _total(clear * alpha),
        "sampled_g": each * _total(clear * found.guess),
        "sampled_aa": each * _total(clear * alpha * alpha),
        "sampled_gg": each * _total(clear * found.guess * found.guess),
        "sampled_ag": each * _total(clear * alpha * found.guess),
        "steps_aa": each * _total(clear[:, None] * steps * steps),
        "steps_gg": each * _total(clear[:, None] * found.steps * found.steps),
        "steps_ag": each * _total(clear[:, None] * steps * found.steps),
    }


def relation(sums: dict[str, float]) -> tuple[float, float] | None:
    """(correlation, slope) of alpha-hat on alpha over all looks; None without a look.

    An alpha, or an alpha-hat, that is the same everywhere has correlation 0, and slope 1.
    """
    count = sums.get("sampled_n", 0.0)
    if not count:
        return None
    a, g = sums["sampled_a"] / count, sums["sampled_g"] / count
    own = sums["sampled_aa"] / count - a * a
    theirs = sums["sampled_gg"] / count - g * g
    return _related(own, theirs, sums["sampled_ag"] / count - a * g)


def step_relation(sums: dict[str, float]) -> tuple[float, float] | None:
    """As ``relation``, of what alpha and alpha-hat change by from a point to those beside it."""
    count = sums.get("sampled_n", 0.0)
    if not count:
        return None
    return _related(*(sums[f"steps_{part}"] / count for part in ("aa", "gg", "ag")))


def _related(own: float, theirs: float, along: float) -> tuple[float, float]:
    if min(own, theirs) < _NIL:
        return 0.0, 1.0
    return along / (own * theirs) ** 0.5, along / own


def _total(values: Any) -> float:
    return float(values.sum(dtype=np.float64))
