"""VideoMaMa: binary masklets to mattes in one diffusion step, with latents shared and faded.

    frames -> RGB latents, once a frame of the clip \\
    masks  -> mask latents, once a frame of a masklet -> UNet, window by window -> cross-fade
                                                      -> decode, chunk by chunk -> alpha

It goes through time in rounds of windows, all masklets of a round together, and takes frames and
holds latents as those windows need them (``passage``, ``sliding``). Windows overlap and fade in
latent space, so each frame is decoded once; chunks start anew with each span of visible frames.
Method: VideoMaMa, arXiv 2601.14255; constants in ``svd``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mav_pipeline.matting.videomama import memory
from mav_pipeline.matting.videomama.batches import Room
from mav_pipeline.matting.videomama.config import VideoMaMaConfig
from mav_pipeline.matting.videomama.memory import Limits, Stages, Weight
from mav_pipeline.matting.videomama.models import check, choose_device, choose_dtype, load
from mav_pipeline.matting.videomama.passage import FACTOR, Passage, latent_size
from mav_pipeline.matting.videomama.spans import SpanPlan
from mav_pipeline.matting.videomama.svd import Buckets, SvdStep
from mav_pipeline.matting.videomama.weights import Part, find_part
from mav_pipeline.schema import Clip, Frame, Masklet, Matte, MatteFailure, Seams
from mav_pipeline.schema.errors import BackendError, ConfigError

_log = logging.getLogger(__name__)


class VideoMaMaBackend:
    """See the module.

    Args:
        config: ``conf/matting/videomama.yaml``.
        endpoint_url: of an S3-compatible server that holds the weights.
    """

    def __init__(self, config: VideoMaMaConfig, endpoint_url: str | None = None) -> None:
        self._config, self._endpoint_url = config, endpoint_url
        self._plan = SpanPlan(
            window=config.window,
            overlap=config.overlap,
            chunk=config.decode_chunk,
            context=config.decode_overlap,
        )
        self._room = Room(self._free)
        self._parts: tuple[Part, Part] | None = None
        self._step: Any = None
        self._weight: Weight | None = None
        self._settings: dict[str, str] = {}

    @property
    def multiple(self) -> int:
        return check(*self._found())

    def identity(self) -> dict[str, str]:
        vae, unet = self._found()
        check(vae, unet)
        return {"vae": vae.sha256(), "unet": unet.sha256()}

    def setup(self) -> None:
        check(*self._found())
        device = choose_device(self._config.device)
        dtype = choose_dtype(self._config.dtype, device)
        self._settings = {"device": device, "dtype": dtype}
        models = load(*self._found(), dtype)
        self._weight = memory.weight_of(models.vae, models.unet)
        if device == "cuda":
            self._check_room()
        self._step = SvdStep(
            models,
            device=device,
            rounding=self._config.rounding,
            buckets=Buckets(self._config.window, self._chunk) if self._config.compile else None,
        )

    def settings(self) -> dict[str, str]:
        return self._settings

    def largest_batch(self, most: int = 64) -> int:
        """The largest power of two for ``max_batch`` that the device takes, 0 for none.

        Tried for real, on zeros of the size of ``matting.width`` x ``height``; after ``setup``.
        Above what ``matting.memory_gb`` allows nothing is tried, for nothing would change.
        """
        rule = self._config.size_rule(self.multiple)
        whole = rule(self._config.height, self._config.width)
        height, width = whole.pad_height // FACTOR, whole.pad_width // FACTOR
        fits, size, before = 0, 1, None
        while size <= most:
            limits = self._limits(height * width, size)
            if limits == before or not self._takes(limits, height, width):
                break
            fits, size, before = size, size * 2, limits
        return fits

    def notes(self) -> tuple[str, ...]:
        times = self._room.retried
        return (f"out of device memory: freed and tried again, {times} times",) if times else ()

    def close(self) -> None:
        step, self._step = self._step, None
        if step is not None:
            step.close()

    def seams(self, masklet: Masklet) -> Seams:
        return self._plan.seams(masklet)

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte | MatteFailure]:
        self._step.limit_threads(self._config.threads)
        height, width = latent_size(clip)
        positions = height * width
        if positions > memory.MAX_GRID:
            cause = f"{height} x {width} latents are above the model's {memory.MAX_GRID}"
            raise BackendError("latent_limit", f"{cause}; use matting.size=fit")
        if self._settings["device"] == "cuda":
            wanting = memory.too_large(self._stages(positions), self._left())
            if wanting is not None:
                size = f"{clip.size.pad_width}x{clip.size.pad_height}"
                raise BackendError("device_memory", self._no_room(wanting, size))
        limits = self._limits(positions, self._config.max_batch)
        passage = Passage(clip, self._step, self._plan, limits, self._room, self._config.seed)
        yield from passage.mattes(frames, masklets)

    # memory

    def _limits(self, positions: int, most: int) -> Limits:
        stages, left = self._stages(positions), self._left()
        # Compiled, one of each at a time: one shape a stage and size. Each fills a GPU by itself.
        return memory.limits_of(stages, left, positions, 1 if self._config.compile else most)

    def _stages(self, positions: int) -> Stages:
        assert self._weight is not None
        return memory.stages_of(self._weight, positions, self._config.window, self._chunk)

    def _left(self) -> float:
        assert self._weight is not None
        return memory.budget(self._weight, self._config.memory_gb)

    @property
    def _chunk(self) -> int:
        """Frames of a chunk with its context."""
        return self._plan.chunk + 2 * self._plan.context

    def _check_room(self) -> None:
        """The device is as large as it is said to be, and that is enough.

        Raises:
            ConfigError: it is not.
        """
        import torch

        wanted, there = self._config.memory_gb, torch.cuda.mem_get_info()[1] / 1e9
        if there < wanted:
            raise ConfigError(
                f"matting.memory_gb={wanted:g}, but the device has {there:.1f} GB; set "
                f"matting.memory_gb={int(there)}, which the set will be held to"
            )
        sizes = {
            "fit": self._config.max_pixels,
            "stretch": self._config.width * self._config.height,
            "native": self.multiple**2,
        }
        pixels = sizes[self._config.size]
        cause = memory.too_large(self._stages(pixels // FACTOR**2), self._left())
        if cause is not None:
            raise ConfigError(self._no_room(cause, f"{pixels} pixels"))

    def _no_room(self, cause: str, size: str) -> str:
        return (
            f"at {size} {cause}, of matting.memory_gb={self._config.memory_gb:g}; raise it, or "
            "lower matting.max_pixels, matting.decode_chunk or matting.window"
        )

    def _takes(self, limits: Limits, height: int, width: int) -> bool:
        """Whether the device does what ``limits`` allow; an error of CUDA says that it does not."""
        try:
            self._try(limits, height, width)
            self._step.free()
        except RuntimeError as error:
            # Out of memory, a launch that is refused, a library without a plan: torch has no class
            # for all of them. None of it can be the model's own, which one item has gone through.
            _log.warning("%s do not fit: %s", limits, str(error).partition("\n")[0])
            return False
        return True

    def _try(self, limits: Limits, height: int, width: int) -> None:
        """Whole windows and chunks, and frames, of zeros."""
        pixels = np.zeros((limits.frames, FACTOR * height, FACTOR * width, 3), np.uint8)
        self._step.encode_frames(pixels)
        noise = next(self._step.noise(height, width, self._config.seed))
        zeros = noise.new_zeros((self._config.window, *noise.shape))
        latents = self._step.denoise([(zeros, zeros, zeros)] * limits.windows)
        chunk = latents[0, : self._config.decode_chunk]
        self._step.decode([chunk] * limits.chunks).ready()

    def _free(self) -> None:
        self._step.free()

    # weights

    def _found(self) -> tuple[Part, Part]:
        if self._parts is None:
            self._parts = (
                find_part(self._config.base_model, "vae", "matting.base_model", self._endpoint_url),
                find_part(self._config.unet, "unet", "matting.unet", self._endpoint_url),
            )
        return self._parts
