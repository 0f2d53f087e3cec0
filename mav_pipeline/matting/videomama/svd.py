"""Stable Video Diffusion's VAE and UNet on one device, for a single step: arrays in, arrays out.

Knows nothing of clips, masklets or windows. Constants are those of VideoMaMa's released code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.matting.videomama.weights import Part, require
from mav_pipeline.schema import Frames, Masks
from mav_pipeline.schema.errors import ConfigError

_log = logging.getLogger(__name__)

TIMESTEP = 1
ADDED_TIME_IDS = (7, 127, 0.0)  # fps, motion bucket, noise augmentation
LATENT_CHANNELS = 4
IN_CHANNELS = 3 * LATENT_CHANNELS  # noise | RGB latents | mask latents
#: torch fills 16 numbers at a time, so only draws of a multiple of 16 join up to one long draw:
#: the 4 channels of 4 frames are one, whatever the size.
_NOISE_FRAMES = 4
MAX_LATENT_POSITIONS = 65_535  # above it, an attention launch fails and poisons the CUDA context


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


@dataclass(slots=True)
class Decoded:
    """A group of chunks on its way to the host.

    Attributes:
        alpha: (chunks, frames, H, W) uint8, in host memory once ``ready`` has returned.
        finite: (chunks,) bool, likewise.
    """

    alpha: Any
    finite: Any
    event: Any

    def ready(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Waits for the copy."""
        if self.event is not None:
            self.event.synchronize()
        return self.alpha.numpy(), self.finite.numpy()


class SvdStep:
    """The two models, loaded.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: ``float32``, ``float16`` or ``bfloat16``.
        compile: compile UNet and decoder for the shapes that come.

    Raises:
        ConfigError: the weights do not fit their config, or are no safetensors.
    """

    def __init__(self, vae: Part, unet: Part, *, device: str, dtype: str, compile: bool) -> None:
        import torch
        from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

        self._torch, self._device, self._dtype = torch, device, getattr(torch, dtype)
        self._vae_part = vae
        self._unet = _load(UNetSpatioTemporalConditionModel, unet, "matting.unet", self._dtype)
        self._vae = _load(AutoencoderKLTemporalDecoder, vae, "matting.base_model", self._dtype)
        self._unet.to(device)
        self._vae.to(device)
        self._exact_vae: Any = None
        self._scale = float(self._vae.config.scaling_factor)
        if compile:
            self._unet = torch.compile(self._unet)
            self._vae.decoder = torch.compile(self._vae.decoder)

    def limit_threads(self, threads: int) -> None:
        """On the CPU, the calling thread computes with so many threads: OpenMP counts by caller."""
        if self._device == "cpu":
            self._torch.set_num_threads(threads)

    @property
    def is_exact(self) -> bool:
        """Whether the VAE runs in float32 anyway."""
        return bool(self._dtype == self._torch.float32)

    def encode_frames(self, frames: Frames) -> Any:
        """(n, H, W, 3) RGB to latents (n, 4, H/8, W/8) on the device: the posterior's mode."""
        pixels = self._upload(frames).permute(0, 3, 1, 2)
        return self._encode(pixels.to(self._dtype) / 127.5 - 1)

    def encode_masks(self, masks: Masks) -> Any:
        """(n, H, W) to latents, as a picture of three equal channels in {-1, 1}."""
        pixels = self._upload(masks.view(np.uint8))[:, None].expand(-1, 3, -1, -1)
        return self._encode(pixels.to(self._dtype) * 2 - 1)

    def noise(self, height: int, width: int, seed: int) -> Iterator[Any]:
        """N(0, 1) of frame after frame, without end: (4, height, width) on the device.

        Drawn on the CPU whatever the device, and equal to the frames of one draw for all of them.
        """
        generator = self._torch.Generator().manual_seed(seed)
        shape = (_NOISE_FRAMES, LATENT_CHANNELS, height, width)
        while True:
            drawn = self._torch.randn(shape, generator=generator)
            yield from drawn.to(self._device, self._dtype)

    def denoise(self, windows: list[tuple[Any, Any, Any]]) -> Any:
        """One UNet pass over windows of equal length, each (noise, RGB latents, mask latents).

        Returns float32 latents (windows, frames, 4, h, w).
        """
        torch = self._torch
        batch = torch.stack([torch.cat(window, dim=1) for window in windows])
        ids = torch.tensor([ADDED_TIME_IDS] * len(windows), device=self._device, dtype=self._dtype)
        cross = self._unet.config.cross_attention_dim
        blank = torch.zeros(len(windows), 1, cross, device=self._device, dtype=self._dtype)
        with torch.inference_mode():
            (latents,) = self._unet(
                batch, TIMESTEP, encoder_hidden_states=blank, added_time_ids=ids, return_dict=False
            )
        return latents.float()

    def decode(self, chunks: list[Any], *, exact: bool = False) -> Decoded:
        """Chunks of latents, (frames, 4, h, w) of equal length, to alpha; ``exact``: in float32."""
        torch = self._torch
        vae = self._exact() if exact else self._vae
        frames = chunks[0].shape[0]
        latents = torch.cat(chunks).to(vae.dtype) / self._scale
        with torch.inference_mode():
            (pixels,) = vae.decode(latents, num_frames=frames, return_dict=False)
            shares = (pixels.float() / 2 + 0.5).clamp(0, 1).mean(dim=1)
            shares = shares.reshape(len(chunks), frames, *shares.shape[1:])
            finite = torch.isfinite(shares).flatten(1).all(dim=1)
            # Truncated, as the released script does.
            alpha = (torch.nan_to_num(shares) * 255).to(torch.uint8)
        return self._download(alpha, finite)

    def close(self) -> None:
        """Frees the models; the instance is not used again."""
        del self._unet, self._vae, self._exact_vae
        self.free()

    def free(self) -> None:
        """Gives cached device memory back, after an error or at the end."""
        if self._device != "cpu":
            self._torch.cuda.empty_cache()

    def _encode(self, pixels: Any) -> Any:
        with self._torch.inference_mode():
            (posterior,) = self._vae.encode(pixels, return_dict=False)
            return posterior.mode()

    def _upload(self, array: NDArray[np.uint8]) -> Any:
        tensor = self._torch.from_numpy(np.ascontiguousarray(array))
        if self._device == "cpu":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _download(self, alpha: Any, finite: Any) -> Decoded:
        """Starts the copy to pinned host memory; the device goes on meanwhile."""
        if self._device == "cpu":
            return Decoded(alpha, finite, None)
        torch = self._torch
        host = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in (alpha, finite)]
        for target, tensor in zip(host, (alpha, finite), strict=True):
            target.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return Decoded(host[0], host[1], event)

    def _exact(self) -> Any:
        if self._exact_vae is None:
            _log.warning("decoding again with the VAE in float32")
            from diffusers import AutoencoderKLTemporalDecoder

            loaded = _load(
                AutoencoderKLTemporalDecoder,
                self._vae_part,
                "matting.base_model",
                self._torch.float32,
            )
            self._exact_vae = loaded.to(self._device)
        return self._exact_vae


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


def _load(kind: Any, part: Part, key: str, dtype: Any) -> Any:
    try:
        model = kind.from_pretrained(
            part.folder,
            variant=part.variant,
            torch_dtype=dtype,
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
