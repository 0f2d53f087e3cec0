"""What a sample clip shows: its objects, how they move, and where the camera looks. Pure.

Lengths are in pixels of the video, time in video frames, angles in radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from mav_pipeline.config import SampleKind

FPS = 24  # SA-V's rate
STEP = 4  # SA-V annotates every 4th frame: 6 a second
SHUTTER = 0.5  # a film camera's 180 degrees: exposed for half of each frame interval

KINDS: tuple[SampleKind, ...] = get_args(SampleKind)
#: Thinner than a matte's edge: masks lose it or paint it over, and its ground shows through.
FINE: tuple[SampleKind, ...] = ("mesh", "leaves", "hairs", "lace")
#: Others are seen through these, so they lie behind, or they would leave others half visible.
BEHIND: tuple[SampleKind, ...] = ("sheer", "mesh", "lace")


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
        saturation: of its main colour, in [0, 1].
        faithful: masks follow the alpha at one half; else they are as a person draws, who
            loses single strands and paints over meshes.
        defocus: standard deviation of the blur of its farther side, in pixels; 0 for none.
    """

    seed: tuple[int, ...]
    kind: SampleKind
    silhouette: str
    texture: str
    radius: float
    hue: float
    bright: bool
    saturation: float
    faithful: bool
    defocus: float
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
        natural: the ground has many colours and forms; else it is a room or a landscape.
        defocus: standard deviation of the blur of such a ground, in pixels; 0 for none.
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
    natural: bool
    defocus: float
    camera: Camera
    objects: tuple[ObjectPlan, ...]
    depth: tuple[int, ...]
    with_empty: bool

    @property
    def annotated(self) -> tuple[int, ...]:
        """Video frame number of each annotated frame."""
        return tuple(range(0, self.frames, STEP))


def _smoothstep(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
