"""VideoMaMa: binary masklets to mattes in one diffusion step, with latents shared and faded.

    frames -> RGB latents, once a frame of the clip \\
    masks  -> mask latents, once a frame of a masklet -> UNet, window by window -> cross-fade
                                                      -> decode, chunk by chunk -> alpha

It goes through time in rounds of windows, all masklets of a round together, and takes frames and
holds latents as those windows need them (``sliding``). Windows overlap and fade in latent space,
so each frame is decoded once; chunks start anew with each span of visible frames. Method:
VideoMaMa, arXiv 2601.14255; constants in ``svd``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from mav_pipeline.matting.videomama.batches import Batches
from mav_pipeline.matting.videomama.config import VideoMaMaConfig
from mav_pipeline.matting.videomama.sliding import Latents, Numbered, SettledChunk, SpanLatents
from mav_pipeline.matting.videomama.spans import Chunk, Span, SpanPlan, Window, covered
from mav_pipeline.matting.videomama.svd import (
    MAX_LATENT_POSITIONS,
    Decoded,
    SvdStep,
    check,
    choose_device,
    choose_dtype,
)
from mav_pipeline.matting.videomama.weights import Part, find_part
from mav_pipeline.media.masks import at_size, decode_rle
from mav_pipeline.schema import Clip, Frame, Masklet, Masks, Matte, MatteFailure, Seams
from mav_pipeline.schema.errors import BackendError

_FACTOR = 8  # pixels a latent
_BLACK_AREA = 64  # mask pixels in a chunk above which a wholly black matte is no matte


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
        self._batches = Batches(config.max_batch)
        self._parts: tuple[Part, Part] | None = None
        self._step: Any = None
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
        self._step = SvdStep(
            *self._found(), device=device, dtype=dtype, compile=self._config.compile
        )
        if self._config.compile:  # clips of this size find it compiled; others pay once a size
            self._try_batch(self._config.max_batch)

    def settings(self) -> dict[str, str]:
        return self._settings

    def largest_batch(self, most: int = 64) -> int:
        """The largest power of two of whole windows that the device takes at once, 0 for none.

        Tried for real, on zeros; after ``setup``.
        """
        import torch

        fits, size = 0, 1
        while size <= most:
            try:
                self._try_batch(size)
            except torch.OutOfMemoryError:
                break
            finally:
                self._step.free()
            fits, size = size, size * 2
        return fits

    def _try_batch(self, size: int) -> None:
        """Whole windows and chunks of zeros, of the size of ``matting.width`` x ``height``."""
        rule = self._config.size_rule(self.multiple)
        whole = rule(self._config.height, self._config.width)
        height, width = whole.pad_height // _FACTOR, whole.pad_width // _FACTOR
        noise = next(self._step.noise(height, width, self._config.seed))
        zeros = noise.new_zeros((self._config.window, *noise.shape))
        latents = self._step.denoise([(zeros, zeros, zeros)] * size)
        self._step.decode([latents[0, : self._config.decode_chunk]] * size).ready()

    def notes(self) -> tuple[str, ...]:
        limit, wanted = self._batches.limit, self._config.max_batch
        return (
            () if limit == wanted else (f"out of device memory: batches of {limit}, not {wanted}",)
        )

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
        height, width = _latent_size(clip)
        if height * width > MAX_LATENT_POSITIONS:
            cause = f"{height} x {width} latents are above the model's {MAX_LATENT_POSITIONS}"
            raise BackendError("latent_limit", f"{cause}; use matting.size=fit")
        spans = [span for masklet in masklets for span in self._plan.spans(masklet)]
        rgb = Latents(self._encode_frames(frames, spans))
        yield from self._decode(clip, self._denoise(clip, rgb, spans))

    # latents

    def _encode_frames(self, frames: Iterator[Frame], spans: Sequence[Span]) -> Numbered:
        """RGB latents of every frame that some span has; no frame is taken after the last one."""
        taken = 0
        for first, last in covered(spans):
            run = islice(frames, first - taken, last - taken)
            encoded = self._batches.run(
                run, lambda group: list(self._step.encode_frames(np.stack(group)))
            )
            yield from zip(range(first, last), encoded, strict=True)
            taken = last

    def _encode_masks(self, clip: Clip, span: Span) -> Numbered:
        frames = range(span.first, span.last)
        encoded = self._batches.run(
            frames,
            lambda group: list(self._step.encode_masks(_masks(clip, span.masklet, group))),
        )
        return zip(frames, encoded, strict=True)

    def _denoise(
        self, clip: Clip, rgb: Latents, spans: Sequence[Span]
    ) -> Iterator[tuple[list[SettledChunk], bool]]:
        """By round of windows: the chunks that it settles, by time, and whether a span goes on."""
        begun: dict[tuple[str, int], SpanLatents] = {}

        def run(group: list[Window]) -> list[Any]:
            inputs = []
            for window in group:
                noise, masks = begun[window.span.key].inputs(window)
                inputs.append((noise, rgb.cut(window.first, window.last), masks))
            return list(self._step.denoise(inputs))

        for first, windows in self._plan.rounds(spans):
            rgb.drop(first)
            for window in windows:
                if window.first == window.span.first:
                    begun[window.span.key] = self._begin(clip, window.span)
            outputs = self._batches.run(windows, run, key=lambda window: window.frames)
            settled: list[SettledChunk] = []
            for window, output in zip(windows, outputs, strict=True):
                settled += begun[window.span.key].add(window, output)
                if window.settled == window.span.last:
                    del begun[window.span.key]
            yield sorted(settled, key=lambda item: item.chunk.first), bool(begun)

    def _begin(self, clip: Clip, span: Span) -> SpanLatents:
        noise = enumerate(self._step.noise(*_latent_size(clip), self._config.seed), span.first)
        return SpanLatents(noise, self._encode_masks(clip, span), self._plan.chunks(span))

    # alpha

    def _decode(
        self, clip: Clip, rounds: Iterator[tuple[list[SettledChunk], bool]]
    ) -> Iterator[Matte | MatteFailure]:
        """Alpha chunk by chunk; one group is copied to the host while the next one is computed.

        But none waits where no span goes on: the next frame that matters may be an hour away, and
        the caller holds those under alpha to come.
        """
        failed: set[str] = set()
        waiting: deque[tuple[list[SettledChunk], Decoded]] = deque()

        def run(group: list[SettledChunk]) -> list[tuple[list[SettledChunk], Decoded]]:
            return [(group, self._step.decode([item.latents for item in group]))]

        for settled, goes_on in rounds:
            for item in self._batches.run(settled, run, key=lambda item: len(item.latents)):
                waiting.append(item)
                if len(waiting) > 1:
                    yield from self._finished(clip, *waiting.popleft(), failed)
            while waiting and not goes_on:
                yield from self._finished(clip, *waiting.popleft(), failed)

    def _finished(
        self, clip: Clip, group: Sequence[SettledChunk], decoded: Decoded, failed: set[str]
    ) -> Iterator[Matte | MatteFailure]:
        alphas, finite = decoded.ready()
        for settled, alpha, is_finite in zip(group, alphas, finite, strict=True):
            chunk, masklet = settled.chunk, settled.chunk.span.masklet
            if masklet.name in failed:
                continue
            wrong = _wrong(chunk, alpha, bool(is_finite))
            if wrong and not self._step.is_exact:
                again, is_finite_now = self._step.decode([settled.latents], exact=True).ready()
                alpha, wrong = again[0], _wrong(chunk, again[0], bool(is_finite_now[0]))
            if wrong:
                failed.add(masklet.name)
                where = f"frames {chunk.first} to {chunk.last - 1}"
                yield MatteFailure(masklet, wrong, f"{where}: the model's output is {wrong}")
                continue
            skip = chunk.first - chunk.context_first
            yield Matte(
                masklet, chunk.first, alpha[skip : skip + chunk.last - chunk.first], clip.size
            )

    # planning

    def _found(self) -> tuple[Part, Part]:
        if self._parts is None:
            self._parts = (
                find_part(self._config.base_model, "vae", "matting.base_model", self._endpoint_url),
                find_part(self._config.unet, "unet", "matting.unet", self._endpoint_url),
            )
        return self._parts


def _latent_size(clip: Clip) -> tuple[int, int]:
    return clip.size.pad_height // _FACTOR, clip.size.pad_width // _FACTOR


def _masks(clip: Clip, masklet: Masklet, frames: Sequence[int]) -> Masks:
    """(n, H, W) masks at working size; empty where the masklet is invisible."""
    masks = np.zeros((len(frames), clip.size.pad_height, clip.size.pad_width), np.bool_)
    for row, frame in enumerate(frames):
        rle = masklet.rles[frame]
        if rle is not None:
            masks[row] = at_size(decode_rle(rle), clip.size)
    return masks


def _wrong(chunk: Chunk, alpha: Any, is_finite: bool) -> str | None:
    """``not_finite`` or ``black``, or None for a matte that may be one."""
    if not is_finite:
        return "not_finite"
    rles = chunk.span.masklet.rles[chunk.first : chunk.last]
    area = max((rle.area for rle in rles if rle is not None), default=0)
    return "black" if area >= _BLACK_AREA and not alpha.any() else None
