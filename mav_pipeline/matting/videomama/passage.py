"""One clip on its way through the models, stage by stage; see ``backend`` for the whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from mav_pipeline.matting.videomama.batches import Batches, Room
from mav_pipeline.matting.videomama.memory import Limits
from mav_pipeline.matting.videomama.repair import Repair
from mav_pipeline.matting.videomama.sliding import Latents, Numbered, SettledChunk, SpanLatents
from mav_pipeline.matting.videomama.spans import Chunk, Span, SpanPlan, Window, covered
from mav_pipeline.matting.videomama.svd import Decoded
from mav_pipeline.media.masks import at_size, decode_rle
from mav_pipeline.schema import Clip, Frame, Masklet, Masks, Matte, MatteFailure

FACTOR = 8  # pixels a latent
_BLACK_AREA = 64  # mask pixels in a chunk above which a wholly black matte is no matte

_RGB = None  # where a masklet's name stands, for what all masklets share


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round of windows settles, by time, and whether a span goes on after it."""

    settled: list[SettledChunk]
    goes_on: bool


class Passage:
    """See the module.

    Args:
        step: the models.
        plan: how spans are cut.
        limits: items through each stage at once, at this clip's size.
        seed: of the noise.
    """

    def __init__(
        self, clip: Clip, step: Any, plan: SpanPlan, limits: Limits, room: Room, seed: int
    ) -> None:
        self._clip, self._step, self._plan, self._room = clip, step, plan, room
        self._limits, self._seed = limits, seed
        self._repair = Repair(room, is_exact=step.is_exact)
        self._lost: dict[tuple[str | None, int], str] = {}  # frames without latents: of what stage
        self._failures: dict[str, MatteFailure] = {}
        self._told: set[str] = set()

    def mattes(
        self, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte | MatteFailure]:
        """Blocks of alpha in time order, masklets interleaved; a failure is told once."""
        spans = [span for masklet in masklets for span in self._plan.spans(masklet)]
        rounds = self._denoise(Latents(self._encode_frames(frames, spans)), spans)
        waiting: deque[tuple[list[SettledChunk], Decoded]] = deque()
        # One group is copied to the host while the next one is computed. But none waits where no
        # span goes on: the next frame that matters may be an hour away, and the caller holds those
        # under alpha to come.
        for found in rounds:
            yield from self._new_failures()
            batches = Batches(self._limits.chunks)
            for item in batches.run(found.settled, self._decode, key=lambda i: len(i.latents)):
                waiting.append(item)
                if len(waiting) > 1:
                    yield from self._finished(*waiting.popleft())
            while waiting and not found.goes_on:
                yield from self._finished(*waiting.popleft())

    # latents

    def _encode_frames(self, frames: Iterator[Frame], spans: Sequence[Span]) -> Numbered:
        """RGB latents of every frame that some span has; no frame is taken after the last one."""
        taken = 0
        for first, last in covered(spans):
            run = enumerate(islice(frames, first - taken, last - taken), first)
            yield from Batches(self._limits.frames).run(run, self._encode_rgb)
            taken = last

    def _encode_rgb(self, group: list[tuple[int, Frame]]) -> list[tuple[int, Any]]:
        numbers, frames = zip(*group, strict=True)
        found = self._repair.run(self._step.encode_frames, np.stack(frames))
        return self._numbered(_RGB, numbers, found, "encoding RGB")

    def _encode_masks(self, masklet: Masklet, frames: list[int]) -> list[tuple[int, Any]]:
        masks = _masks(self._clip, masklet, frames)
        found = self._repair.run(self._step.encode_masks, masks)
        return self._numbered(masklet.name, frames, found, "encoding masks")

    def _numbered(
        self, of: str | None, frames: Sequence[int], found: Sequence[tuple[Any, bool]], stage: str
    ) -> list[tuple[int, Any]]:
        pairs = [*zip(frames, found, strict=True)]
        self._lost |= {(of, frame): stage for frame, (_, is_finite) in pairs if not is_finite}
        return [(frame, latents) for frame, (latents, _) in pairs]

    def _denoise(self, rgb: Latents, spans: Sequence[Span]) -> Iterator[_Round]:
        begun: dict[tuple[str, int], SpanLatents] = {}
        for first, windows in self._plan.rounds(spans):
            rgb.drop(first)
            for window in windows:
                if window.first == window.span.first and self._is_well(window.span):
                    begun[window.span.key] = self._begin(window.span)
            settled: list[SettledChunk] = []
            batches = Batches(self._limits.windows)
            run = partial(self._denoise_group, begun, rgb)
            for window, output in batches.run(windows, run, key=lambda window: window.frames):
                if not self._is_well(window.span):  # an earlier window of the round failed it
                    continue
                settled += begun[window.span.key].add(window, output)
                if window.settled == window.span.last:
                    del begun[window.span.key]
            for key in [key for key in begun if key[0] in self._failures]:
                del begun[key]
            yield _Round(sorted(settled, key=lambda item: item.chunk.first), bool(begun))

    def _denoise_group(
        self, begun: dict[tuple[str, int], SpanLatents], rgb: Latents, group: list[Window]
    ) -> list[tuple[Window, Any]]:
        """What comes out of the windows whose frames all have latents, those of others failed."""
        inputs = []
        for window in group:
            if not self._is_well(window.span):
                continue
            noise, masks = begun[window.span.key].inputs(window)
            parts = noise, rgb.cut(window.first, window.last), masks
            if not self._has_lost(window):
                inputs.append((window, parts))
        if not inputs:
            return []
        found = self._repair.run(self._step.denoise, [parts for _, parts in inputs])
        outputs = []
        for (window, _), (output, is_finite) in zip(inputs, found, strict=True):
            if is_finite:
                outputs.append((window, output))
            else:
                self._fail(window.span.masklet, "the UNet", window.first, window.last)
        return outputs

    def _has_lost(self, window: Window) -> bool:
        """Whether a frame of it has no latents; its masklet failed then."""
        masklet = window.span.masklet
        for frame in range(window.first, window.last):
            for of in (_RGB, masklet.name):
                if (of, frame) in self._lost:
                    self._fail(masklet, self._lost[of, frame], frame, frame + 1)
                    return True
        return False

    def _begin(self, span: Span) -> SpanLatents:
        height, width = latent_size(self._clip)
        noise = enumerate(self._step.noise(height, width, self._seed), span.first)
        encode = partial(self._encode_masks, span.masklet)
        masks = Batches(self._limits.frames).run(range(span.first, span.last), encode)
        return SpanLatents(noise, masks, self._plan.chunks(span))

    # alpha

    def _decode(self, group: list[SettledChunk]) -> list[tuple[list[SettledChunk], Decoded]]:
        latents = [item.latents for item in group]
        return [(group, self._room.call(partial(self._step.decode, latents)))]

    def _finished(
        self, group: Sequence[SettledChunk], decoded: Decoded
    ) -> Iterator[Matte | MatteFailure]:
        alphas, finite = decoded.ready()
        for settled, alpha, is_finite in zip(group, alphas, finite, strict=True):
            chunk, masklet = settled.chunk, settled.chunk.span.masklet
            if not self._is_well(chunk.span):
                continue
            wrong = _wrong(chunk, alpha, bool(is_finite))
            if wrong and not self._step.is_exact:
                run = partial(self._step.decode, [settled.latents], exact=True)
                again, is_finite_now = self._room.call(run).ready()
                alpha, wrong = again[0], _wrong(chunk, again[0], bool(is_finite_now[0]))
            if wrong:
                self._fail(masklet, "the decoder", chunk.first, chunk.last, wrong)
                continue
            skip = chunk.first - chunk.context_first
            kept = alpha[skip : skip + chunk.last - chunk.first]
            yield Matte(masklet, chunk.first, kept, self._clip.size)
        yield from self._new_failures()

    # failures

    def _is_well(self, span: Span) -> bool:
        return span.masklet.name not in self._failures

    def _fail(
        self, masklet: Masklet, stage: str, first: int, last: int, reason: str = "not_finite"
    ) -> None:
        where = f"frames {first} to {last - 1}" if last - first > 1 else f"frame {first}"
        what = "black" if reason == "black" else "not finite"
        cause = f"{where}: what {stage} gives is {what}, in float32 too"
        self._failures.setdefault(masklet.name, MatteFailure(masklet, reason, cause))

    def _new_failures(self) -> Iterator[MatteFailure]:
        for name, failure in [*self._failures.items()]:
            if name not in self._told:
                self._told.add(name)
                yield failure


def latent_size(clip: Clip) -> tuple[int, int]:
    """(height, width) of a frame's latents."""
    return clip.size.pad_height // FACTOR, clip.size.pad_width // FACTOR


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
