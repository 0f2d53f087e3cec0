"""From a file of truth to a frame: 8-bit gray, PNG or JPEG, and nothing that one has to guess at.

Published scorers read truth with OpenCV as gray, whatever it is. So is it here, but for what is no
gray picture: colours, a palette, other depths, and another size than the alpha's are refused.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mav_pipeline.media.images import decode_png
from mav_pipeline.schema import AlphaFrame
from mav_pipeline.schema.errors import TruthError

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_COLOURS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGBA"}
_SPREAD = 2  # levels by which channels of a gray picture may differ: a conversion's rounding
_ORIENTATION = 0x0112  # EXIF
_HEADER = 26  # bytes of a PNG up to its colour type


def decode_truth(data: bytes, path: str, shape: tuple[int, int]) -> AlphaFrame:
    """(H, W) of one file.

    Args:
        path: for messages.
        shape: that it must have, looked at before anything is decoded.

    Raises:
        TruthError: of another size or depth, or no whole PNG or JPEG.
    """
    if data.startswith(_PNG) and len(data) >= _HEADER:
        return _from_png(data, path, shape)
    if data.startswith(_JPEG):
        return _from_jpeg(data, path, shape)
    raise TruthError("truth_unreadable", f"{path} is no PNG or JPEG")


def _from_png(data: bytes, path: str, shape: tuple[int, int]) -> AlphaFrame:
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    depth, colour = data[24], _COLOURS.get(data[25], "unknown")
    if depth != 8 or colour not in ("gray", "RGB"):
        raise TruthError("truth_depth", f"{path} is {depth}-bit {colour}; 8-bit gray is wanted")
    _check_size((height, width), path, shape)
    if colour == "gray":
        try:
            return decode_png(data)
        except ValueError as error:
            raise _torn(path) from error
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.shape != (*shape, 3):
        raise _torn(path)
    _check_gray(np.asarray(picture, dtype=np.uint8), path)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def _from_jpeg(data: bytes, path: str, shape: tuple[int, int]) -> AlphaFrame:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            _check_size((image.height, image.width), path, shape)
            if image.getexif().get(_ORIENTATION, 1) != 1:
                what = f"{path} is to be turned (EXIF orientation); store it upright"
                raise TruthError("truth_unreadable", what)
            if image.mode not in ("L", "RGB"):
                what = f"{path} is 8-bit {image.mode}; 8-bit gray is wanted"
                raise TruthError("truth_depth", what)
            if image.mode == "RGB":
                _check_gray(np.asarray(image), path)
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.draft("L", image.size)  # its luma as stored, which is what OpenCV reads as gray
            return np.asarray(image.convert("L"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise _torn(path) from error


def _check_size(found: tuple[int, int], path: str, shape: tuple[int, int]) -> None:
    if found != shape:
        what = f"{path} is {found[1]}x{found[0]}, its clip {shape[1]}x{shape[0]}"
        raise TruthError("truth_size", what)


def _check_gray(picture: np.ndarray, path: str) -> None:
    one, two, three = (picture[..., channel] for channel in range(3))
    spread = max(cv2.norm(one, two, cv2.NORM_INF), cv2.norm(two, three, cv2.NORM_INF))
    if spread > _SPREAD:
        raise TruthError("truth_depth", f"{path} is 8-bit RGB in colour; 8-bit gray is wanted")


def _torn(path: str) -> TruthError:
    return TruthError("truth_unreadable", f"{path} cannot be decoded")
