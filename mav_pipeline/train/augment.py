"""A clip as stored to what the model sees: cropped around its object, stretched, mirrored, tinted.

It runs where samples are loaded, maybe in a forked process, and so without OpenCV. What it draws
depends on the run's seed, the stretch and the sample, not on who loads it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.config import TrainConfig
from mav_pipeline.schema import Alpha, Frames, Mask


@dataclass(frozen=True, slots=True)
class Example:
    """A clip of T square frames.

    Attributes:
        frames: (T, S, S, 3).
        mask: (S, S), of the first frame.
        alpha: (T, S, S).
        weight: in the loss.
    """

    frames: Frames
    mask: Mask
    alpha: Alpha
    weight: float


class Augment:
    """What is done to each sample.

    Args:
        config: the recipe.
        stretch: number of the part of the run; None leaves samples as they are, but for their size.
    """

    def __init__(self, config: TrainConfig, stretch: int | None) -> None:
        self._config, self._stretch = config, stretch

    def __call__(self, sample: Any) -> Example:
        """The example of a ``MatteSample``."""
        from mav_pipeline.train.loader.backgrounds import resize

        config, frames, alpha, mask = (
            self._config,
            *(sample[k] for k in ("frames", "alpha", "mask")),
        )
        side, quality = (config.size, config.size), float(sample["scores"]["quality"])
        weight = 1.0 if np.isnan(quality) else quality**config.quality_power
        rows, columns = slice(None), slice(None)
        if self._stretch is not None:
            random = np.random.default_rng((config.seed, self._stretch, _number_of(sample)))
            rows, columns = crop_around(mask[0], config.min_scale, random)
        frames, alpha = frames[:, rows, columns], alpha[:, rows, columns]
        frames = np.stack([resize(frame, side) for frame in frames])
        alpha = np.stack([resize(frame, side) for frame in alpha])
        first = _prompt(mask[0, rows, columns], side)
        if self._stretch is not None:
            if random.random() < config.flip:
                frames, alpha, first = frames[:, :, ::-1], alpha[..., ::-1], first[:, ::-1]
            frames = _tinted(frames, config.colour, random)
        frames, first, alpha = map(np.ascontiguousarray, (frames, first, alpha))
        return Example(frames, first, alpha, weight)


def crop_around(mask: Mask, min_scale: float, random: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a part of the frame's shape, at least ``min_scale`` of its sides.

    The middle of the object is in it, wherever that part lies; without an object anything is.
    """
    scale = random.uniform(min_scale, 1)
    found = []
    for axis, length in enumerate(mask.shape):
        side = max(1, round(scale * length))
        hit = np.flatnonzero(mask.any(axis=1 - axis))
        middle = int(hit[len(hit) // 2]) if hit.size else int(random.integers(length))
        least, most = max(0, middle - side + 1), min(middle, length - side)
        start = int(random.integers(least, most + 1))
        found.append(slice(start, start + side))
    return found[0], found[1]


def _prompt(mask: Mask, side: tuple[int, int]) -> Mask:
    """The mask at the model's size; a small object that this loses is a pixel or more."""
    from mav_pipeline.train.loader.backgrounds import resize

    found: Mask = resize(mask, side)
    if not found.any() and mask.any():
        found = resize(mask * np.uint8(255), side) > 0
    return found


def _tinted(frames: Frames, spread: float, random: np.random.Generator) -> Frames:
    """One gain and offset a channel for the whole clip, up to ``spread`` of the range each."""
    gain = 1 + random.uniform(-spread, spread, 3).astype(np.float32)
    offset = 255 * random.uniform(-spread, spread, 3).astype(np.float32)
    found: NDArray[np.float32] = frames.astype(np.float32) * gain + offset
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def _number_of(sample: Any) -> int:
    """Of the clip, the masklet and where the run of frames begins."""
    name = f"{sample['key']} {sample['masklet']} {sample['frame_indices'][0]}"
    return int(hashlib.sha256(name.encode()).hexdigest()[:12], 16)
