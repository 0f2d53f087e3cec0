"""What is encoded says how it is meant: every player shows the values that were put in."""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mav_pipeline.media.encode import AlphaEncoder, VideoEncoder
from mav_pipeline.schema import Alpha, Frames
from tests.ffmpeg import decoded, needs_ffmpeg, shown, stream_of

#: Colours that a wrong matrix or a wrong range moves by ten levels and more, 32 pixels wide.
COLOURS = [
    *((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)),
    *((0, 0, 0), (0, 177, 64), (128, 128, 128), (200, 100, 50)),
]
TAGS = ("color_range", "color_space", "color_transfer", "color_primaries")


def patches(count: int = 6) -> Frames:
    """(count, 96, 128, 3): the colours in two rows of four."""
    rows = np.asarray(COLOURS, np.uint8).reshape(2, 4, 3)
    return np.stack([rows.repeat(48, 0).repeat(32, 1)] * count)


def encoded(frames: Frames) -> bytes:
    file = io.BytesIO()
    encoder = VideoEncoder(*frames.shape[1:3], 24, 4, file)
    for frame in frames:
        encoder.write(frame)
    encoder.close()
    return file.getvalue()


def ramp() -> Alpha:
    """(2, 16, 16): every level once."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    return np.stack([levels, levels[::-1]])


def encoded_alpha(alpha: Alpha, file: BinaryIO) -> None:
    encoder = AlphaEncoder(*alpha.shape[1:], Fraction(6), file)
    for frame in alpha:
        encoder.write(frame)
    encoder.close()


@needs_ffmpeg
def test_a_preview_is_tagged_as_it_was_converted(tmp_path: Path) -> None:
    path = tmp_path / "preview.mp4"
    path.write_bytes(encoded(patches()))
    found = stream_of(path)
    assert [found[tag] for tag in TAGS] == ["tv", "bt709", "bt709", "bt709"]
    truth = patches()
    centres = np.s_[:, 24::48, 16::32]
    for frame in shown(path):
        error = np.abs(frame[None].astype(int) - truth[:1])[centres]
        assert error.max() <= 3  # 8-bit limited range has steps of its own


def test_the_index_of_a_preview_comes_first() -> None:
    data = encoded(patches())
    assert data.index(b"moov") < data.index(b"mdat")


@needs_ffmpeg
def test_alpha_is_tagged_as_full_range(tmp_path: Path) -> None:
    path = tmp_path / "alpha.mkv"
    with path.open("w+b") as file:
        encoded_alpha(ramp(), file)
    found = stream_of(path)
    assert (found["pix_fmt"], found["color_range"]) == ("gray", "pc")
    for pixels, channels in (("gray", 1), ("rgb24", 3)):
        values = decoded(path, pixels, np.uint8).reshape(*ramp().shape, channels)
        np.testing.assert_array_equal(values, ramp()[..., None].repeat(channels, -1))


def test_files_and_memory_get_the_same_bytes() -> None:
    memory = io.BytesIO()
    encoded_alpha(ramp(), memory)
    with tempfile.TemporaryFile() as file:
        encoded_alpha(ramp(), file)
        file.seek(0)
        assert file.read() == memory.getvalue()
    with tempfile.TemporaryFile() as file:
        encoder = VideoEncoder(96, 128, 24, 4, file)
        for frame in patches():
            encoder.write(frame)
        encoder.close()
        file.seek(0)
        assert file.read() == encoded(patches())
