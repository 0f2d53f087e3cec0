"""The groups that results are split into, by what the truth shows. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2

from mav_pipeline.schema import AlphaFrame

#: Upper bounds, exclusive, of all groups but the last.
#: Mean area in pixels: COCO's bounds, which SA-V's masklet_size_bucket has too.
_SIZES = ((32**2, 96**2), ("small", "medium", "large"))
#: Path from one annotated frame to the next / sqrt(area). Near the quartiles of 17 real SA-V and 11
#: rendered masklets at 6 frames a second (0.14, 0.26, 0.77); at other rates things move otherwise.
_MOTIONS = ((0.125, 0.25, 0.75), ("still", "slow", "medium", "fast"))
#: Shorter side in pixels.
_RESOLUTIONS = ((480, 720, 1080), ("below 480p", "480p", "720p", "1080p and up"))
UNKNOWN = "unknown"

#: Every stratum with its groups in order; None where the set names them.
GROUPS: Mapping[str, tuple[str, ...] | None] = {
    "status": ("accepted", "rejected"),
    "environment": None,
    "size": _SIZES[1],
    "motion": (*_MOTIONS[1], UNKNOWN),
    "resolution": _RESOLUTIONS[1],
}


@dataclass(slots=True)
class Shape:
    """Gathers where a masklet's truth is and how large, frame by frame."""

    frames: int = 0
    mass: float = 0.0  # sum of alpha over all frames
    _path: float = 0.0
    _steps: int = 0
    _last: tuple[int, float, float] | None = None

    def add(self, index: int, truth: AlphaFrame) -> None:
        """Looks at one (H, W) frame; frames on which nothing shows do not count."""
        moments = cv2.moments(truth)
        mass = moments["m00"]
        if mass == 0:
            return
        x, y = moments["m10"] / mass, moments["m01"] / mass
        if self._last is not None and self._last[0] == index - 1:
            self._path += math.hypot(x - self._last[1], y - self._last[2])
            self._steps += 1
        self.frames += 1
        self.mass += mass / 255
        self._last = (index, x, y)

    @property
    def area(self) -> float:
        """Mean of the sum of alpha over the frames that show the object, in pixels."""
        return self.mass / self.frames if self.frames else 0.0

    @property
    def motion(self) -> float | None:
        """Mean path of the centre of mass between neighbouring frames / sqrt(area)."""
        return self._path / self._steps / math.sqrt(self.area) if self._steps else None


def size_group(area: float) -> str:
    return _group(area, *_SIZES)


def motion_group(motion: float | None) -> str:
    return UNKNOWN if motion is None else _group(motion, *_MOTIONS)


def resolution_group(height: int, width: int) -> str:
    return _group(min(height, width), *_RESOLUTIONS)


def _group(value: float, bounds: tuple[float, ...], names: tuple[str, ...]) -> str:
    return names[bisect.bisect_right(bounds, value)]
