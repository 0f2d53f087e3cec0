"""What a sample clip shows: its objects, how they move, and where the camera looks. Pure.

Lengths are in pixels of the video, time in video frames, angles in radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mav_pipeline.config import SampleConfig

FPS = 24  # SA-V's rate
STEP = 4  # SA-V annotates every 4th frame: 6 a second
SHUTTER = 0.5  # a film camera's 180 degrees: exposed for half of each frame interval

Kind = Literal["soft", "blurred", "hairy", "sheer"]
KINDS: tuple[Kind, ...] = ("hairy", "soft", "sheer", "blurred")
SILHOUETTES = ("creature", "blob", "petals")
TEXTURES = ("marble", "stripes", "cells", "clouds")
#: Radius / shorter side of the frame: from large to small in COCO's sense at 640x360.
RADII = (0.25, 0.17, 0.11, 0.055)
#: Turns of the colour wheel from the background's hue, so that neighbours can be told apart.
HUES = (0.5, 0.33, 0.68, 0.42)
#: Outdoors the background runs from grass to sky, which leaves red to yellow and magenta.
OUTDOOR_HUES = (0.04, 0.13, 0.93, 0.99)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where an object is: centre (x, y), angle, scale, and the phase of its sway."""

    x: float
    y: float
    angle: float
    scale: float
    sway: float


@dataclass(frozen=True, slots=True)
class Motion:
    """A path through the frame.

    Attributes:
        centre, swing: the object swings around ``centre`` by ``swing`` (x, y).
        period: of the swing, in frames; ``phase`` in radians.
        tilt: the angle swings by this much.
        leave: (x, y) added in the middle of the clip; takes the object out of the frame.
        last: number of the last annotated frame, which is when it is back.
    """

    centre: tuple[float, float]
    swing: tuple[float, float]
    period: float
    phase: float
    tilt: float
    leave: tuple[float, float]
    last: int

    def pose(self, frame: float) -> Pose:
        """Pose at ``frame``, which may lie between two frames."""
        turn = 2 * math.pi * frame / self.period + self.phase
        # Gone for the middle third: 3 annotated frames are enough to see it leave and return.
        away = _smoothstep((0.5 - abs(frame / max(self.last, 1) - 0.5)) / 0.42)
        return Pose(
            x=self.centre[0] + self.swing[0] * math.sin(turn) + self.leave[0] * away,
            y=self.centre[1] + self.swing[1] * math.sin(1.3 * turn + 1) + self.leave[1] * away,
            angle=self.tilt * math.sin(0.9 * turn + 2),
            scale=1 + 0.06 * math.sin(0.8 * turn),
            sway=0.22 * frame + self.phase,
        )


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """One object: what it is made of and how it moves.

    Attributes:
        seed: of the painter.
        radius: of the body, without hair or veil.
        hue: of its main colour, in turns.
        bright: light or dark.
    """

    seed: tuple[int, ...]
    kind: Kind
    silhouette: str
    texture: str
    radius: float
    hue: float
    bright: bool
    motion: Motion


@dataclass(frozen=True, slots=True)
class Camera:
    """Pan (x, y) in pixels a frame, zoom a frame, and the size of the shake of a hand."""

    pan: tuple[float, float]
    zoom: float
    shake: float


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """One clip.

    Attributes:
        unit: of soft edges, hair and veils, in pixels: 1 at 640x360; grows slower than the frame,
            as a matte's edge does.
        objects: in the order of their masklets.
        depth: indices into ``objects``, the farthest first.
        with_empty: a last masklet that is empty throughout.
    """

    seed: tuple[int, ...]
    video_id: str
    environment: Literal["Indoor", "Outdoor"]
    hue: float
    height: int
    width: int
    frames: int
    unit: float
    camera: Camera
    objects: tuple[ObjectPlan, ...]
    depth: tuple[int, ...]
    with_empty: bool

    @property
    def annotated(self) -> tuple[int, ...]:
        """Video frame number of each annotated frame."""
        return tuple(range(0, self.frames, STEP))


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
    return ClipPlan(
        seed=seed,
        video_id=f"sav_{index + 1:06d}",
        environment="Outdoor" if outdoor else "Indoor",
        hue=float(hue),
        height=config.height,
        width=config.width,
        frames=config.frames,
        unit=min(max(side / 360, 0.4), 1.3),
        camera=Camera((float(pan[0]), float(pan[1])), float(rng.uniform(-0.001, 0.001)), 0.004),
        objects=tuple(objects),
        # Veils lie behind, or they would leave others half visible; the small in front.
        depth=tuple(sorted(range(count), key=lambda slot: (objects[slot].kind != "sheer", slot))),
        with_empty=with_empty,
    )


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
        kind = KINDS[(slot + index) % len(KINDS)]
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
            motion=self._motion(slot, kind, centre, swing, radius),
        )

    def _motion(
        self,
        slot: int,
        kind: str,
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


def _smoothstep(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
