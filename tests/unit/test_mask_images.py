"""Mask images of every depth and kind, written by Pillow, OpenCV, ffmpeg or by the book."""

from __future__ import annotations

import contextlib
import subprocess

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mav_pipeline.media.mask_images import MaskImage, colour_image, gray_image, read_mask
from mav_pipeline.schema.errors import InputError
from tests.fakes import png

from .test_images import HEIGHT, WIDTH, by_opencv, kinds, oriented, raw_png, saved

LABELS = np.random.default_rng(3).integers(0, 4, (HEIGHT, WIDTH)).astype(np.uint8)


def read(data: bytes, max_pixels: int = 10_000) -> MaskImage:
    return read_mask(data, label="a/00000.png", max_pixels=max_pixels)


def packed(labels: np.ndarray, depth: int) -> bytes:
    """Scan lines of 1, 2 or 4 bits a pixel."""
    bits = np.unpackbits(labels[..., None], axis=-1)[..., -depth:]
    return np.packbits(bits.reshape(len(labels), -1), axis=-1).tobytes()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_gray_of_every_depth_gives_its_values_as_they_are(depth: int) -> None:
    labels = LABELS & np.uint8(min(255, 2**depth - 1))
    wide = labels.astype(">u2") * 257 if depth == 16 else labels
    rows = wide.tobytes() if depth >= 8 else packed(labels, depth)
    found = read(raw_png(depth, 0, rows, WIDTH))
    assert (found.form, found.top) == ("gray", 2**depth - 1)
    np.testing.assert_array_equal(found.values, wide)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_of_every_depth_give_indices(depth: int) -> None:
    labels = LABELS & (2**depth - 1)
    rows = labels.tobytes() if depth == 8 else packed(labels, depth)
    colours = bytes([9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200])[: 3 * 2**depth]
    found = read(raw_png(depth, 3, rows, WIDTH, (b"PLTE", colours)))
    assert (found.form, found.shades) == ("palette", None)
    np.testing.assert_array_equal(found.values, labels)


def by_ffmpeg(values: np.ndarray, was: str, pixels: str) -> bytes:
    """A PNG that ffmpeg writes of raw pixels."""
    size = f"{values.shape[1]}x{values.shape[0]}"
    words = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", was, "-s", size, "-i", "pipe:0"]
    words += ["-pix_fmt", pixels, "-c:v", "png", "-f", "image2pipe", "-"]
    return subprocess.run(words, input=values.tobytes(), capture_output=True, check=True).stdout


def test_what_ffmpeg_writes_is_read() -> None:
    ids = LABELS.astype(np.uint16) * 300
    np.testing.assert_array_equal(read(by_ffmpeg(ids, "gray16le", "gray16be")).values, ids)
    bits = by_ffmpeg((LABELS > 1).astype(np.uint8) * 255, "gray", "monob")
    np.testing.assert_array_equal(read(bits).values, LABELS > 1)
    rgb = np.repeat(ids[..., None], 3, axis=2)
    found = read(by_ffmpeg(rgb, "rgb48le", "rgb48be"))
    assert (found.form, found.top) == ("gray", 65535)
    np.testing.assert_array_equal(found.values, ids)


def test_equal_channels_are_gray_and_others_are_colours() -> None:
    gray = read(saved(np.dstack([LABELS] * 3), "PNG"))
    assert gray.form == "gray"
    np.testing.assert_array_equal(gray.values, LABELS)
    colours = np.dstack([LABELS, LABELS * 2, LABELS * 3])
    found = read(saved(colours, "PNG"))
    assert found.form == "colour"
    np.testing.assert_array_equal(found.values, LABELS * np.uint32(0x010203))


def test_almost_equal_channels_of_a_bright_picture_are_gray() -> None:
    mask = (LABELS > 1)[..., None] * np.array([255, 254, 252], np.uint8)
    assert colour_image(mask).form == "gray"
    coco = np.dstack([LABELS, LABELS * 0, LABELS * 0])  # its panoptic images: an id's bytes
    assert colour_image(coco).form == "colour"


def test_opacity_lies_beside_the_colours_over_black() -> None:
    alpha = (LABELS * 85).astype(np.uint8)
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    found = read(saved(np.dstack([white, alpha]), "PNG"))
    np.testing.assert_array_equal(found.alpha, alpha)
    np.testing.assert_array_equal(found.values, alpha)
    assert found.seen is not None
    np.testing.assert_array_equal(found.seen, 255)
    opaque = read(saved(np.dstack([white, alpha * 0 + 255]), "PNG"))
    assert opaque.alpha is None
    assert read(saved(white, "PNG")).seen is None
    deep = cv2.imencode(".png", np.dstack([white, alpha]).astype(np.uint16) * 257)[1].tobytes()
    np.testing.assert_array_equal(read(deep).alpha, alpha)


def test_a_palette_of_grays_keeps_indices_and_shades_or_is_gray() -> None:
    image = Image.fromarray(LABELS * np.uint8(85))
    ramp = read(saved(image.convert("P"), "PNG"))
    assert (ramp.form, ramp.shades) == ("gray", None)
    np.testing.assert_array_equal(ramp.values, LABELS * 85)
    four = Image.frombytes("P", image.size, LABELS.tobytes())
    four.putpalette([level for gray in (0, 85, 170, 255) for level in [gray] * 3])
    found = read(saved(four, "PNG"))
    assert found.form == "palette"
    assert found.shades is not None
    np.testing.assert_array_equal(found.values, LABELS)
    np.testing.assert_array_equal(found.shades[found.values], LABELS * 85)
    four.putpalette([level for gray in (255, 170, 85, 0) for level in [gray] * 3])
    inverted = read(saved(four, "PNG"))
    assert inverted.form == "gray"
    np.testing.assert_array_equal(inverted.values, (3 - LABELS) * 85)


def test_content_counts_and_not_the_name() -> None:
    mask = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (30, 20), 12, 255, -1)
    found = read(saved(mask, "JPEG"))
    assert (found.form, found.lossy) == ("gray", True)
    assert np.abs(found.values.astype(int) - mask).max() < 60
    in_colours = read(saved(np.dstack([mask] * 3), "JPEG"))
    assert (in_colours.form, in_colours.lossy) == ("gray", True)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_masks_are_turned_as_their_frames(kind: str, tag: int) -> None:
    data = oriented(kind, tag)
    red, green, blue = (by_opencv(data)[..., n].astype(np.uint32) for n in range(3))
    np.testing.assert_array_equal(read(data).values, red << 16 | green << 8 | blue)


def test_an_opacity_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    image = Image.fromarray(np.dstack([alpha * 0 + np.uint8(255)] * 3 + [alpha]))
    found = read(saved(image, "PNG", exif=exif))
    np.testing.assert_array_equal(found.alpha, np.rot90(alpha, -1))
    assert found.shape == (WIDTH, HEIGHT)


@pytest.mark.parametrize("data", [b"", b"GIF89a", png(LABELS)[:60], png(LABELS)[:-30]])
def test_what_is_no_image_is_named_without_an_address(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert (caught.value.reason, caught.value.role) == ("mask_png", "mask")
    assert caught.value.cause == "a/00000.png cannot be decoded: not a whole PNG or JPEG"


def test_a_bomb_is_skipped_before_it_is_decoded() -> None:
    with pytest.raises(InputError, match=r"64x48, source.max_pixels is 3071") as caught:
        read(png(LABELS)[:60], max_pixels=HEIGHT * WIDTH - 1)
    assert (caught.value.reason, caught.value.status) == ("max_pixels", "skipped")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@settings(max_examples=100)
@given(st.sampled_from(sorted(kinds())), st.data())
def test_damage_is_an_image_or_an_input_error(kind: str, data: st.DataObject) -> None:
    whole = kinds()[kind]
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    with contextlib.suppress(InputError):
        assert read(whole[:at] + byte + whole[at + 1 :], 10**6).values.ndim == 2


def test_whoever_decodes_a_video_says_that_it_is_one() -> None:
    found = gray_image(LABELS, lossy=True)
    assert (found.form, found.top, found.lossy) == ("gray", 255, True)
