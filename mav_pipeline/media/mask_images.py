"""One mask image as it was stored: what its file says, and nothing of what it means.

PNG of any depth and colour type, JPEG; told by content, not by name, and turned upright as the
frame it belongs to. What the values mean is decided for all images of a sequence together, in
``media.labels``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mav_pipeline.media.images import open_image, orientation_of, to_8_bits
from mav_pipeline.media.orientation import Orientation
from mav_pipeline.schema import AlphaFrame, Frame
from mav_pipeline.schema.errors import InputError

Form = Literal["palette", "gray", "colour"]

_DEPTH_AT = 24  # of a PNG: signature, then IHDR's length, name, width and height
_NEAR = 4  # levels between channels that a conversion to video and back leaves of a gray picture
_NEAR_LOSSY = 8  # the same of a JPEG


@dataclass(frozen=True, slots=True)
class MaskImage:
    """A picture of masks or labels.

    Attributes:
        values: (H, W) palette indices, gray values as stored (0 to ``top``), or 0xRRGGBB.
        form: which of these.
        top: the largest value that gray of this depth can have: 1, 3, 15, 255 or 65535.
        shades: (256,) the gray of each index, of a palette whose used entries are different grays
            and whose index 0 is black; None otherwise.
        alpha: (H, W) opacity, 255 = opaque; None where all of it is opaque. Colours are over black.
        seen: (2, 3) least and largest red, green and blue where it is more than half opaque, of a
            file that has an opacity; None otherwise, or where there is no such pixel.
        lossy: whether a JPEG or a video, whose values near edges were not drawn by anybody.
    """

    values: NDArray[Any]
    form: Form
    top: int = 255
    shades: AlphaFrame | None = None
    alpha: AlphaFrame | None = None
    seen: NDArray[np.uint8] | None = None
    lossy: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), upright."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def is_blank(self) -> bool:
        """Whether it shows nothing, however it is read."""
        opaque = self.seen is not None or (self.alpha is not None and self.alpha.any())
        return not opaque and not self.values.any()


def gray_image(values: NDArray[Any], *, lossy: bool = False) -> MaskImage:
    """A gray picture of (H, W) uint8 or uint16: for whoever decodes masks from a video."""
    return MaskImage(values, "gray", int(np.iinfo(values.dtype).max), lossy=lossy)


def luma_image(rgb: Frame) -> MaskImage:
    """The luma of a frame of a compressed mask video, (H, W, 3) RGB of full range."""
    return gray_image(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)), lossy=True)


def colour_image(rgb: NDArray[Any], *, lossy: bool = False) -> MaskImage:
    """A picture of (H, W, 3) RGB, uint8 or uint16; gray where its channels are (almost) equal."""
    top = int(np.iinfo(rgb.dtype).max)
    first = rgb[..., 1]
    if all(np.array_equal(first, rgb[..., n]) for n in (0, 2)):
        return MaskImage(np.ascontiguousarray(first), "gray", top, lossy=lossy)
    if rgb.dtype != np.uint8:
        rgb = to_8_bits(rgb)
    spread = int((rgb.max(axis=2) - rgb.min(axis=2)).max())
    if spread <= (_NEAR_LOSSY if lossy else _NEAR) and rgb.max() > 127:
        return MaskImage(np.ascontiguousarray(rgb[..., 1]), "gray", lossy=lossy)
    red, green, blue = (rgb[..., n].astype(np.uint32) for n in range(3))
    return MaskImage(red << 16 | green << 8 | blue, "colour", lossy=lossy)


def read_mask(data: bytes, *, label: str, max_pixels: int, role: str = "mask") -> MaskImage:
    """Reads a mask image file.

    Args:
        label: names the file in messages.

    Raises:
        InputError: it is neither JPEG nor PNG, damaged, or (skipped) has more than ``max_pixels``.
    """
    try:
        with open_image(data) as image:
            if image.width * image.height > max_pixels:
                cause = f"{label} is {image.width}x{image.height}, source.max_pixels is "
                cause += str(max_pixels)
                raise InputError("max_pixels", cause, role=role, stage="masks", status="skipped")
            image.load()
            found = _of_png(data, image) if image.format == "PNG" else _of_jpeg(image)
            return _upright(found, orientation_of(image))
    except ValueError as error:
        cause = f"{label} cannot be decoded: not a whole PNG or JPEG"
        raise InputError("mask_png", cause, role=role, stage="masks") from error


def _of_jpeg(image: Image.Image) -> MaskImage:
    if image.mode == "L":
        return gray_image(np.asarray(image), lossy=True)
    return colour_image(np.asarray(image.convert("RGB")), lossy=True)


def _of_png(data: bytes, image: Image.Image) -> MaskImage:
    depth = data[_DEPTH_AT]
    if image.mode == "P":
        return _palette(image)
    if image.mode == "1":
        return MaskImage(np.asarray(image).astype(np.uint8), "gray", 1)
    if image.mode == "L":  # Pillow scales 2 and 4 bits to 8
        top = 2**depth - 1
        return MaskImage(np.asarray(image) // np.uint8(255 // top), "gray", top)
    if image.mode.startswith("I"):
        return gray_image(np.asarray(image).astype(np.uint16))
    if depth == 16:  # Pillow keeps the upper byte alone, and a label may stand in the lower
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if whole is None or whole.dtype != np.uint16 or whole.ndim != 3:
            raise ValueError("not a whole PNG of 16 bits")
        return _with_alpha(whole[..., 2::-1], whole[..., 3] if whole.shape[2] == 4 else None)
    if image.mode in ("LA", "RGBA"):
        rgba = np.asarray(image.convert("RGBA"))
        return _with_alpha(rgba[..., :3], rgba[..., 3])
    return colour_image(np.asarray(image.convert("RGB")))


def _with_alpha(rgb: NDArray[Any], alpha: NDArray[Any] | None) -> MaskImage:
    """A picture with transparency, over black; as stored where it is opaque all over."""
    found = colour_image(rgb)
    if alpha is None:
        return found
    if rgb.dtype != np.uint8:
        rgb, alpha = to_8_bits(rgb), to_8_bits(alpha)
    shown = rgb[alpha > 127]
    seen = np.stack((shown.min(axis=0), shown.max(axis=0))) if len(shown) else None
    if alpha.min() == 255:
        return replace(found, seen=seen)
    over = (rgb.astype(np.uint16) * alpha[..., None] + 127) // 255
    return replace(colour_image(over.astype(np.uint8)), alpha=alpha, seen=seen)


def _palette(image: Image.Image) -> MaskImage:
    """Indices, not colours; but a palette of grays that hides index 0 is a gray picture."""
    values = np.asarray(image)
    entries = np.zeros((256, 3), np.uint8)
    listed = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    entries[: len(listed)] = listed
    used = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    grays = entries[used]
    is_gray = bool((grays == grays[:, :1]).all()) and len(np.unique(grays[:, 0])) == len(used)
    if not is_gray:
        return MaskImage(values, "palette")
    shades = entries[:, 0].copy()
    if (used == shades[used]).all() or (used[0] == 0 and shades[0] != 0):
        return MaskImage(shades[values], "gray")
    return MaskImage(values, "palette", shades=shades)


def _upright(image: MaskImage, lies: Orientation) -> MaskImage:
    def turned(picture: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(lies.apply(picture))

    alpha = None if image.alpha is None else turned(image.alpha)
    return replace(image, values=turned(image.values), alpha=alpha)
