"""An independent decoder: the ``ffmpeg`` program of the system."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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
