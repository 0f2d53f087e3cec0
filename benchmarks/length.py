"""``python -m benchmarks.length FOLDER build|all [MINUTES ...]``: memory by a clip's length.

Each length is a step of its own and adds its row to ``benchmarks/results/length.json``, from which
the page is written: stop where you like, and go on with the lengths that are missing. ``all``
measures other verbs on the set too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mav_pipeline.media.encode import VideoEncoder

from . import measure
from .page import machine, table, write_section

WIDTH, HEIGHT, FPS = 1920, 1080, 24
RESULTS = Path(__file__).with_name("results") / "length.json"


@dataclass(frozen=True, slots=True)
class Length:
    """What one length came to; memory in GB.

    Attributes:
        build: peak of a worker above its backend's own.
        verify, evaluate, export: peaks of those verbs above that of ``mav status``; None where
            only the build was measured.
    """

    minutes: int
    frames: int
    seconds: float
    build: float
    machine: str
    verify: float | None = None
    evaluate: float | None = None
    export: float | None = None


def main() -> None:
    """Measures the lengths that are asked for, by default 2, 8 and 32 minutes."""
    root, what = Path(sys.argv[1]), sys.argv[2]
    for minutes in map(int, sys.argv[3:] or ("2", "8", "32")):
        built = _built(root, minutes)
        _remember(built)
        if what == "all":
            _remember(replace(built, **_of_verbs(root)))
        _write()


def _built(root: Path, minutes: int) -> Length:
    source, out = root / f"{minutes}min", root / "out"
    _clip(source, minutes, root / "minute")
    start = time.monotonic()
    peak = measure.memory(source, out, "binary", "source=footage")
    seconds = time.monotonic() - start
    return Length(minutes, 60 * FPS * minutes, seconds, peak, machine())


def _of_verbs(root: Path) -> dict[str, float]:
    """Peaks of other verbs on the set that was built last."""
    out, alpha, truth = root / "out", root / "alpha", root / "truth"
    for folder in (alpha, truth):
        shutil.rmtree(folder, ignore_errors=True)
    own = _peak("status", out)
    found = {"verify": _peak("verify", out, "verify.deep=true") - own}
    words = (f"export.root={alpha}", "export.format=videomama")
    found["export"] = _peak("export", out, *words) - own
    (sequence,) = (alpha / "alpha").iterdir()
    _as_truth(sequence, truth / "clip" / sequence.name.removeprefix("clip_"))
    found["evaluate"] = _peak("evaluate", out, f"evaluate.root={truth}") - own
    return found


def _clip(folder: Path, minutes: int, minute: Path) -> None:
    """A video of ``minutes`` and one of its masks: the same minute over and over."""
    folder.mkdir(parents=True, exist_ok=True)
    minute.mkdir(parents=True, exist_ok=True)
    for name, draw in (("clip.mp4", _picture), ("clip_mask.mp4", _mask)):
        if not (minute / name).exists():
            _encode(minute / name, draw)
        command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", str(minutes - 1)]
        command += ["-i", str(minute / name), "-c", "copy", str(folder / name)]
        subprocess.run(command, check=True)


def _encode(path: Path, draw: Callable[[int], Any]) -> None:
    with path.open("w+b") as file:
        encoder = VideoEncoder(HEIGHT, WIDTH, FPS, 18, file)
        for number in range(60 * FPS):
            encoder.write(draw(number))
        encoder.close()


def _picture(number: int) -> Any:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint16)
    ground = ((x + 2 * number) // 8 + y // 8).astype(np.uint8)
    image = np.repeat(ground[..., None], 3, axis=2)
    return cv2.circle(image, _centre(number), 200, (220, 90, 40), -1)


def _mask(number: int) -> Any:
    return cv2.circle(np.zeros((HEIGHT, WIDTH, 3), np.uint8), _centre(number), 200, (255,) * 3, -1)


def _centre(number: int) -> tuple[int, int]:
    angle = 2 * np.pi * number / (60 * FPS)
    return int(960 + 600 * np.cos(angle)), int(540 + 250 * np.sin(angle))


def _as_truth(alpha: Path, truth: Path) -> None:
    truth.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(alpha.iterdir())):
        path.replace(truth / f"{number:05d}.png")


def _peak(verb: str, out: Path, *words: str) -> float:
    """GB that ``mav VERB`` takes at the most, in a process of its own."""
    command = [sys.executable, "-m", "mav_pipeline", verb, f"output.root={out}", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss * 1024 / 1e9


def _remember(found: Length) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    held = {length.minutes: length for length in _results()} | {found.minutes: found}
    data = [asdict(held[minutes]) for minutes in sorted(held)]
    RESULTS.write_text(json.dumps(data, indent=1) + "\n")


def _results() -> list[Length]:
    return (
        [Length(**entry) for entry in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
    )


def _write() -> None:
    lengths = _results()
    rows = [
        (
            f"{one.minutes} min, {one.frames} frames",
            f"{one.build:.2f} GB",
            *(_shown(value) for value in (one.verify, one.evaluate, one.export)),
            f"{one.frames / one.seconds:.1f}",
        )
        for one in lengths
    ]
    first, last = lengths[0], lengths[-1]
    slope = 1e6 * (last.build - first.build) / max(1, last.frames - first.frames)
    head = (
        f"One clip of {WIDTH}x{HEIGHT} at {FPS} frames a second with one mask video, every frame "
        "annotated (`source=footage matting=binary`): peak memory of a worker above its backend's "
        "own, and of other verbs above `mav status`. From the shortest to the longest a frame adds "
        f"{slope:.2f} KB to a build: its run lengths, scores and json. {lengths[-1].machine}"
    )
    columns = ("clip", "build", "verify.deep", "evaluate", "export", "frames/s")
    write_section("Length", f"{head}\n\n{table(columns, rows)}")


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f} GB"


if __name__ == "__main__":
    main()
