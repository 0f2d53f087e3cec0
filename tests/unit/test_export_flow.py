"""What an export holds at once: a few frames and files, however long the clip is."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mav_pipeline.export import Target, editors
from mav_pipeline.export.clip import File, StoredClip
from mav_pipeline.export.davis import davis
from mav_pipeline.export.layouts import EXPORT_LAYOUTS
from mav_pipeline.export.videomama import videomama
from mav_pipeline.schema import Content
from mav_pipeline.storage import LocalStorage
from tests.exports import soft_clip

SIDE = 192


@pytest.mark.parametrize(
    "files",
    [
        videomama,
        EXPORT_LAYOUTS.get("sav_val").files,
        davis,
        editors.alpha_ffv1,
        editors.alpha_prores,
        editors.alpha_png16,
    ],
)
def test_a_long_clip_takes_no_more_memory_than_a_short_one(
    files: Callable[[StoredClip], Iterator[File]],
) -> None:
    peaks = []
    for frames in (8, 8, 40):  # the first one loads what is loaded once
        clip = soft_clip(SIDE, SIDE, frames).clip
        tracemalloc.start()
        for _ in files(clip):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    _, short, long = peaks
    assert long - short < 8 * SIDE * SIDE, "of 32 more frames that many bytes are 8 of alpha"


def test_files_wait_for_those_before_them(tmp_path: Path) -> None:
    class Slow(LocalStorage):
        parallel = 2

        def put(self, name: str, data: Content) -> None:
            with lock:
                state["done"] += 1

    state, most = {"made": 0, "done": 0}, 0
    lock = threading.Lock()

    def files(size: int) -> Iterator[File]:
        nonlocal most
        for number in range(200):
            with lock:
                state["made"] += 1
                most = max(most, state["made"] - state["done"])
            yield f"{number}", bytes(size)

    target = Target(Slow(tmp_path))
    assert target.add("small", files(1), {}) == 200
    assert most <= 4 * 2 + 2
    state, most = {"made": 0, "done": 0}, 0
    target.add("large", files(30 * 2**20), {})
    assert most <= 4, "some 64 MB"
