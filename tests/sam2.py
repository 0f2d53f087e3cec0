"""Tiny SAM 2 models of random weights, on every path of which something happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mav_pipeline.matting.sam2_matte.rules import Rules
from mav_pipeline.matting.sam2_matte.weights import random_model


def lively_model(size: int, *, spread: float = 0.05) -> Any:
    """``random_model``, but none of its parameters is the zero that it begins with."""
    import torch

    model, generator = random_model(size, seed=0), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=generator)
    return model


def write_sam2(folder: Path, size: int = 32, rules: Rules | None = None) -> Path:
    """A folder of weights as transformers writes it, with rules where some are given."""
    lively_model(size).save_pretrained(folder)
    if rules is not None:
        rules.write(folder)
    return folder
