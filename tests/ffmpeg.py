"""An independent encoder and decoder: the ``ffmpeg`` program of the system."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mav_pipeline.schema import Frame

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None,
    reason="ffmpeg is not here",
)


def decoded(path: Path, pixels: str, kind: type[np.generic], *more: str) -> NDArray[Any]:
    """All values of a video in a pixel format of ffmpeg's, flat.

    Args:
        more: options of ffmpeg's between input and output.
    """
    words = ("ffmpeg", "-v", "error", "-i", str(path), *more, "-f", "rawvideo", "-pix_fmt", pixels)
    done = subprocess.run([*words, "-"], capture_output=True, check=True)
    assert not done.stderr, done.stderr
    return np.frombuffer(done.stdout, kind)


def stream_of(path: Path) -> dict[str, Any]:
    """What ffprobe says of the only stream of a file."""
    words = ("ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path))
    done = subprocess.run(words, capture_output=True, check=True)
    (stream,) = json.loads(done.stdout)["streams"]
    return dict(stream)


def made(path: Path, *words: str) -> Path:
    """A file that ffmpeg writes, by the words of its command line before the file's name."""
    subprocess.run(("ffmpeg", "-v", "error", "-y", *words, str(path)), check=True)
    return path


def shown(path: Path) -> list[Frame]:
    """The (H, W, 3) RGB frames that ffmpeg shows of a video, each of them once, turned upright."""
    words = ("-an", "-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm")
    command = ("ffmpeg", "-v", "error", "-i", str(path), *words, "-pix_fmt", "rgb24", "-")
    data = subprocess.run(command, capture_output=True, check=True).stdout
    frames = []
    while data:
        _, size, _, data = data.split(b"\n", 3)
        width, height = map(int, size.split())
        picture, data = data[: 3 * height * width], data[3 * height * width :]
        frames.append(np.frombuffer(picture, np.uint8).reshape(height, width, 3))
    return frames


def turned(data: bytes, matrix: Sequence[int]) -> bytes:
    """The mp4 with another display matrix (a, b, c, d): shown x = a x + c y, shown y = b x + d y.

    65536 stands for 1. The matrix of a track ends 8 bytes before its header does.
    """
    start = data.index(b"tkhd") - 4
    (size,) = struct.unpack(">I", data[start : start + 4])
    at = start + size - 8 - 36
    a, b, c, d = matrix
    changed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return data[:at] + changed + data[at + 36 :]


#: What containers are mostly filled with, by ending: options of ffmpeg's.
CONTAINERS = {
    "mp4": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "8"),
    "mov": ("-f", "mov", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "8"),
    "mkv": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "8", "-bf", "2"),
    "webm": ("-c:v", "libvpx-vp9", "-crf", "8", "-b:v", "0", "-pix_fmt", "yuv420p"),
    "avi": ("-c:v", "mpeg4", "-q:v", "2"),
    "m4v": ("-f", "mp4", "-c:v", "mpeg4", "-q:v", "2"),
}


def encoded(path: Path, frames: NDArray[np.uint8], *options: str, rate: str = "24") -> Path:
    """A video of (T, H, W, 3) RGB or (T, H, W) gray frames, in the container of the path's ending.

    Args:
        options: of ffmpeg's output, the codec for one; without any, what ffmpeg takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    pixels = "gray" if frames.ndim == 3 else "rgb24"
    form = ("-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", rate)
    words = ("ffmpeg", "-v", "error", "-y", *form, "-i", "-", *options, str(path))
    done = subprocess.run(words, input=np.ascontiguousarray(frames).tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    return path
