"""Stable Video Diffusion's VAE and UNet on one device, for a single step: arrays in, arrays out.

Knows nothing of clips, masklets or windows. Constants are those of VideoMaMa's released code.
Latents are float32 throughout, and cast where a model takes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mav_pipeline.matting.videomama.compiled import ByShape
from mav_pipeline.matting.videomama.models import LATENT_CHANNELS, Models
from mav_pipeline.schema import Frames, Masks

TIMESTEP = 1
ADDED_TIME_IDS = (7, 127, 0.0)  # fps, motion bucket, noise augmentation
#: torch fills 16 numbers at a time, so only draws of a multiple of 16 join up to one long draw:
#: the 4 channels of 4 frames are one, whatever the size.
_NOISE_FRAMES = 4

_ENCODE, _DENOISE, _DECODE = range(3)

Rounding = Literal["nearest", "truncate"]


@dataclass(frozen=True, slots=True)
class Buckets:
    """The shapes that are compiled, at every size; all others run as they are.

    Single frames are encoded compiled, and single windows and chunks of full length pass so.

    Attributes:
        window, chunk: frames of a window, and of a chunk with its context.
    """

    window: int
    chunk: int


@dataclass(slots=True)
class Decoded:
    """A group of chunks on its way to the host.

    Attributes:
        alpha: (chunks, frames, H, W) uint8, in host memory once ``ready`` has returned.
        finite: (chunks,) bool, likewise: whether all of the decoder's numbers were.
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
    """The two models on a device. Each stage does ``exact`` in float32, whatever its type is.

    Args:
        models: on the host, as loaded; they are changed, and are this instance's from now on.
        device: ``cpu`` or ``cuda``.
        rounding: of alpha to 8 bits: to the ``nearest``, or ``truncate`` as the released script.
        buckets: what is compiled; None: nothing.
        savings: names in ``exact.SAVINGS``; None: all of them.
    """

    def __init__(
        self,
        models: Models,
        *,
        device: str,
        rounding: Rounding = "nearest",
        buckets: Buckets | None = None,
        savings: Collection[str] | None = None,
    ) -> None:
        import torch

        from mav_pipeline.matting.videomama.exact import SAVINGS, save_work

        self._torch, self._device, self._rounding = torch, device, rounding
        self._vae, self._unet = models.vae.to(device), models.unet.to(device)
        self._dtype = self._unet.dtype
        self._scale = float(self._vae.config.scaling_factor)
        for model in (self._vae, self._unet):
            save_work(model, SAVINGS if savings is None else savings)
        self._buckets = buckets
        self._runs = stages(self._vae, self._unet)
        self._compiled = [ByShape(run) for run in self._runs]

    def limit_threads(self, threads: int) -> None:
        """On the CPU, the calling thread computes with so many threads: OpenMP counts by caller."""
        if self._device == "cpu":
            self._torch.set_num_threads(threads)

    @property
    def is_exact(self) -> bool:
        """Whether all stages run in float32 anyway."""
        return bool(self._dtype == self._torch.float32)

    def encode_frames(self, frames: Frames, *, exact: bool = False) -> Any:
        """(n, H, W, 3) RGB to latents (n, 4, H/8, W/8) on the device: the posterior's mode."""
        pixels = self._upload(frames).permute(0, 3, 1, 2)
        return self._encode(pixels.float() / 127.5 - 1, exact)

    def encode_masks(self, masks: Masks, *, exact: bool = False) -> Any:
        """(n, H, W) to latents, as a picture of three equal channels in {-1, 1}."""
        pixels = self._upload(masks.view(np.uint8))[:, None].expand(-1, 3, -1, -1)
        return self._encode(pixels.float() * 2 - 1, exact)

    def noise(self, height: int, width: int, seed: int) -> Iterator[Any]:
        """N(0, 1) of frame after frame, without end: (4, height, width) on the device.

        Drawn on the CPU whatever the device, and equal to the frames of one draw for all of them.
        """
        generator = self._torch.Generator().manual_seed(seed)
        shape = (_NOISE_FRAMES, LATENT_CHANNELS, height, width)
        while True:
            drawn = self._torch.randn(shape, generator=generator)
            yield from drawn.to(self._device)

    def denoise(self, windows: list[tuple[Any, Any, Any]], *, exact: bool = False) -> Any:
        """One UNet pass over windows of equal length, each (noise, RGB latents, mask latents).

        Returns latents (windows, frames, 4, h, w).
        """
        torch = self._torch
        batch = torch.stack([torch.cat(window, dim=1) for window in windows])
        fits = self._buckets is not None and batch.shape[:2] == (1, self._buckets.window)
        return self._run(_DENOISE, batch, fits=fits, exact=exact).float()

    def decode(self, chunks: list[Any], *, exact: bool = False) -> Decoded:
        """Chunks of latents, (frames, 4, h, w) of equal length, to alpha."""
        torch = self._torch
        latents = torch.stack(chunks) / self._scale
        fits = self._buckets is not None and latents.shape[:2] == (1, self._buckets.chunk)
        pixels = self._run(_DECODE, latents, fits=fits, exact=exact).float()
        with torch.inference_mode():
            finite = torch.isfinite(pixels).flatten(1).all(dim=1)
            shares = (pixels / 2 + 0.5).clamp(0, 1).mean(dim=2)
            levels = torch.nan_to_num(shares) * 255
            alpha = levels.round() if self._rounding == "nearest" else levels
        return self._download(alpha.to(torch.uint8), finite)

    def close(self) -> None:
        """Frees the models; the instance is not used again."""
        del self._unet, self._vae, self._runs, self._compiled
        self.free()

    def free(self) -> None:
        """Gives cached device memory back, after an error or at the end."""
        if self._device != "cpu":
            self._torch.cuda.empty_cache()

    def _encode(self, pixels: Any, exact: bool) -> Any:
        fits = self._buckets is not None and len(pixels) == 1
        pixels = pixels.contiguous()  # a layout of frames and masks alike is one graph for both
        return self._run(_ENCODE, pixels, fits=fits, exact=exact).float()

    def _run(self, stage: int, batch: Any, *, fits: bool, exact: bool) -> Any:
        """A stage, compiled where its batch ``fits`` a bucket."""
        model = self._unet if stage == _DENOISE else self._vae
        with self._torch.inference_mode():
            if exact and not self.is_exact:
                with _in_float32(model, self._dtype):
                    return self._runs[stage](batch.float())
            run = self._compiled[stage] if fits else self._runs[stage]
            return run(batch.to(self._dtype))

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


def stages(vae: Any, unet: Any) -> list[Any]:
    """Encoder, UNet and decoder as functions of one batch each.

    (n, 3, H, W) to (n, 4, h, w); (windows, frames, 12, h, w) to (windows, frames, 4, h, w);
    (chunks, frames, 4, h, w) to (chunks, frames, 3, H, W).
    """
    import torch

    device = unet.device
    step = torch.tensor([TIMESTEP], device=device)
    numbers = torch.tensor([ADDED_TIME_IDS], device=device)
    blank = torch.zeros(1, 1, unet.config.cross_attention_dim, device=device)

    def encode(pixels: Any) -> Any:
        (posterior,) = vae.encode(pixels, return_dict=False)
        return posterior.mode()

    def denoise(batch: Any) -> Any:
        ids, nothing = (
            value.to(batch.dtype).expand(len(batch), *value.shape[1:]) for value in (numbers, blank)
        )
        (latents,) = unet(
            batch, step, encoder_hidden_states=nothing, added_time_ids=ids, return_dict=False
        )
        return latents

    def decode(latents: Any) -> Any:
        shape = latents.shape[:2]
        (pixels,) = vae.decode(latents.flatten(0, 1), num_frames=shape[1], return_dict=False)
        return pixels.unflatten(0, shape)

    return [encode, denoise, decode]


@contextlib.contextmanager
def _in_float32(model: Any, dtype: Any) -> Iterator[None]:
    """A model whose weights are held in float32 for a moment: widened, which loses nothing."""
    import torch

    torch.nn.Module.to(model, dtype=torch.float32)  # diffusers' own ``to`` warns of a cast
    try:
        yield
    finally:
        torch.nn.Module.to(model, dtype=dtype)
