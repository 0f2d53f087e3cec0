"""VideoMaMa against the plain way: masklet by masklet, RGB encoded each time, a window at a time.

The same functions serve the CPU with tiny weights and a GPU with full-size ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mav_pipeline.config import MattingConfig
from mav_pipeline.matting.videomama.backend import VideoMaMaBackend
from mav_pipeline.media.masks import decode_rle, encode_rle
from mav_pipeline.media.sizing import source_size
from mav_pipeline.schema import Clip, LoadedClip, Masklet
from tests.checkpoint import write_checkpoint

from .corpus import config
from .page import Row

MASKLETS = 4
REPEATS = 3


def tiny(root: Path, **keys: Any) -> MattingConfig:
    """Settings of a tiny checkpoint under ``root``, on the CPU."""
    if not root.is_dir():
        write_checkpoint(root)
    return settings(root, **{"device": "cpu", **keys})


def settings(root: Path, **keys: Any) -> MattingConfig:
    """``matting=videomama`` with the checkpoint under ``root`` and no overlap."""
    where = {"base_model": root / "svd", "unet": root / "videomama", "overlap": 0}
    words = [f"matting.{key}={value}" for key, value in {**where, **keys}.items()]
    return config("matting=videomama", *words).matting


def opened(chosen: MattingConfig) -> VideoMaMaBackend:
    backend = VideoMaMaBackend(chosen)
    backend.setup()
    return backend


def clip(frames: int, height: int, width: int) -> LoadedClip:
    """A clip in memory: noise, and ``MASKLETS`` boxes that drift."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (frames, height, width, 3), np.uint8)
    masklets = []
    for number in range(MASKLETS):
        masks = np.zeros((frames, height, width), np.bool_)
        for index, mask in enumerate(masks):
            top, left = height // 8 * (number + 1), width // 8 + index
            mask[top : top + height // 3, left : left + width // 3] = True
        rles = tuple(encode_rle(mask) for mask in masks)
        masklets.append(Masklet(f"manual_{number:03d}", number, "manual", rles))
    size, indices = source_size(height, width), tuple(range(0, 4 * frames, 4))
    clip = Clip("c", width, height, 24.0, indices, None, tuple(masklets), size)
    return LoadedClip(clip, pixels)


def _pixels(shown: LoadedClip) -> Any:
    """(T, H, W, 3) of a clip whose frames are one array."""
    return shown.frames


def plain(backend: VideoMaMaBackend, shown: LoadedClip, masklet: Masklet) -> int:
    """Mattes one masklet the released script's way; returns alpha frames made."""
    step, chosen = backend._step, backend._config
    count = len(shown.clip.frame_indices)
    masks = np.stack([decode_rle(rle) for rle in masklet.rles if rle is not None])
    made = 0
    for start in range(0, count, chosen.window):
        cut = slice(start, min(start + chosen.window, count))
        length = cut.stop - cut.start
        rgb = _by(chosen.max_batch, step.encode_frames, _pixels(shown)[cut])
        mask = _by(chosen.max_batch, step.encode_masks, masks[cut])
        noise = _noise(step, rgb, chosen.seed)
        latents = step.denoise([(noise, rgb, mask)])[0]
        for first in range(0, length, chosen.decode_chunk):
            alpha, _ = step.decode([latents[first : first + chosen.decode_chunk]]).ready()
            made += alpha.shape[1]
    return made


def _noise(step: Any, rgb: Any, seed: int) -> Any:
    import torch

    return torch.stack([*islice(step.noise(*rgb.shape[2:], seed), len(rgb))])


def _by(size: int, run: Callable[[Any], Any], items: Any) -> Any:
    import torch

    return torch.cat([run(items[first : first + size]) for first in range(0, len(items), size)])


def shared(backend: VideoMaMaBackend, shown: LoadedClip) -> int:
    """Mattes all masklets of the clip; returns alpha frames made."""
    return sum(
        len(block.alpha)
        for block in backend.matte(shown.clip, iter(shown.frames), shown.clip.masklets)
    )  # type: ignore[union-attr]


def seconds(run: Callable[[], object]) -> float:
    """Median wall time, after the device has caught up."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        _settle()
        times.append(time.perf_counter() - start)
    return median(times)


def _settle() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def parts(backend: VideoMaMaBackend, shown: LoadedClip) -> dict[str, float]:
    """Seconds for one masklet of the clip: RGB encode, mask encode, UNet, decode."""
    step, chosen = backend._step, backend._config
    masklet, cut = shown.clip.masklets[0], slice(0, chosen.window)
    masks = np.stack([decode_rle(rle) for rle in masklet.rles if rle is not None])[cut]
    rgb = _by(chosen.max_batch, step.encode_frames, _pixels(shown)[cut])
    mask = _by(chosen.max_batch, step.encode_masks, masks)
    noise = _noise(step, rgb, chosen.seed)
    (latents,) = step.denoise([(noise, rgb, mask)])
    chunks = [
        latents[i : i + chosen.decode_chunk] for i in range(0, len(latents), chosen.decode_chunk)
    ]
    share = len(shown.clip.frame_indices) / len(rgb)
    runs: dict[str, Callable[[], object]] = {
        "RGB encode": lambda: _by(chosen.max_batch, step.encode_frames, _pixels(shown)[cut]),
        "mask encode": lambda: _by(chosen.max_batch, step.encode_masks, masks),
        "UNet": lambda: step.denoise([(noise, rgb, mask)]),
        "decode": lambda: [step.decode([chunk]).ready() for chunk in chunks],
    }
    return {name: share * seconds(run) for name, run in runs.items()}


def predicted(timed: dict[str, float], masklets: int) -> float:
    """The gain that sharing RGB latents over ``masklets`` masklets can give, from timed parts."""
    each = sum(timed.values())
    return masklets * each / (masklets * each - (masklets - 1) * timed["RGB encode"])


def sharing(chosen: MattingConfig, frames: int, height: int, width: int) -> list[Row]:
    """What sharing of latents gains, against what its parts predict."""
    shown = clip(frames, height, width)
    backend = opened(chosen)
    shared(backend, shown)  # warm
    timed = parts(backend, shown)
    alone, together = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for masklet in shown.clip.masklets:
            plain(backend, shown, masklet)
        middle = time.perf_counter()
        shared(backend, shown)
        alone.append(middle - start)
        together.append(time.perf_counter() - middle)
    gain = median(a / t for a, t in zip(alone, together, strict=True))
    made = frames * MASKLETS
    shares = ", ".join(f"{name} {value / frames * 1e3:.1f}" for name, value in timed.items())
    backend.close()
    return [
        ("parts, ms an alpha frame", shares, ""),
        ("the plain way", f"{made / median(alone):.2f} alpha frames/s", ""),
        ("latents shared and batched", f"{made / median(together):.2f} alpha frames/s", ""),
        (
            "gain / gain that the parts predict",
            f"{gain:.3f}x / {predicted(timed, MASKLETS):.3f}x = "
            f"{gain / predicted(timed, MASKLETS):.3f}",
            ">= 0.95",
        ),
    ]
