"""What each stage of VideoMaMa holds at its peak, at full size, counted on meta tensors.

Nothing is computed: every operation of a pass is met by its shapes, and what is alive is summed.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from mav_pipeline.matting.videomama import exact, memory
from mav_pipeline.matting.videomama.models import Models
from mav_pipeline.matting.videomama.svd import stages

from .page import Row

#: The configuration of stabilityai/stable-video-diffusion-img2vid-xt, with VideoMaMa's 12 inputs.
VAE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
UNET = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (
        "CrossAttnDownBlockSpatioTemporal",
        "CrossAttnDownBlockSpatioTemporal",
        "CrossAttnDownBlockSpatioTemporal",
        "DownBlockSpatioTemporal",
    ),
    "up_block_types": (
        "UpBlockSpatioTemporal",
        "CrossAttnUpBlockSpatioTemporal",
        "CrossAttnUpBlockSpatioTemporal",
        "CrossAttnUpBlockSpatioTemporal",
    ),
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 768,
    "num_attention_heads": (5, 10, 20, 20),
    "sample_size": 96,
}
SIZES = ((512, 320), (704, 704), (1024, 576), (1920, 1088))
MEMORY_GB, MAX_BATCH = 24.0, 4  # as conf/ has them
WHAT = {
    "encode": "encode, a frame",
    "denoise": "UNet, a window of 24",
    "decode": "decode, a chunk of 8",
}


def full_size() -> Models:
    """Both models with shapes and no weights."""
    with torch.device("meta"):
        vae = AutoencoderKLTemporalDecoder(down_block_types=("DownEncoderBlock2D",) * 4, **VAE)
        unet = UNetSpatioTemporalConditionModel(in_channels=12, out_channels=4, **UNET)
    return Models(*(model.eval().requires_grad_(False) for model in (vae, unet)))


class Live(TorchDispatchMode):
    """Bytes of the tensors made while it was entered: the most that were alive at once.

    Args:
        known: what is there before, and is not counted.
    """

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._held: dict[int, int] = {}
        self._now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, list | tuple) else [result]:
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self._now)
        return result

    def _add(self, storage: Any) -> None:
        if storage._cdata not in self._known and storage._cdata not in self._held:
            self._held[storage._cdata] = storage.nbytes()
            self._now += storage.nbytes()
            weakref.finalize(storage, self._drop, storage._cdata)

    def _drop(self, address: int) -> None:
        self._now -= self._held.pop(address)


class Counted:
    """Peaks of the three stages in bytes, inputs included, weights not.

    Args:
        dtype: of weights and numbers.
        savings: names in ``exact.SAVINGS``.
    """

    def __init__(self, dtype: torch.dtype, savings: tuple[str, ...] = tuple(exact.SAVINGS)) -> None:
        models = full_size()
        for model in (models.vae, models.unet):
            exact.save_work(model, savings)
            nn.Module.to(model, "meta", dtype)
        self._dtype = dtype
        self._weights = [
            tensor
            for model in (models.vae, models.unet)
            for tensor in (*model.parameters(), *model.buffers())
        ]
        self._runs = stages(models.vae, models.unet)
        self.parameters = sum(weight.numel() for weight in self._weights)

    def peak(self, stage: str, *shape: int) -> int:
        """Of a batch of this shape through ``encode``, ``denoise`` or ``decode``."""
        run = self._runs[[*WHAT].index(stage)]
        with fused_attention(), torch.no_grad(), Live(self._weights) as live:
            run(torch.empty(*shape, dtype=self._dtype, device="meta"))
        return live.peak


@contextlib.contextmanager
def fused_attention() -> Iterator[None]:
    """Attention holds no scores where a kernel takes it; meta tensors have none, so say so."""
    plain: Callable[..., Tensor] = functional.scaled_dot_product_attention

    def fused(query: Tensor, key: Tensor, value: Tensor, **keys: Any) -> Tensor:
        takes = query.shape[-1] <= exact.WIDEST_FUSED_HEAD
        return torch.empty_like(query) if takes else plain(query, key, value, **keys)

    functional.scaled_dot_product_attention = fused  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = plain  # type: ignore[assignment]


def rows() -> list[Row]:
    """By stage, size and batch: counted with two bytes a number and four, and what is allowed."""
    found = []
    half, single = (Counted(dtype) for dtype in (torch.bfloat16, torch.float32))
    models = full_size()
    weight = replace(memory.weight_of(models.vae, models.unet), itemsize=2)
    for width, height in SIZES:
        h, w = height // 8, width // 8
        stage = memory.stages_of(weight, h * w, 24, 8)
        left = memory.budget(weight, MEMORY_GB)
        limits = memory.limits_of(stage, left, h * w, MAX_BATCH)
        for name, shape, one, most in (
            ("encode", (3, 8 * h, 8 * w), stage.frame, limits.frames),
            ("denoise", (24, 12, h, w), stage.window, limits.windows),
            ("decode", (8, 4, h, w), stage.chunk, limits.chunks),
        ):
            counts = [f"{half.peak(name, batch, *shape) / 1e9:.2f}" for batch in (1, 2, 4)]
            again = f"{single.peak(name, 1, *shape) / 1e9:.2f}"
            allowed = str(most) if one <= left else "refused"
            found.append((f"{width}x{height}", WHAT[name], *counts, again, allowed))
    return found
