"""How much goes through each stage at once, by ``matting.memory_gb`` and a clip's working size.

Pure arithmetic, the same on every device and whatever came before. What a stage holds at its peak
was counted on meta tensors, all savings applied (``make bench-model`` writes the table, a test
holds the numbers here to the count); it grows with pixels, frames and the width of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Numbers held at the peak, by latent position, frame and channel of the first level: 41,200,
#: 62,500 and 9,100 a position and frame of the published models.
_ENCODE, _DECODE, _DENOISE = 330.0, 495.0, 29.0
#: Of the budget: room for the CUDA context, fragmentation and the latents of a clip's windows.
_RESERVED = 0.1
#: Of a stage's peak: workspaces of convolutions and copies that kernels make for themselves.
_WORKSPACE = 1.2
#: Launches of attention over time are one wide by window and position, and no wider than this.
MAX_GRID = 65_535


@dataclass(frozen=True, slots=True)
class Weight:
    """What the models weigh.

    Attributes:
        parameters: of both.
        vae_width, unet_width: channels of the first level, or half of the second's if it is more.
        itemsize: bytes a number, 2 or 4.
    """

    parameters: int
    vae_width: float
    unet_width: float
    itemsize: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Items through a stage at once, each at least 1."""

    frames: int
    windows: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Stages:
    """GB that one item of a stage takes at its peak, workspaces included."""

    frame: float
    window: float
    chunk: float


def weight_of(vae: Any, unet: Any) -> Weight:
    """Of two loaded models."""
    parameters = sum(p.numel() for model in (vae, unet) for p in model.parameters())
    return Weight(parameters, _width(vae.config), _width(unet.config), unet.dtype.itemsize)


def stages_of(weight: Weight, positions: int, window: int, chunk: int) -> Stages:
    """What each stage takes.

    Args:
        positions: latent ones of a frame.
        window, chunk: frames of a window, and of a chunk with its context.
    """
    number = positions * weight.itemsize * _WORKSPACE / 1e9
    return Stages(
        number * _ENCODE * weight.vae_width,
        number * _DENOISE * weight.unet_width * window,
        number * _DECODE * weight.vae_width * chunk,
    )


def budget(weight: Weight, memory_gb: float) -> float:
    """GB that are left for what goes through the models."""
    return memory_gb * (1 - _RESERVED) - weight.parameters * weight.itemsize / 1e9


def limits_of(stages: Stages, left: float, positions: int, most: int) -> Limits:
    """How many items go through each stage: as many as fit, but ``most``, and at least 1.

    Args:
        left: GB, as ``budget`` says.
    """
    fit = (
        max(1, min(most, int(left // one))) for one in (stages.frame, stages.window, stages.chunk)
    )
    frames, windows, chunks = fit
    return Limits(frames, max(1, min(windows, MAX_GRID // positions)), chunks)


def too_large(stages: Stages, left: float) -> str | None:
    """Which stage has no room for a single item, and how much it wants; None if all have."""
    for name in ("frame", "window", "chunk"):
        wanted = getattr(stages, name)
        if wanted > left:
            return f"a {name} takes {wanted:.1f} GB and {max(left, 0):.1f} GB are left for it"
    return None


def _width(config: Mapping[str, Any]) -> float:
    first, *others = config["block_out_channels"]
    return max(float(first), others[0] / 2 if others else 0.0)
