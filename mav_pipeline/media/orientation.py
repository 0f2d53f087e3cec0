"""How a stored frame is shown: its display matrix as one of the eight ways to lay a picture.

What ``ffmpeg -autorotate`` does with a matrix is done here: the angle is rounded to a degree, signs
tell whether it mirrors, scales and skews are ignored. Sources: ``get_rotation`` and
``configure_input_video_filter`` in FFmpeg's fftools, ``av_display_rotation_get`` in libavutil. Only
where ffmpeg would turn by an angle that is no right one, and fill the corners with black, the
video is refused: no mask was drawn on such a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

from mav_pipeline.schema.errors import VideoError


def _other_kind(value: object) -> Any:
    """Stands for a kind of side data that PyAV has no name for."""
    if not isinstance(value, int):
        return None
    kind: Any = object.__new__(Type)
    kind._value_, kind._name_ = value, f"KIND_{value}"
    return kind


# PyAV 18 has no names for some kinds that its FFmpeg makes (EXIF of JPEG frames, views of stereo
# video) and raises ValueError for a frame with one of them, whatever else the frame carries.
Type._missing_ = _other_kind  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Orientation:
    """First the picture is transposed if ``transposes``, then its columns and rows reversed.

    Attributes:
        transposes: rows become columns, so height and width change places.
        mirrors: the order of columns is reversed.
        flips: the order of rows is reversed.
    """

    transposes: bool = False
    mirrors: bool = False
    flips: bool = False

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width as shown of a frame stored with those; it is its own inverse."""
        return (width, height) if self.transposes else (height, width)

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture (H, W, ...) as it is shown: a view of the same memory."""
        if self.transposes:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flips else 1, :: -1 if self.mirrors else 1]


AS_STORED = Orientation()


class Orientations:
    """How the frames of one stream are shown, one after the other.

    PyAV keeps a frame in memory whose side data was looked at, until the garbage collector comes:
    so that is done only where the angle is another than that of the frame before.
    """

    def __init__(self) -> None:
        self._angle: int | None = None
        self._last = AS_STORED

    def of(self, frame: av.VideoFrame) -> Orientation:
        """How a decoded frame is shown.

        Raises:
            VideoError: ``rotation``, it is turned by no right angle.
        """
        if frame.rotation != self._angle:
            self._last, self._angle = _looked_up(frame), frame.rotation
        return self._last


def _looked_up(frame: av.VideoFrame) -> Orientation:
    side_data: Any = frame.side_data
    for kind in side_data:
        if kind.type is Type.DISPLAYMATRIX:
            return from_matrix(np.frombuffer(bytes(kind), np.int32).tolist())
    return AS_STORED


def from_matrix(matrix: Sequence[int]) -> Orientation:
    """The orientation of a display matrix of 9 numbers, in FFmpeg's order.

    Raises:
        VideoError: ``rotation``, it turns by no right angle.
    """
    theta = _degrees(matrix)
    if theta is None:
        return AS_STORED
    if theta == 90:
        return Orientation(transposes=True, mirrors=not matrix[3] > 0)
    if theta == 180:
        return Orientation(mirrors=matrix[0] < 0, flips=matrix[4] < 0)
    if theta == 270:
        mirrored = matrix[3] < 0
        return Orientation(transposes=True, mirrors=mirrored, flips=True)
    if theta > 1:
        cause = f"its display matrix turns it by {theta} degrees, a multiple of 90 is wanted"
        raise VideoError("rotation", cause)
    return Orientation(flips=theta == 0 and matrix[4] < 0)


def _degrees(matrix: Sequence[int]) -> int | None:
    """Whole degrees clockwise in [0, 360), or None for a matrix that has no angle."""
    across, down = math.hypot(matrix[0], matrix[3]), math.hypot(matrix[1], matrix[4])
    if not (across and down):
        return None
    angle = math.degrees(math.atan2(matrix[1] / down, matrix[0] / across))
    return math.floor(abs(angle) + 0.5) * (1 if angle > 0 else -1) % 360
