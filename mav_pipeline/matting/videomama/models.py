"""The two models of VideoMaMa: what they must be, how they are loaded, and what they run on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from mav_pipeline.matting.videomama.weights import Part, require
from mav_pipeline.schema.errors import ConfigError

_log = logging.getLogger(__name__)

LATENT_CHANNELS = 4
IN_CHANNELS = 3 * LATENT_CHANNELS  # noise | RGB latents | mask latents


def check(vae: Part, unet: Part) -> int:
    """The multiple that sides must be of: the VAE's 8 times 2 a halving of the UNet.

    Raises:
        ConfigError: one of them is another model.
    """
    wanted = {"_class_name": "AutoencoderKLTemporalDecoder", "latent_channels": LATENT_CHANNELS}
    blocks = require(vae, "matting.base_model", wanted)["block_out_channels"]
    wanted = {
        "_class_name": "UNetSpatioTemporalConditionModel",
        "in_channels": IN_CHANNELS,
        "out_channels": LATENT_CHANNELS,
    }
    levels = require(unet, "matting.unet", wanted)["down_block_types"]
    return int(2 ** (len(blocks) - 1) * 2 ** (len(levels) - 1))


@dataclass(frozen=True, slots=True)
class Models:
    """diffusers' ``AutoencoderKLTemporalDecoder`` and ``UNetSpatioTemporalConditionModel``."""

    vae: Any
    unet: Any


def load(vae: Part, unet: Part, dtype: str) -> Models:
    """Both on the host, for inference.

    Args:
        dtype: torch's name of the type they are cast to.

    Raises:
        ConfigError: the weights do not fit their config, or are no safetensors.
    """
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

    return Models(
        _load(AutoencoderKLTemporalDecoder, vae, "matting.base_model", dtype),
        _load(UNetSpatioTemporalConditionModel, unet, "matting.unet", dtype),
    )


def choose_device(wanted: str) -> str:
    """``cpu`` or ``cuda`` for ``matting.device``.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    import torch

    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        if wanted == "auto":
            _log.warning("there is no CUDA device, so the model runs on the CPU: slowly")
        return "cpu"
    if not torch.cuda.is_available():
        raise ConfigError(
            "matting.device=cuda, but torch sees no CUDA device; set matting.device=cpu, run where "
            "there is one, or with Ray set runtime.gpus_per_worker=1"
        )
    return "cuda"


def choose_dtype(wanted: str, device: str) -> str:
    """torch's name of ``matting.dtype``; the CPU computes in float32 unless told otherwise."""
    return {"cpu": "float32", "cuda": "float16"}[device] if wanted == "auto" else wanted


def _load(kind: Any, part: Part, key: str, dtype: str) -> Any:
    import torch

    try:
        model = kind.from_pretrained(
            part.folder,
            variant=part.variant,
            torch_dtype=getattr(torch, dtype),
            use_safetensors=True,
            low_cpu_mem_usage=False,  # the other way needs accelerate
            local_files_only=True,
        )
    except Exception as error:
        # diffusers raises whatever its parts do: a torn file, a missing tensor, another shape.
        cause = str(error).splitlines()[0] if str(error) else ""
        message = f"{key}: {part.file} cannot be loaded: {type(error).__name__}: {cause}"
        raise ConfigError(f"{message}; download it again") from error
    return model.eval().requires_grad_(False)
