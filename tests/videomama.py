"""What tests of VideoMaMa share: small clips, masklets that come and go, a backend on the CPU."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mav_pipeline.config import MattingConfig
from mav_pipeline.matting.videomama.backend import VideoMaMaBackend
from mav_pipeline.matting.videomama.svd import Decoded
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.media.sizing import source_size
from mav_pipeline.schema import Clip, LoadedClip, Masklet, Masks, Matte, WorkingSize
from tests.fakes import config, mattes, moving_box

HEIGHT, WIDTH = 32, 48


def settings(checkpoint: tuple[Path, Path], **keys: Any) -> MattingConfig:
    base, unet = checkpoint
    chosen = {"name": "videomama", "base_model": str(base), "unet": str(unet), "device": "cpu"}
    return config({f"matting.{key}": value for key, value in {**chosen, **keys}.items()}).matting


def opened(checkpoint: tuple[Path, Path], **keys: Any) -> VideoMaMaBackend:
    backend = VideoMaMaBackend(settings(checkpoint, **keys))
    backend.setup()
    return backend


def masklet(masks: Masks, number: int = 0) -> Masklet:
    rles = tuple(encode_rle(mask) for mask in masks)
    return Masklet(f"manual_{number:03d}", number, "manual", rles)


def clip_of(
    frames: int, masklets: Sequence[Masklet], size: WorkingSize | None = None
) -> LoadedClip:
    rng = np.random.default_rng(frames)
    size = size or source_size(HEIGHT, WIDTH)
    shape = (frames, size.pad_height, size.pad_width, 3)
    pixels = rng.integers(0, 255, shape, dtype=np.uint8)
    indices = tuple(range(0, 4 * frames, 4))
    clip = Clip("c", WIDTH, HEIGHT, 24.0, indices, None, tuple(masklets), size)
    return LoadedClip(clip, pixels)


def boxes(frames: int, number: int = 0) -> Masklet:
    shape = (HEIGHT, WIDTH)
    return masklet(moving_box(frames, top=4 + 3 * number, side=12, shape=shape), number)


def staggered(frames: int) -> list[Masklet]:
    """One always visible, one from frame 7 on, one now and then: 3 frames, 2 away, 5, 4 away."""
    always = [True] * frames
    late = [index >= 7 for index in range(frames)]
    flickering = [index % 14 not in (0, 1, 2, 3, 7, 8) for index in range(frames)]
    found = []
    for number, visible in enumerate((always, late, flickering)):
        masks = np.zeros((frames, HEIGHT, WIDTH), np.bool_)
        masks[visible, 4:20, 8 * number : 8 * number + 16] = True
        found.append(masklet(masks, number))
    return found


def alphas(
    backend: VideoMaMaBackend, clip: LoadedClip, masklets: Sequence[Masklet]
) -> dict[str, Any]:
    """(T, H, W) alpha by masklet name; frames that were not yielded are 0."""
    found: dict[str, Any] = {}
    for matte in mattes(backend, clip, masklets):
        assert isinstance(matte, Matte)
        whole = np.zeros((len(clip.clip.frame_indices), *matte.alpha.shape[1:]), np.uint8)
        alpha = found.setdefault(matte.masklet.name, whole)
        alpha[matte.start : matte.start + len(matte.alpha)] = matte.alpha
    return found


def apart(left: Any, right: Any) -> int:
    return int(np.abs(left.astype(int) - right).max())


class Counting:
    """Counts what goes through a step; passes all else on."""

    def __init__(self, step: Any) -> None:
        self._step = step
        self.frames = self.masks = self.windows = 0
        self.largest = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def encode_frames(self, frames: Any, *, exact: bool = False) -> Any:
        self.frames += len(frames)
        return self._step.encode_frames(frames, exact=exact)

    def encode_masks(self, masks: Any, *, exact: bool = False) -> Any:
        self.masks += len(masks)
        return self._step.encode_masks(masks, exact=exact)

    def denoise(self, windows: Any, *, exact: bool = False) -> Any:
        self.windows += len(windows)
        self.largest = max(self.largest, len(windows))
        return self._step.denoise(windows, exact=exact)


class Tracing(Counting):
    """A fake model: alpha tells which frame, mask and noise it was made of, a row each."""

    def encode_frames(self, frames: Any, *, exact: bool = False) -> Any:
        self.frames += len(frames)
        return latents_of(frames[:, 0, 0, 0])

    def encode_masks(self, masks: Any, *, exact: bool = False) -> Any:
        self.masks += len(masks)
        return latents_of(masks.any(axis=(1, 2)))

    def noise(self, height: int, width: int, seed: int) -> Any:
        for number in itertools.count():
            yield latents_of(np.array([number]))[0]

    def denoise(self, windows: Any, *, exact: bool = False) -> Any:
        self.windows += len(windows)
        self.largest = max(self.largest, len(windows))
        parts = [torch.stack([part[:, 0] for part in window], dim=1) for window in windows]
        return torch.stack(parts)

    def decode(self, chunks: Any, *, exact: bool = False) -> Any:
        levels = torch.stack(chunks)[..., 0, 0].round().to(torch.uint8)
        alpha = levels.repeat_interleave(HEIGHT // levels.shape[2] + 1, dim=2)[:, :, :HEIGHT, None]
        alpha = alpha.expand(-1, -1, -1, WIDTH)
        return Decoded(alpha, torch.ones(len(chunks), dtype=torch.bool), None)


def latents_of(values: Any) -> Any:
    """(n, 4, h, w), each of one value."""
    levels = torch.from_numpy(np.asarray(values, np.float32))[:, None, None, None]
    return levels.expand(-1, 4, HEIGHT // 8, WIDTH // 8).clone()
