"""The preview of a masklet, and what it needs of unmixing where numba has no OpenMP."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np

from mav_pipeline.export.preview import preview
from mav_pipeline.schema import read_content

THREADS = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from mav_pipeline.media.foreground import foreground
frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3)).astype(np.uint8)
with ThreadPoolExecutor(4) as pool:
    found = [*pool.map(lambda _: foreground(frame, frame[..., 0]).tobytes(), range(64))]
assert len({*found}) == 1
"""


def test_a_red_object_on_green_shows_no_green_on_the_checkerboard() -> None:
    y, x = np.mgrid[:180, :320]
    share = np.clip((60 - np.hypot(y - 90, x - 160)) / 24 + 0.5, 0, 1)[..., None]
    frame = np.rint(share * (200, 40, 40) + (1 - share) * (40, 200, 40)).astype(np.uint8)
    alpha = np.rint(share[..., 0] * 255).astype(np.uint8)
    pair = ([frame] * 2, [alpha] * 2, 180, 320, Fraction(6))
    data = read_content(preview(*pair))
    assert data == read_content(preview(*pair)), "the same bytes"
    with av.open(io.BytesIO(data)) as container:
        shown = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
    board = shown[1][:, 320:].astype(int)
    assert (board[..., 1] - board[..., 0]).max() <= 12, "no more than the codec's own noise"


def test_threads_may_unmix_at_the_same_time() -> None:
    where = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    subprocess.run([sys.executable, "-c", THREADS], env=where, check=True)
