"""``python -m benchmarks.gpu``: VideoMaMa at full size on a GPU; without CUDA it says so and ends.

--rehearse   tiny weights on the CPU: shows that the measurement runs, and writes nothing
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from mav_pipeline.config import MattingConfig
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.runtime.local import LocalPool
from mav_pipeline.schema import LoadedClip
from mav_pipeline.sources.registry import open_source

from . import corpus, measure, model, model_memory
from .page import Row, has_section, machine, table, write_section

TITLE = "Model on a GPU"
TFLOP_A_FRAME = 12.4  # RGB shared over 4 masklets, with exact savings, counted at 1024x576
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L4": 121.0}  # dense bf16, data sheets


def main() -> None:
    """Measures and writes the section, or says why not."""
    import torch

    logging.basicConfig(level=logging.WARNING)
    rehearse = "--rehearse" in sys.argv
    if not torch.cuda.is_available() and not rehearse:
        sys.stdout.write("bench-gpu: there is no CUDA device here; nothing was measured\n")
        if not has_section(TITLE):
            write_section(TITLE, "not measured: no GPU was at hand.")
        return
    with tempfile.TemporaryDirectory(prefix="mav-bench-gpu-") as temporary:
        rows = _rows(Path(temporary), rehearse)
    body = table(("what", "measured", "goal"), rows)
    if rehearse:
        sys.stdout.write(body)
        return
    head = "Full-size random weights, 1024x576, windows of 24, 4 masklets a clip."
    write_section(TITLE, f"{head} {machine(torch.cuda.get_device_name())}\n\n{body}")
    sys.stdout.write(body)


def _rows(root: Path, rehearse: bool) -> list[Row]:
    if rehearse:
        weights, frames, height, width = root / "tiny", 8, 48, 64
        model.tiny(weights)
        keys: dict[str, Any] = {"device": "cpu", "window": 4, "overlap": 1}
    else:
        weights, frames, height, width = root / "full", 48, 576, 1024
        model.write_checkpoint(weights, vae=model_memory.VAE, **model_memory.UNET)
        keys = {"device": "cuda", "dtype": "bfloat16"}
    bare = {**keys, "overlap": 0}
    rows = model.sharing(model.settings(weights, **bare), frames, height, width)
    if not rehearse:  # compiling for the CPU takes minutes and shows nothing
        rows += _compiled(weights, bare, frames, height, width)
    rows += _overlap(weights, keys, frames, height, width)
    return rows + _build(root, weights, keys, height, width)


def _rate(chosen: MattingConfig, frames: int, height: int, width: int) -> float:
    shown = model.clip(frames, height, width)
    backend = model.opened(chosen)
    made = model.shared(backend, shown)  # warm
    rate = made / model.seconds(lambda: model.shared(backend, shown))
    backend.close()
    return rate


def _plain_rate(chosen: MattingConfig, frames: int, height: int, width: int) -> float:
    shown = model.clip(frames, height, width)
    backend = model.opened(chosen)
    made = model.plain(backend, shown, shown.masklets[0])  # warm
    spent = model.seconds(lambda: model.plain(backend, shown, shown.masklets[0]))
    backend.close()
    return made / spent


def _compiled(weights: Path, keys: dict[str, Any], *shape: int) -> list[Row]:
    import torch

    eager, compiled = (model.settings(weights, **keys, compile=flag) for flag in ("false", "true"))
    plain, plain_compiled = _plain_rate(eager, *shape), _plain_rate(compiled, *shape)
    ours, ours_compiled = _rate(eager, *shape), _rate(compiled, *shape)
    rows = [
        ("model alone / plain way, both eager", f"{ours / plain:.3f}x", ">= 1.08x"),
        ("both compiled", f"{ours_compiled / plain_compiled:.3f}x", ">= 1.08x"),
        ("compiled / plain eager", f"{ours_compiled / plain:.3f}x", ">= 1.4x"),
    ]
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((value for key, value in PEAK_TFLOPS.items() if key in name), None)
    if peak:
        share = ours_compiled * TFLOP_A_FRAME / peak
        rows.append(("share of the bf16 peak, compiled", f"{share:.1%}", ""))
    return rows


def _overlap(weights: Path, keys: dict[str, Any], *shape: int) -> list[Row]:
    without = _rate(model.settings(weights, **{**keys, "overlap": 0}), *shape)
    overlapped = _rate(model.settings(weights, **keys), *shape)
    cost = without / overlapped - 1
    return [(f"cost of {keys.get('overlap', 4)} frames of overlap", f"{cost:.1%}", "")]


def _build(root: Path, weights: Path, keys: dict[str, Any], height: int, width: int) -> list[Row]:
    """A whole build against the released script's way, and what of it the model is busy."""
    source = corpus.large(root / "clips", width, height, model.MASKLETS, clips=2)
    chosen = {"base_model": weights / "svd", "unet": weights / "videomama", **keys}
    settings = corpus.config(
        "matting=videomama",
        *(f"matting.{key}={value}" for key, value in chosen.items()),
        f"source.root={source}",
        f"output.root={root / 'out'}",
        "quality.enabled=false",
        "runtime.encode_threads=4",
        f"source.limit={1 if height < 100 else 2}",
    )
    rate, stages = measure.build_rate(settings, LocalPool)
    frames = sum(len(one.clip.frame_indices) for one in measure.load(settings)) * model.MASKLETS
    idle = max(0.0, 1 - stages["matting"] / (frames / rate))
    script = _script_rate(root / "png", settings)
    return [
        ("whole build", f"{rate:.2f} alpha frames/s", ""),
        ("whole build / the released script's way", f"{rate / script:.2f}x", ">= 2x"),
        ("time of the build in which nothing is matted", f"{idle:.1%}", "<= 5%"),
    ]


def _script_rate(folder: Path, settings: Any) -> float:
    """Alpha frames/s of PNG files in, one masklet at a time, PNG files out, nothing overlapped."""
    source = open_source(settings)
    ref = prepare(settings, writes=False).plan.shards[0].clips[0]
    backend = model.opened(settings.matting)
    loaded = source.load(ref, settings.matting.size_rule(backend.multiple))
    shown = LoadedClip(loaded.clip, np.stack([*loaded.frames]))
    masklet = shown.clip.masklets[0]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for index, (frame, rle) in enumerate(zip(shown.frames, masklet.rles, strict=True)):
        assert rle is not None
        cv2.imwrite(str(folder / f"rgb{index}.png"), frame)
        cv2.imwrite(
            str(folder / f"mask{index}.png"), decode_rle(rle).view(np.uint8) * np.uint8(255)
        )
    times = []
    for _ in range(model.REPEATS):
        start = time.perf_counter()
        for index in range(len(shown.clip.frame_indices)):
            cv2.imread(str(folder / f"rgb{index}.png"))
            cv2.imread(str(folder / f"mask{index}.png"), cv2.IMREAD_GRAYSCALE)
        made = model.plain(backend, shown, masklet)
        for index, frame in enumerate(shown.frames):
            cv2.imwrite(str(folder / f"alpha{index}.png"), frame[..., 0])
        times.append(time.perf_counter() - start)
    backend.close()
    return made / median(times)


if __name__ == "__main__":
    main()
