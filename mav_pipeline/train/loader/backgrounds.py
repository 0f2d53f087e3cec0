"""New grounds for the matted objects: colours, pictures in memory, or the images of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mav_pipeline.media.images import decode_image
from mav_pipeline.schema import Alpha, Frame, Frames
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.train.loader.order import crop_window

_SUFFIXES = (".jpg", ".jpeg", ".png")


class Backgrounds:
    """Where grounds are drawn from.

    Args:
        given: a local folder, searched down for JPEG and PNG files; or (R, G, B) colours and
            (H, W, 3) uint8 RGB pictures.

    Raises:
        ConfigError: there is none, or one is neither.
    """

    def __init__(self, given: str | Path | Iterable[tuple[int, int, int] | Frame]) -> None:
        self._grounds: list[Path | Frame]
        if isinstance(given, str | Path):
            files = sorted(Path(given).rglob("*"))
            self._grounds = [path for path in files if path.suffix.lower() in _SUFFIXES]
        else:
            self._grounds = [_picture(ground) for ground in given]
        if not self._grounds:
            raise ConfigError(f"backgrounds={given!r} holds no colour and no JPEG or PNG file")

    def draw(self, size: tuple[int, int], random: np.random.Generator) -> Frame:
        """One of them, (H, W, 3) of ``size``: its largest part of that shape, scaled.

        Raises:
            ValueError: its file is no JPEG or PNG.
            OSError: its file cannot be read.
        """
        ground = self._grounds[int(random.integers(len(self._grounds)))]
        image = decode_image(ground.read_bytes()) if isinstance(ground, Path) else ground
        part = image[crop_window((image.shape[0], image.shape[1]), size, random)]
        return np.asarray(resize(part, size), np.uint8)


def resize(image: Any, size: tuple[int, int]) -> Any:
    """(H, W) or (H, W, 3) at ``size``: linearly, over the whole of the area that shrinks.

    A bool mask is set where more than half of it is. By Pillow: OpenCV's pool of threads does not
    survive the fork that makes a worker, which then hangs.
    """
    if image.shape[:2] == size:
        return image
    if image.dtype == np.bool_:
        return resize(image * np.uint8(255), size) > 127
    scaled = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(scaled, dtype=np.uint8)


def composite(frames: Frames, alpha: Alpha, ground: Frame) -> Frames:
    """alpha F + (1 - alpha) B, rounded (Porter and Duff, 1984, "over").

    F is the observed colour, not an estimated foreground: where alpha is partial the old background
    still shines through.

    Args:
        frames: (T, H, W, 3).
        alpha: (T, H, W).
        ground: (H, W, 3).
    """
    out = np.empty_like(frames)
    for target, frame, opaque in zip(out, frames, alpha, strict=True):
        share = opaque[..., None].astype(np.uint16)  # 255 x 255 + 127 fits
        target[:] = (share * frame + (255 - share) * ground + 127) // 255
    return out


def _picture(ground: tuple[int, int, int] | Frame) -> Frame:
    image = np.asarray(ground)
    if image.shape == (3,) and image.min() >= 0 and image.max() <= 255:
        return image.astype(np.uint8).reshape(1, 1, 3)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ConfigError(
            "backgrounds must be (R, G, B) of 0 to 255 or (H, W, 3) uint8 pictures, not "
            f"{image.dtype} of {image.shape}"
        )
    return image
