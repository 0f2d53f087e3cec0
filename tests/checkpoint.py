"""A random checkpoint in the layout of the real one, small enough for a CPU test."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_checkpoint(
    root: Path, vae: dict[str, Any] | None = None, **unet: Any
) -> tuple[Path, Path]:
    """Writes ``svd/vae`` and ``videomama/unet``; returns (base model, unet) locations.

    Two UNet levels, so sides are multiples of 8 x 2. ``vae`` and ``unet`` replace keys of their
    configs: the benchmark writes a full-size one.
    """
    import torch
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

    torch.manual_seed(0)
    shape: dict[str, Any] = {"block_out_channels": (32,) * 4, "layers_per_block": 1}
    encoder = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4, sample_size=32, **{**shape, **(vae or {})}
    )
    encoder.save_pretrained(root / "svd" / "vae", variant="fp16")
    settings: dict[str, Any] = {
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        "in_channels": 12,
        "out_channels": 4,
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 96,
        "num_attention_heads": (2, 4),
        "sample_size": 32,
    }
    model = UNetSpatioTemporalConditionModel(**{**settings, **unet})
    model.save_pretrained(root / "videomama" / "unet")
    return root / "svd", root / "videomama"
