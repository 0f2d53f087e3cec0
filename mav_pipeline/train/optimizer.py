"""AdamW with the rates of a recipe: falling through the image encoder, and on a cosine."""

from __future__ import annotations

import math
import re
from typing import Any

from mav_pipeline.config import TrainConfig

_ENCODER = "vision_encoder."
_BACKBONE = f"{_ENCODER}backbone."
_BLOCK = re.compile(rf"{re.escape(_BACKBONE)}blocks\.(\d+)\.")


def make_optimizer(model: Any, config: TrainConfig) -> Any:
    """Over the parameters that want a gradient, each group with its share of the rates.

    Biases and norms decay no weights.
    """
    import torch

    blocks = 1 + max(int(m[1]) for name, _ in model.named_parameters() if (m := _BLOCK.match(name)))
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((base_rate(name, blocks, config), decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "base": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        lr=config.lr,
    )


def base_rate(name: str, blocks: int, config: TrainConfig) -> float:
    """A parameter's rate at the first step.

    Args:
        blocks: of the image encoder's backbone; what lies before them is decayed once more.
    """
    if not name.startswith(_ENCODER):
        return config.lr
    if not name.startswith(_BACKBONE):
        return config.encoder_lr
    block = _BLOCK.match(name)
    depth = blocks - int(block[1]) if block else blocks + 1
    return float(config.encoder_lr * config.layer_decay**depth)


def set_rates(optimizer: Any, step: int, config: TrainConfig) -> None:
    """The rates of a step, counted from 0: half a cosine from 1 to ``lr_end`` of their base."""
    cosine = (1 + math.cos(math.pi * step / max(1, config.steps - 1))) / 2
    share = config.lr_end + (1 - config.lr_end) * cosine
    for group in optimizer.param_groups:
        group["lr"] = share * group["base"]
