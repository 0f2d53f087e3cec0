"""Draws what each clip shows from settings, seed and number alone. Pure.

A corpus without fine structure is plain: two tones an object, before a room or a landscape. With it
``_varied`` gives all objects other colours, textures, paces and focus, and grounds to them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from mav_pipeline.config import SampleConfig, SampleKind
from mav_pipeline.synthetic.scene import (
    BEHIND,
    FINE,
    SHUTTER,
    STEP,
    Camera,
    ClipPlan,
    Motion,
    ObjectPlan,
)

SILHOUETTES = ("creature", "blob", "petals")
TEXTURES = ("marble", "stripes", "cells", "clouds")
#: Radius / shorter side of the frame: from large to small in COCO's sense at 640x360.
RADII = (0.25, 0.17, 0.11, 0.055)
#: Turns of the colour wheel from the background's hue, so that neighbours can be told apart.
HUES = (0.5, 0.33, 0.68, 0.42)
#: Outdoors the background runs from grass to sky, which leaves red to yellow and magenta.
OUTDOOR_HUES = (0.04, 0.13, 0.93, 0.99)
#: Pixels that an exposure may smear a kind by; a wire that is smeared wider is half of a haze.
SMEAR: dict[SampleKind, float] = {"mesh": 2.5, "lace": 2.5, "leaves": 6.0, "hairs": 5.0}
#: The widest blur by defocus, times the clip's unit; wider, nothing of a wire is left.
OUT_OF_FOCUS: dict[SampleKind, float] = {"mesh": 1.1, "lace": 1.2, "leaves": 2.2, "hairs": 1.8}


def plan_clip(config: SampleConfig, index: int) -> ClipPlan:
    """Draws clip ``index`` of the corpus. Depends on settings, seed and index alone."""
    # Generators take no negative numbers, settings do.
    seed = (config.seed % 2**63, index)
    rng = np.random.default_rng(seed)
    outdoor = (index + config.seed) % 2 == 0
    hue = rng.uniform(0.3, 0.36) if outdoor else rng.choice((0.08, 0.1, 0.55, 0.6))
    with_empty = index == config.clips - 1
    count = 3 if with_empty else int(rng.integers(3, 5))
    side = min(config.height, config.width)
    # Where the first, largest object sits, and the others around it: they meet, but none is hidden.
    spots = np.array([(0.32, 0.55), (0.77, 0.5), (0.5, 0.3), (0.52, 0.75)])
    if rng.random() < 0.5:
        spots[:, 0] = 1 - spots[:, 0]
    draw = _ObjectDraw(config, index, rng, outdoor, float(hue))
    objects = [draw.object(slot, spots[slot], (*seed, slot + 1)) for slot in range(count)]
    pan = side * rng.uniform(-0.0015, 0.0015, 2)
    plan = ClipPlan(
        seed=seed,
        video_id=f"sav_{index + 1:06d}",
        environment="Outdoor" if outdoor else "Indoor",
        hue=float(hue),
        height=config.height,
        width=config.width,
        frames=config.frames,
        unit=min(max(side / 360, 0.4), 1.3),
        natural=False,
        defocus=0.0,
        camera=Camera((float(pan[0]), float(pan[1])), float(rng.uniform(-0.001, 0.001)), 0.004),
        objects=tuple(objects),
        # The small in front.
        depth=tuple(
            sorted(range(count), key=lambda slot: (objects[slot].kind not in BEHIND, slot))
        ),
        with_empty=with_empty,
    )
    return plan if set(config.kinds).isdisjoint(FINE) else _varied(plan)


def _varied(plan: ClipPlan) -> ClipPlan:
    """The clip in other colours, and its ground and objects more or less in focus."""
    rng = np.random.default_rng((*plan.seed, 77))
    sharp, wide = rng.random() < 0.4, rng.uniform(0.8, 3.0) * plan.unit
    return dataclasses.replace(
        plan,
        natural=bool(rng.random() < 0.75),
        defocus=0.0 if sharp else float(wide),
        objects=tuple(_varied_object(thing, plan.unit) for thing in plan.objects),
    )


def _varied_object(thing: ObjectPlan, unit: float) -> ObjectPlan:
    rng = np.random.default_rng((*thing.seed, 77))
    fine = thing.kind in FINE
    sharp, wide = rng.random() < 0.55, rng.uniform(0.5, OUT_OF_FOCUS.get(thing.kind, 0.5)) * unit
    return dataclasses.replace(
        thing,
        silhouette="blob" if thing.kind == "mesh" else thing.silhouette,  # wires make no fingers
        texture=str(rng.choice(("natural", "fractal", thing.texture), p=(0.4, 0.4, 0.2))),
        hue=float(rng.random()),
        saturation=float(rng.uniform(0.05, 0.85)),
        bright=bool(rng.random() < 0.5),
        faithful=bool(fine and rng.random() < 0.6),
        defocus=0.0 if sharp or not fine else float(wide),
        motion=_slower(rng, thing.motion, SMEAR[thing.kind]) if fine else thing.motion,
    )


def _slower(rng: np.random.Generator, motion: Motion, smear: float) -> Motion:
    """The same way at a pace at which no exposure smears the object by more than ``smear``."""
    widest = smear / SHUTTER * motion.period / (2 * math.pi)
    pace = rng.uniform(0.2, 1) * min(1.0, widest / motion.swing[0])
    return dataclasses.replace(motion, swing=(motion.swing[0] * pace, motion.swing[1] * pace))


@dataclass(frozen=True, slots=True)
class _ObjectDraw:
    """Draws the objects of one clip, one after the other from the clip's own numbers."""

    config: SampleConfig
    index: int
    rng: np.random.Generator
    outdoor: bool
    hue: float

    def object(self, slot: int, around: np.ndarray, seed: tuple[int, ...]) -> ObjectPlan:
        """The object of a slot, near ``around`` in shares of the frame; 0 is the largest."""
        config, index, rng = self.config, self.index, self.rng
        side = min(config.height, config.width)
        kind = config.kinds[(slot + index) % len(config.kinds)]
        radius = max(5.0, RADII[slot] * side * rng.uniform(0.9, 1.1))
        spot = around + rng.uniform(-0.04, 0.04, 2)
        swing = side * np.array((0.2, 0.07)) * (1.3 if kind == "blurred" else rng.uniform(0.5, 0.9))
        centre = (float(spot[0] * config.width), float(spot[1] * config.height))
        hue = OUTDOOR_HUES[slot] if self.outdoor else self.hue + HUES[slot]
        return ObjectPlan(
            seed=seed,
            kind=kind,
            silhouette=SILHOUETTES[(slot + 2 * index + int(rng.integers(2))) % 3],
            texture=TEXTURES[(slot + index + int(rng.integers(3))) % 4],
            radius=radius,
            hue=float(hue) % 1 + rng.uniform(-0.02, 0.02),
            bright=bool((slot + index) % 2),
            saturation=0.85,
            faithful=False,
            defocus=0.0,
            motion=self._motion(slot, kind, centre, swing, radius),
        )

    def _motion(
        self,
        slot: int,
        kind: SampleKind,
        centre: tuple[float, float],
        swing: np.ndarray,
        radius: float,
    ) -> Motion:
        rng, last = self.rng, (self.config.frames - 1) // STEP * STEP
        leaves = slot == 1 and self.index % 2 == 0 and last >= 2 * STEP  # shorter, it cannot return
        return Motion(
            centre=centre,
            swing=(float(swing[0]), float(swing[1])),
            period=float(rng.uniform(30, 36) if kind == "blurred" else rng.uniform(60, 110)),
            phase=float(rng.uniform(0, 2 * math.pi)),
            tilt=float(rng.uniform(0.1, 0.35)),
            leave=_way_out(centre, swing, radius, self.config) if leaves else (0.0, 0.0),
            last=last,
        )


def _way_out(
    centre: tuple[float, float], swing: np.ndarray, radius: float, config: SampleConfig
) -> tuple[float, float]:
    """The way through the nearer side of the frame, limbs, hair, swing and smear included."""
    room = 1.4 * radius + float(swing[0]) + 24
    x = centre[0]
    way = config.width - x + room if 2 * x > config.width else -x - room
    return 1.15 * way, 0.0  # far enough to be out well before the path turns round
