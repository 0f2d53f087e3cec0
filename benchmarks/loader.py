"""Reading a set for training: crops by the loader, against a plain decode of all that is there."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import webdataset as wds

from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.media.decode import decode_alpha
from mav_pipeline.runtime.local import LocalPool
from mav_pipeline.storage import LocalStorage
from mav_pipeline.train.loader import MatteDataset

from .corpus import config
from .measure import REPEATS, build_rate, one_core
from .page import Row

FRAMES = 16
STEP = 4  # source.frame_step: every 4th video frame is annotated


def crops(source: Path, out: Path) -> list[Row]:
    """Masklets and alpha frames a second of each way, one process on one core."""
    keys = ("matting=binary", "quality.scores=basic", "quality.enabled=false")
    settings = config(*keys, f"source.root={source}", f"output.root={out}")
    build_rate(settings, LocalPool)
    finalize(BuiltSet.open(LocalStorage(out)))
    ways: dict[str, Callable[[], tuple[int, int]]] = {
        "plain webdataset, all frames decoded": lambda: _plain(out),
        f"loader, {FRAMES} frames of a masklet": lambda: _loader(MatteDataset(out, frames=FRAMES)),
        f"loader, {FRAMES} frames of a clip with its masklets": lambda: _loader(
            MatteDataset(out, frames=FRAMES, per="clip")
        ),
        "loader, whole clips with their masklets": lambda: _loader(MatteDataset(out, per="clip")),
    }
    masklets: dict[str, list[float]] = {way: [] for way in ways}
    frames: dict[str, list[float]] = {way: [] for way in ways}
    with one_core():
        for _ in range(REPEATS):
            for way, run in ways.items():
                start = time.perf_counter()
                counts = run()
                seconds = time.perf_counter() - start
                masklets[way].append(counts[0] / seconds)
                frames[way].append(counts[1] / seconds)
    plain = masklets[next(iter(ways))]
    return [
        (
            way,
            f"{median(masklets[way]):.2f}",
            f"{median(frames[way]):.1f}",
            f"{median(a / b for a, b in zip(masklets[way], plain, strict=True)):.2f}x",
        )
        for way in ways
    ]


def _plain(root: Path) -> tuple[int, int]:
    masklets = frames = 0
    tars = [str(root / line) for line in (root / "shards.txt").read_text().split()]
    for sample in wds.WebDataset(tars, shardshuffle=False):
        with av.open(io.BytesIO(sample["rgb.mp4"])) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for number, frame in enumerate(container.decode(video=0)):
                if number % STEP == 0:
                    frame.to_ndarray(format="rgb24")
        for name in sample:
            if name.endswith(".alpha.mkv"):
                masklets += 1
                frames += sum(1 for _ in decode_alpha(sample[name]))
    return masklets, frames


def _loader(dataset: MatteDataset) -> tuple[int, int]:
    masklets = frames = 0
    for sample in dataset:
        masklets += sample["visible"].size // sample["visible"].shape[-1]
        frames += sample["visible"].size
    return masklets, frames
