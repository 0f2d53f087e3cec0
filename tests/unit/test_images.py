"""Pictures of every kind, as OpenCV and ffmpeg show them: upright, in 8 bits, without inks."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mav_pipeline.media.images import (
    decode_image,
    format_of_image,
    to_8_bits,
    upright_jpeg,
    upright_size,
)
from mav_pipeline.schema import Frame

HEIGHT, WIDTH = 48, 64
#: Eight patches a side, so that no two of the eight orientations look alike.
PATCHES = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PICTURE = cv2.resize(PATCHES, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)


def saved(picture: np.ndarray[Any, Any] | Image.Image, kind: str, **how: Any) -> bytes:
    """What Pillow writes; a JPEG so that no colour is lost."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    if kind == "JPEG":
        how = {"quality": 98, "subsampling": 0, **how}
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def oriented(kind: str, tag: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = tag
    return saved(PICTURE, kind, exif=exif)


def by_opencv(data: bytes) -> Frame:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def by_ffmpeg(data: bytes, shape: tuple[int, int]) -> Frame:
    words = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(words, input=data, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(*shape, 3)


def apart(one: Frame, other: Frame) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("tag", range(1, 9))
def test_a_jpeg_of_each_orientation_is_as_opencv_and_ffmpeg_show_it(tag: int) -> None:
    data = oriented("JPEG", tag)
    shape = (WIDTH, HEIGHT) if tag > 4 else (HEIGHT, WIDTH)
    found = decode_image(data)
    assert found.shape[:2] == upright_size(data) == shape
    assert apart(found, by_opencv(data)) == apart(found, by_ffmpeg(data, shape)) == 0


@pytest.mark.parametrize("tag", range(1, 9))
def test_a_png_of_each_orientation_is_as_opencv_shows_it(tag: int) -> None:
    data = oriented("PNG", tag)
    assert apart(decode_image(data), by_opencv(data)) == 0
    assert upright_size(data) == decode_image(data).shape[:2]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\xff", b"x" * 40])
def test_damaged_exif_turns_nothing(exif: bytes) -> None:
    data = saved(PICTURE, "JPEG", exif=exif)
    assert apart(decode_image(data), by_opencv(data)) == 0


@pytest.mark.parametrize("tag", [0, 9, 6 << 8])
def test_an_orientation_that_is_none_turns_nothing(tag: int) -> None:
    np.testing.assert_array_equal(decode_image(oriented("PNG", tag)), PICTURE)


def raw_png(
    depth: int, colour: int, rows: bytes, width: int, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG of given scan lines, by its specification: of kinds that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    line = (width * channels * depth + 7) // 8
    lines = [rows[at : at + line] for at in range(0, len(rows), line)]
    head = struct.pack(">IIBBBBB", width, len(lines), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    between = b"".join(chunk(*pair) for pair in chunks)
    parts = (chunk(b"IHDR", head), between, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


RAMP_16 = (np.arange(HEIGHT * WIDTH, dtype=np.uint16) * 21).reshape(HEIGHT, WIDTH)


def kinds() -> dict[str, bytes]:
    """A picture in each kind of PNG that there is, and in the kinds of JPEG."""
    image, gray = Image.fromarray(PICTURE), Image.fromarray(PICTURE[..., 0])
    wide = PICTURE.astype(np.uint16) * 257
    shade = Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH))
    return {
        "gray": saved(gray, "PNG"),
        "gray of 1 bit": saved(gray.point(lambda v: v > 99).convert("1"), "PNG"),
        "gray of 2 bits": raw_png(2, 0, bytes(range(256)) * 3, WIDTH),
        "gray of 4 bits": raw_png(4, 0, bytes(range(256)) * 6, WIDTH),
        "gray of 16 bits": saved(Image.fromarray(RAMP_16), "PNG"),
        "gray and alpha": saved(Image.merge("LA", (gray, shade)), "PNG"),
        "palette": saved(image.quantize(200), "PNG"),
        "palette of 4 bits": saved(image.quantize(13), "PNG", bits=4),
        "colours": saved(image, "PNG"),
        "colours of 16 bits": raw_png(16, 2, wide.astype(">u2").tobytes(), WIDTH),
        "colours and alpha": saved(Image.merge("RGBA", (*image.split(), shade)), "PNG"),
        "a gray JPEG": saved(gray, "JPEG"),
        "a JPEG of inks": saved(image.convert("CMYK"), "JPEG"),
        "a progressive JPEG": saved(image, "JPEG", progressive=True),
    }


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_image_is_as_opencv_and_ffmpeg_show_it(kind: str) -> None:
    data = kinds()[kind]
    found = decode_image(data)
    assert apart(found, by_opencv(data)) <= 1
    if kind not in ("gray and alpha", "a JPEG of inks"):  # ffmpeg blends the one, not the other
        assert apart(found, by_ffmpeg(data, found.shape[:2])) <= 1


def test_16_bits_are_scaled_and_not_clipped() -> None:
    found = decode_image(saved(Image.fromarray(RAMP_16), "PNG"))
    np.testing.assert_array_equal(found[..., 1], np.rint(RAMP_16 / 257))
    np.testing.assert_array_equal(to_8_bits(np.arange(256, dtype=np.uint16) * 257), range(256))


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_picture_is_told_by_what_it_holds(name: str) -> None:
    assert format_of_image(saved(PICTURE, name)) == {"JPEG": "jpg", "PNG": "png"}[name]


def test_an_upright_jpeg_keeps_its_bytes() -> None:
    for picture in (PICTURE, PICTURE[..., 0]):
        data = saved(picture, "JPEG")
        assert upright_jpeg(data) == data
    assert upright_jpeg(oriented("JPEG", 1)) == oriented("JPEG", 1)


@pytest.mark.parametrize(
    "data",
    [
        *(oriented("JPEG", tag) for tag in range(2, 9)),
        oriented("PNG", 6),
        saved(PICTURE, "PNG"),
        saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
    ],
)
def test_what_readers_differ_on_becomes_a_jpeg_that_all_show_alike(data: bytes) -> None:
    written = upright_jpeg(data)
    ignoring = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    shown = cv2.imdecode(np.frombuffer(written, np.uint8), ignoring)[..., ::-1]
    assert apart(shown, by_opencv(written)) == 0
    assert np.abs(shown.astype(int) - decode_image(data)).mean() < 16  # chroma is subsampled
    assert written.startswith(b"\xff\xd8")
    assert Image.open(io.BytesIO(written)).mode == "RGB"


def test_a_tag_in_xmp_alone_is_a_tag() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = saved(PICTURE, "JPEG", xmp=xmp)
    assert decode_image(data).shape[:2] == (WIDTH, HEIGHT)
    assert upright_jpeg(data) != data


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@settings(max_examples=100)
@given(st.sampled_from(sorted(kinds())), st.data())
def test_damage_is_a_picture_or_a_value_error(kind: str, data: st.DataObject) -> None:
    whole = kinds()[kind]
    at = data.draw(st.integers(0, len(whole) - 1))
    spoilt = data.draw(
        st.sampled_from([whole[:at], whole[:at] + b"\xff" + whole[at + 1 :], whole[at:]])
    )
    with contextlib.suppress(ValueError):
        assert decode_image(spoilt).ndim == 3


def test_an_error_holds_no_address() -> None:
    with pytest.raises(ValueError, match=r"^not a whole JPEG or PNG$"):
        decode_image(b"no picture")
