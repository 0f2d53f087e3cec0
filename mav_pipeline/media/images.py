"""Single images as bytes: JPEG and PNG out, JPEG and PNG in, upright and in 8 bits.

``decode_image`` is the one reader of pictures, for sources and for what samples store: both show a
picture alike. Formats are told by content, not by name.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from mav_pipeline.media.orientation import AS_STORED, Orientation
from mav_pipeline.schema import AlphaFrame, Frame

JPEG_QUALITY = 95  # output.rgb=jpeg; above it files grow without a visible gain

#: How pictures are shown by their EXIF orientation (EXIF 2.32, tag 0x0112).
_BY_EXIF = {
    2: Orientation(mirrors=True),
    3: Orientation(mirrors=True, flips=True),
    4: Orientation(flips=True),
    5: Orientation(transposes=True),
    6: Orientation(transposes=True, mirrors=True),
    7: Orientation(transposes=True, mirrors=True, flips=True),
    8: Orientation(transposes=True, flips=True),
}
#: What Pillow raises of bytes that are no image, or a damaged one.
_DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error),
    Image.DecompressionBombError,
)


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


def decode_image(data: bytes, check: Callable[[int, int], None] | None = None) -> Frame:
    """(H, W, 3) RGB of a JPEG or PNG file as it is shown: its EXIF orientation is applied.

    Gray of 16 bits is scaled to 8; transparency is dropped, as video players do.

    Args:
        check: called with height and width as stored before any pixel is decoded; may raise.

    Raises:
        ValueError: it is anything else, or damaged.
    """
    with open_image(data) as image:
        if check is not None:
            check(image.height, image.width)
        image.load()
        if image.mode.startswith("I"):
            gray = to_8_bits(np.asarray(image))
            picture = np.repeat(gray[..., None], 3, axis=2)
        else:
            picture = np.asarray(image.convert("RGB"), dtype=np.uint8)
        return np.ascontiguousarray(orientation_of(image).apply(picture))


def upright_size(data: bytes, check: Callable[[int, int], None] | None = None) -> tuple[int, int]:
    """(H, W) of a JPEG or PNG file as it is shown; see ``decode_image``."""
    with open_image(data) as image:
        if check is not None:
            check(image.height, image.width)
        return orientation_of(image).shape(image.height, image.width)


def upright_jpeg(data: bytes, frame: Frame | None = None) -> bytes:
    """A JPEG file that every reader shows as ``decode_image`` does.

    The same bytes, unless they are no JPEG, or one that is turned by a tag or holds inks: readers
    differ on those.

    Args:
        frame: what ``data`` was decoded to, where that was done.

    Raises:
        ValueError: it is no image, or damaged.
    """
    with open_image(data) as image:
        is_plain = image.format != "PNG" and image.mode in ("L", "RGB")
        is_plain = is_plain and orientation_of(image) == AS_STORED
    if is_plain:
        return data
    return encode_jpeg(decode_image(data) if frame is None else frame)


def format_of_image(data: bytes) -> Literal["jpg", "png"]:
    """How the name of a JPEG or PNG file should end, by what it holds."""
    return "png" if data.startswith(b"\x89PNG") else "jpg"


@contextlib.contextmanager
def open_image(data: bytes) -> Iterator[Image.Image]:
    """A JPEG or PNG file, its header read. What Pillow raises of damage becomes a ValueError."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            yield image
    except _DAMAGE as error:
        # Pillow's own words hold the address of the stream.
        raise ValueError("not a whole JPEG or PNG") from error


def orientation_of(image: Image.Image) -> Orientation:
    """How an image is shown: by its EXIF, else by its XMP. What is damaged says nothing."""
    try:
        tag = image.getexif().get(ExifTags.Base.Orientation)
    except _DAMAGE:
        return AS_STORED
    return _BY_EXIF.get(tag, AS_STORED) if isinstance(tag, int) else AS_STORED


def to_8_bits(values: NDArray[np.uint16]) -> AlphaFrame:
    """16-bit values scaled to 8, rounded: x 257 comes back as x."""
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
