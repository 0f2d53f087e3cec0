"""SAM2-Matte: the first visible mask of an object in, its alpha from there to the clip's end.

    frame -> square -> features, once for all masklets -> a track each -> logits -> alpha

No mask after the first reaches a matte, unless ``matting.trust_absence`` says so. It holds a few
maps a masklet and the alpha of one block, however long the clip is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mav_pipeline.matting.blocks import BLOCK
from mav_pipeline.matting.sam2_matte.config import Sam2MatteConfig
from mav_pipeline.matting.sam2_matte.memory import Features, Memory
from mav_pipeline.matting.sam2_matte.model import Sam2Matte
from mav_pipeline.matting.sam2_matte.weights import Weights, find_weights, load
from mav_pipeline.matting.videomama.models import choose_device
from mav_pipeline.media.masks import at_size, decode_rle
from mav_pipeline.media.sizing import scale, source_size
from mav_pipeline.schema import AlphaFrame, Clip, Frame, Mask, Masklet, Matte, MatteFailure, Seams

_KEY = "matting.model"


@dataclass(slots=True)
class _Track:
    """A masklet under way: what is remembered of it, and alpha from frame ``start`` on."""

    masklet: Masklet
    memory: Memory
    start: int
    alpha: list[AlphaFrame] = field(default_factory=list)
    failed_on: int | None = None


class Sam2MatteBackend:
    """See the module. ``config`` is ``conf/matting/sam2_matte.yaml``."""

    multiple = 1

    def __init__(self, config: Sam2MatteConfig) -> None:
        self._config = config
        self._weights: Weights | None = None
        self._model: Any = None
        self._settings: dict[str, str] = {}

    def identity(self) -> dict[str, str]:
        return {"model": self._found().sha256()}

    def setup(self) -> None:
        import torch

        device = choose_device(self._config.device)
        dtype: str = self._config.dtype
        if dtype == "auto":
            dtype = {"cpu": "float32", "cuda": "bfloat16"}[device]
        self._settings = {"device": device, "dtype": dtype}
        weights = self._found()
        model = load(weights, _KEY).to(device).requires_grad_(False)
        self._model = Sam2Matte(model, weights.rules)
        if device == "cpu":
            torch.set_num_threads(self._config.threads)

    def settings(self) -> dict[str, str]:
        return self._settings

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte | MatteFailure]:
        """Yields blocks of frames at source size, those of all masklets in turn."""
        import torch

        begins = {masklet.name: masklet.visible.index(True) for masklet in masklets}
        tracks: list[_Track] = []
        for number, frame in enumerate(frames):
            new = [masklet for masklet in masklets if begins[masklet.name] == number]
            if new or tracks:
                with torch.inference_mode(), self._precision():
                    features = self._encode(frame[: clip.size.height, : clip.size.width])
                    for track in tracks:
                        self._add(track, clip, number, self._model.step(track.memory, features))
                    tracks += [self._begun(masklet, clip, number, features) for masklet in new]
            for track in tracks:
                if len(track.alpha) == BLOCK or track.failed_on is not None:
                    yield from self._block(track, clip)
            tracks = [track for track in tracks if track.failed_on is None]
        for track in tracks:
            yield from self._block(track, clip)

    def seams(self, masklet: Masklet) -> Seams:
        return Seams()

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self._model = None

    # one frame

    def _encode(self, frame: Frame) -> Features:
        import torch

        size = self._model.size
        square = scale(frame, source_size(size, size))
        pixels = torch.from_numpy(square).permute(2, 0, 1)[None].to(self._settings["device"])
        found: Features = self._model.encode(self._model.normalised(pixels))
        return found

    def _begun(self, masklet: Masklet, clip: Clip, number: int, features: Features) -> _Track:
        import torch

        rle, size = masklet.rles[number], self._model.size
        assert rle is not None
        prompt = torch.from_numpy(prompt_of(decode_rle(rle), size))[None].float()
        logits, memory = self._model.begin(features, prompt.to(self._settings["device"]))
        track = _Track(masklet, memory, number)
        self._add(track, clip, number, logits)
        return track

    def _add(self, track: _Track, clip: Clip, number: int, logits: Any) -> None:
        """Alpha of a frame at source size; logits are scaled, as SAM 2's are, not alpha."""
        import torch
        from torch.nn.functional import interpolate

        size = (clip.height, clip.width)
        whole = interpolate(logits[:, None].float(), size=size, mode="bilinear")[0, 0]
        if not torch.isfinite(whole).all():
            track.failed_on = number
            return
        alpha = (torch.sigmoid(whole) * 255).round().to(torch.uint8).cpu().numpy()
        if self._config.trust_absence and track.masklet.rles[number] is None:
            alpha = np.zeros_like(alpha)
        track.alpha.append(alpha)

    def _block(self, track: _Track, clip: Clip) -> Iterator[Matte | MatteFailure]:
        """The alpha that waits; what it is that failed, where something did."""
        if track.failed_on is not None:
            cause = f"frame {track.failed_on}: the model's output is not finite"
            yield MatteFailure(track.masklet, "not_finite", cause)
        elif track.alpha:
            alpha = np.stack(track.alpha)
            yield Matte(track.masklet, track.start, alpha, source_size(clip.height, clip.width))
            track.start += len(track.alpha)
            track.alpha.clear()

    def _precision(self) -> Any:
        import torch

        low = self._settings["dtype"] == "bfloat16"
        return torch.autocast(self._settings["device"], torch.bfloat16, enabled=low)

    def _found(self) -> Weights:
        if self._weights is None:
            self._weights = find_weights(self._config.model, _KEY)
        return self._weights


def prompt_of(mask: Mask, size: int) -> Mask:
    """(H, W) to (size, size), stretched as frames are; an object too small for that is a pixel."""
    found = at_size(mask, source_size(size, size))
    if not found.any() and mask.any():
        places = np.argwhere(mask).mean(axis=0) * size / mask.shape
        found[int(places[0]), int(places[1])] = True
    return found
