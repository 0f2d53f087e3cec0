"""Single images as bytes: JPEG and PNG out, JPEG and PNG in."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mav_pipeline.schema import AlphaFrame, Frame

JPEG_QUALITY = 95  # output.rgb=jpeg; above it files grow without a visible gain


def encode_jpeg(frame: Frame) -> bytes:
    """(H, W, 3) RGB as a JPEG file of quality ``JPEG_QUALITY``."""
    bgr = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok
    return data.tobytes()


def encode_png(alpha: AlphaFrame) -> bytes:
    """(H, W) as an 8-bit gray PNG; level 3 is where size stops paying for time."""
    ok, data = cv2.imencode(".png", alpha, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert ok
    return data.tobytes()


def decode_png(data: bytes) -> AlphaFrame:
    """(H, W) of an 8-bit gray PNG. Raises ValueError where it is anything else."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8 or image.ndim != 2:
        raise ValueError("not an 8-bit gray PNG")
    return np.asarray(image, dtype=np.uint8)


def decode_image(data: bytes) -> Frame:
    """(H, W, 3) RGB of a JPEG or PNG file. Raises ValueError where it is anything else."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a JPEG or PNG: {error}") from error
