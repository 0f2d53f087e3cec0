"""``python -m benchmarks [folder [speed|model|memory|loader ...]]``: measures and writes the page.

The folder keeps the rendered clips between runs; without one they go with the run.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from . import corpus, loader, measure, model
from .page import Row, machine, tell_section


def main() -> None:
    """Runs every measurement of the CPU."""
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="mav-bench-") as temporary:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        sections = {"speed": _speed, "model": _model, "memory": _memory, "loader": _loader}
        for name in sys.argv[2:] or sections:
            sections[name](root)


def _speed(root: Path) -> None:
    clips = corpus.sample(root / "sample", clips=4)
    rows = [*measure.closed_form(clips, root / "out"), *measure.floor(clips, root / "floor")]
    rows += measure.metrics(corpus.sample(root / "small", 1, 1024, 576))
    head = "Four rendered clips of 1280x720, 60 annotated frames each."
    tell_section("Speed", f"{head} {machine()}", ("what", "measured", "goal"), rows)


def _model(root: Path) -> None:
    head = (
        "VideoMaMa with tiny random weights on one CPU thread: 12 frames of 256x144, 4 masklets, "
        "no overlap of windows. The plain way mattes every masklet alone and encodes RGB each time."
    )
    rows = model.sharing(model.tiny(root / "tiny"), frames=12, height=144, width=256)
    tell_section("Model on the CPU", f"{head} {machine()}", ("what", "measured", "goal"), rows)


def _memory(root: Path) -> None:
    rows: list[Row] = []
    for (width, height), goal in (((1920, 1080), 1.5), ((3840, 2160), 2.5)):
        for masklets in (1, 12):
            clips = corpus.large(root / "large", width, height, masklets)
            peak = measure.memory(clips, root / "out", "binary")
            what = f"{width}x{height}, 20 s, {masklets} masklets"
            rows.append((what, f"{peak:.2f} GB", f"<= {goal} GB"))
    head = "Peak of a worker above its backend's own (VmHWM), `matting=binary`, shards of 3 clips."
    tell_section("Memory", f"{head} {machine()}", ("clip", "measured", "goal"), rows)


def _loader(root: Path) -> None:
    clips = corpus.sample(root / "sample", clips=4)
    second = corpus.with_key_frames(clips, root / "second", every=24)
    head = (
        "Four rendered clips of 1280x720, 60 annotated frames each, read for training in one "
        "process on one core. Both decode RGB and alpha, the loader masks too. A crop is decoded "
        "from the key frame before it: the clips as rendered have one, at their start, and were "
        "encoded again with one a second. The plain way keeps no frame; a whole clip's arrays are "
        "0.6 GB, and a third of its time goes to the pages for them."
    )
    columns = ("key frames", "way", "masklets/s", "alpha frames/s", "masklets/s over plain")
    rows = [
        (name, *row)
        for name, source in (("one a clip", clips), ("one a second", second))
        for row in loader.crops(source, root / "out")
    ]
    tell_section("Loader", f"{head} {machine()}", columns, rows)


if __name__ == "__main__":
    main()
