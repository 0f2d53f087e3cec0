"""``python -m benchmarks.model_full``: VideoMaMa at full size, on any machine, with random weights.

Counted on meta tensors: peak memory and work by stage. Measured on one thread of the CPU at a small
size: the released script's way against ours, stage by stage and as a whole, in one run.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mav_pipeline.matting.videomama import exact, memory
from mav_pipeline.matting.videomama.backend import VideoMaMaBackend
from mav_pipeline.matting.videomama.models import Models
from mav_pipeline.matting.videomama.svd import SvdStep, stages
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.schema import LoadedClip

from . import model, model_memory
from .corpus import config
from .page import Row, machine, tell_section

FRAMES, HEIGHT, WIDTH = 4, 64, 128
REPEATS = 2
#: Each stage and what of a clip goes through it, in the order of an alpha frame's way.
PARTS = {"RGB encode": 0, "mask encode": 0, "UNet": 1, "decode": 2}
SAVED, PLAIN = tuple(exact.SAVINGS), ()


def main() -> None:
    """Counts, measures and writes the sections."""
    logging.basicConfig(level=logging.WARNING)
    _memory()
    _work()
    torch.set_num_threads(1)
    found = compare(random_models(), FRAMES, HEIGHT, WIDTH, REPEATS)
    head = (
        f"Full-size random weights in float32, seconds of CPU on one thread: {FRAMES} frames of "
        f"{WIDTH}x{HEIGHT}, one window, {model.MASKLETS} masklets, means of {REPEATS}. The "
        "released way runs diffusers' modules as they are and encodes RGB for each masklet; ours "
        "has every exact saving. Beside it the work counted at the same size."
    )
    columns = ("what", "released way", "ours", "ratio", "TFLOP", "TFLOP, ours", "ratio", "goal")
    tell_section("Model at full size on the CPU", f"{head} {machine()}", columns, found)


def _memory() -> None:
    head = (
        "Published configurations at full size, every exact saving on: GB that a call holds at its "
        "peak beside weights (3.2 GB with two bytes a number), by calls of 1, 2 and 4, counted on "
        "meta tensors; kernels' workspaces come on top, for which a fifth is allowed. Again in "
        "float32: one alone, where half precision overflowed. Allowed at once: with "
        f"`matting.memory_gb={model_memory.MEMORY_GB:g}` and "
        f"`matting.max_batch={model_memory.MAX_BATCH}`. On a GPU: not measured."
    )
    columns = ("size", "stage", "1", "2", "4", "again in float32", "allowed at once")
    tell_section("Memory of the model", head, columns, model_memory.rows())


def _work() -> None:
    plain, ours = (counted(names, 24, 72, 128) for names in (PLAIN, SAVED))
    rows = [(part, f"{plain[part]:.2f}", f"{ours[part]:.2f}") for part in PARTS]
    for name in ("upsample", "cross"):
        less = sum(plain.values()) - sum(counted((name,), 24, 72, 128).values())
        rows.append((f"less by `{name}`", "", f"{less:.2f}"))
    whole = sum(plain.values()), shared_work(ours, model.MASKLETS)
    rows.append((f"in all, {model.MASKLETS} masklets", *(f"{work:.2f}" for work in whole)))
    head = (
        "TFLOP an alpha frame at 1024x576 in windows of 24, by PyTorch's counter on meta tensors, "
        "attention included. The released way encodes RGB for each masklet, ours once for all."
    )
    tell_section("Work of the model", head, ("what", "released way", "ours"), rows)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of CPU by part of a masklet's way, and of all masklets of the clip."""

    parts: dict[str, float]
    whole: float


def compare(
    models: Models, frames: int, height: int, width: int, repeats: int, work: bool = True
) -> list[Row]:
    """Rows of both ways, stage by stage and as a whole; ``work``: of the full-size models."""
    shown = model.clip(frames, height, width)
    chosen = config("matting=videomama", f"matting.window={frames}", "matting.overlap=0").matting
    steps = [
        SvdStep(sharing_weights(models), device="cpu", savings=names) for names in (PLAIN, SAVED)
    ]
    backend = VideoMaMaBackend(chosen)
    backend._step, backend._settings = steps[1], {"device": "cpu", "dtype": "float32"}
    backend._weight = memory.weight_of(models.vae, models.unet)
    whole = [lambda: released(steps[0], shown), lambda: model.shared(backend, shown)]
    parts = [_parts(step, shown, chosen.max_batch) for step in steps]
    timed = _timed(parts, whole, repeats)
    size = frames, height // 8, width // 8
    count = [counted(names, *size) for names in (PLAIN, SAVED)] if work else None
    return _rows(timed, count, frames)


def _timed(
    parts: list[dict[str, Callable[[], object]]], whole: list[Callable[[], object]], repeats: int
) -> list[Timed]:
    """Both ways turn by turn, so that what the machine does else meets both."""
    seen: list[dict[str, list[float]]] = [{}, {}]
    for _ in range(repeats):
        for name in PARTS:
            for way in (0, 1):
                seen[way].setdefault(name, []).append(_seconds(parts[way][name]))
        for way in (0, 1):
            seen[way].setdefault("whole", []).append(_seconds(whole[way]))
    return [
        Timed({name: mean(times[name]) for name in PARTS}, mean(times["whole"])) for times in seen
    ]


def _rows(timed: list[Timed], count: list[dict[str, float]] | None, frames: int) -> list[Row]:
    plain, ours = timed
    many, rows = model.MASKLETS, []
    for part in PARTS:
        work = [c[part] * frames for c in count] if count else None
        rows.append(_row(f"{part}, a masklet", plain.parts[part], ours.parts[part], work))
    work = [many * sum(count[0].values()), many * shared_work(count[1], many)] if count else None
    work = [one * frames for one in work] if work else None
    rows.append(_row(f"all {many} masklets", plain.whole, ours.whole, work))
    predicted = sum(plain.parts.values()) / shared_work(ours.parts, many)
    gain = plain.whole / ours.whole
    share = f"{gain:.3f}x / {predicted:.3f}x = {gain / predicted:.3f}"
    return [*rows, ("gain / gain that the parts predict", "", "", share, "", "", "", ">= 0.95")]


def _row(what: str, plain: float, ours: float, work: Sequence[float] | None) -> Row:
    row = (what, f"{plain:.2f} s", f"{ours:.2f} s", f"{plain / ours:.3f}x")
    if work is None:
        return (*row, "", "", "", "")
    return (*row, f"{work[0]:.3f}", f"{work[1]:.3f}", f"{work[0] / work[1]:.3f}x", "")


def released(step: SvdStep, shown: LoadedClip) -> None:
    """Masklet by masklet: RGB and masks encoded, one window, chunks of 8."""
    for index in range(len(shown.clip.masklets)):
        for run in _parts(step, shown, len(shown.clip.frame_indices), index).values():
            run()


def _parts(
    step: SvdStep, shown: LoadedClip, batch: int, index: int = 0
) -> dict[str, Callable[[], object]]:
    """The stages of a masklet's way, each upon what those before it gave."""
    masklet, count = shown.clip.masklets[index], len(shown.clip.frame_indices)
    masks = np.stack([decode_rle(rle) for rle in masklet.rles if rle is not None])
    frames: Any = shown.frames
    made: dict[str, Any] = {}

    def by(run: Callable[[Any], Any], items: Any) -> Any:
        return torch.cat([run(items[at : at + batch]) for at in range(0, count, batch)])

    def rgb() -> None:
        made["rgb"] = by(step.encode_frames, frames)

    def mask() -> None:
        made["mask"] = by(step.encode_masks, masks)

    def denoise() -> None:
        noise = torch.stack([*islice(step.noise(*made["rgb"].shape[2:], 42), count)])
        made["latents"] = step.denoise([(noise, made["rgb"], made["mask"])])[0]

    def decode() -> None:
        for at in range(0, count, 8):
            step.decode([made["latents"][at : at + 8]]).ready()

    return dict(zip(PARTS, (rgb, mask, denoise, decode), strict=True))


def _seconds(run: Callable[[], object]) -> float:
    """Of the CPU: what others do on the machine is left out of it."""
    start = time.process_time()
    run()
    return time.process_time() - start


def shared_work(parts: dict[str, float], masklets: int) -> float:
    """Of a masklet, RGB shared by all."""
    return sum(parts.values()) - parts["RGB encode"] * (1 - 1 / masklets)


def counted(savings: Sequence[str], frames: int, height: int, width: int) -> dict[str, float]:
    """TFLOP a frame by part, of the full-size models in windows of so many frames."""
    models = model_memory.full_size()
    for one in (models.vae, models.unet):
        # Products over time are the same work, and the counter passes over sums in place.
        exact.save_work(one, [name for name in savings if name != "temporal"])
        nn.Module.to(one, "meta")
    runs = stages(models.vae, models.unet)
    frame = height, width
    shapes = [(1, 3, 8 * height, 8 * width), (1, frames, 12, *frame), (1, 1, 4, *frame)]
    found = []
    for run, shape in zip(runs, shapes, strict=True):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            run(torch.empty(shape, device="meta"))
        found.append(counter.get_total_flops() / 1e12)
    found[1] /= frames
    return {part: found[stage] for part, stage in PARTS.items()}


def random_models() -> Models:
    """Both models at full size with small random weights, 6.5 GB."""
    models = model_memory.full_size()
    torch.manual_seed(0)
    for one in (models.vae, models.unet):
        one.to_empty(device="cpu")
        for name, weight in one.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, float("norm" in name and name.endswith("weight")))
            else:
                nn.init.uniform_(weight, -0.03, 0.03)
    return models


def sharing_weights(models: Models) -> Models:
    """Modules of their own over the same memory, so that changing one leaves the other."""
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(weight.data, requires_grad=False)
        for one in (models.vae, models.unet)
        for weight in one.parameters()
    }
    return Models(copy.deepcopy(models.vae, memo), copy.deepcopy(models.unet, memo))


if __name__ == "__main__":
    main()
