"""Pictures that a corpus may be rendered with, in place of painted textures and grounds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mav_pipeline.schema import Frame
from mav_pipeline.synthetic.texture import Picture, hsv

GREY = 0.03  # mean spread of a pixel's channels below which a picture counts as without colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """Pictures, (H, W, 3) uint8 RGB of any size; what there is none of is painted.

        photographs = Photographs(
            textures=[cat, coffee],             # each object is a piece of one of them
            grounds=[[rocket], footage_frames]  # each clip lies before one of them
        )
        render(root, config, photographs)

    A ground of one frame is a photograph, which the clip's camera pans over. One of more frames is
    footage at 24 a second, shown as it was shot, to and fro where the clip is longer; frames are
    asked for by number, so a sequence that decodes them late will do. Pieces, brightness and tint
    are drawn from the seed; pictures without colour get one.
    """

    textures: Sequence[Frame] = ()
    grounds: Sequence[Sequence[Frame]] = ()


#: Everything is painted.
NONE = Photographs()


def fitted(picture: Frame, height: int, width: int, at: tuple[float, float] = (0.5, 0.5)) -> Frame:
    """(height, width, 3): the largest piece of that shape, scaled.

    Args:
        at: which piece, from 0 (left, top) to 1 (right, bottom) along x and y.
    """
    tall, wide = picture.shape[:2]
    scale = min(tall / height, wide / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = round((tall - rows) * at[1]), round((wide - columns) * at[0])
    piece = np.ascontiguousarray(picture[top : top + rows, left : left + columns])
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(piece, (width, height), interpolation=way))


def developed(rng: np.random.Generator, picture: Frame) -> Picture:
    """The picture in [0, 1], brighter or darker, tinted and perhaps mirrored."""
    values = picture.astype(np.float32) / 255
    spread = float(np.mean(values.max(axis=2) - values.min(axis=2)))
    tint = hsv(rng.random(), rng.uniform(0.1, 0.5) if spread < GREY else rng.uniform(0, 0.2), 1)
    values = values * (tint / tint.mean() * np.float32(rng.uniform(0.6, 1.15)))
    return np.asarray(values[:, ::-1] if rng.random() < 0.5 else values, dtype=np.float32)
