"""VideoMaMa where numbers overflow: found at each stage, made again in float32, or told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mav_pipeline.matting.videomama.svd import SvdStep
from mav_pipeline.schema import Matte, MatteFailure
from tests.checkpoint import write_checkpoint
from tests.fakes import mattes
from tests.videomama import Counting, Tracing, alphas, apart, boxes, clip_of, opened


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


LAYOUT = {"window": 6, "overlap": 2, "decode_chunk": 3, "decode_overlap": 1, "max_batch": 1}


class Overflows(Tracing):
    """A fake model in half precision: what a stage gives of some items is no number.

    Args:
        stage: the method that overflows.
        at: which of its items do, counted from 0.
        heals: whether float32 helps.
    """

    is_exact = False

    def __init__(
        self, step: Any, stage: str, at: set[int], *, heals: bool, value: float = float("nan")
    ) -> None:
        super().__init__(step)
        self._stage, self._at, self._heals, self._value = stage, at, heals, value
        self._seen = 0
        self.again = list[str]()

    def _hit(self, stage: str, count: int, exact: bool) -> list[int]:
        """Which of so many items overflow."""
        self.again += [stage] * (count * exact)
        if stage != self._stage or exact:
            return [] if self._heals or stage != self._stage else [*range(count)]
        self._seen += count
        return [n for n in range(count) if self._seen - count + n in self._at]

    def _spoilt(self, stage: str, found: Any, exact: bool) -> Any:
        for index in self._hit(stage, len(found), exact):
            found[index, ..., 0] = self._value
        return found

    def encode_frames(self, frames: Any, *, exact: bool = False) -> Any:
        return self._spoilt("encode_frames", super().encode_frames(frames), exact)

    def encode_masks(self, masks: Any, *, exact: bool = False) -> Any:
        return self._spoilt("encode_masks", super().encode_masks(masks), exact)

    def denoise(self, windows: Any, *, exact: bool = False) -> Any:
        return self._spoilt("denoise", super().denoise(windows), exact)

    def decode(self, chunks: Any, *, exact: bool = False) -> Any:
        decoded = super().decode(chunks)
        for index in self._hit("decode", len(chunks), exact):
            decoded.finite[index] = False
        return decoded


HIT = {"encode_frames": 9, "encode_masks": 9, "denoise": 5, "decode": 9}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("stage", HIT)
def test_only_what_failed_is_made_again_in_float32(
    stage: str, value: float, checkpoint: tuple[Path, Path]
) -> None:
    shown = boxes(30)
    clip = clip_of(30, [shown])
    backend = opened(checkpoint, **LAYOUT)
    whole = Tracing(backend._step)
    step = Overflows(backend._step, stage, {HIT[stage], 2}, heals=True, value=value)
    backend._step = whole
    expected = alphas(backend, clip, [shown])
    backend._step = step
    assert apart(alphas(backend, clip, [shown])["manual_000"], expected["manual_000"]) == 0
    assert step.again == [stage, stage]


@pytest.mark.parametrize(
    ("stage", "at", "cause"),
    [
        # The items of two masklets take turns, but for frames, which are shared.
        ("encode_frames", 9, "frame 9: what encoding RGB"),
        ("encode_masks", 12, "frame 6: what encoding masks"),
        ("denoise", 10, "frames 20 to 25: what the UNet"),
        ("decode", 18, "frames 27 to 29: what the decoder"),
    ],
)
def test_what_stays_broken_fails_one_masklet_once_and_names_the_stage(
    stage: str, at: int, cause: str, checkpoint: tuple[Path, Path]
) -> None:
    shown = [boxes(30, number) for number in range(2)]
    if stage == "encode_frames":
        shown[1] = _until(shown[1], 6)
    clip = clip_of(30, shown)
    backend = opened(checkpoint, **LAYOUT)
    backend._step = Overflows(backend._step, stage, {at}, heals=False)
    found = [*mattes(backend, clip, shown)]
    (failure,) = [one for one in found if isinstance(one, MatteFailure)]
    assert failure.masklet == shown[0]
    assert failure.reason == "not_finite"
    assert failure.cause == f"{cause} gives is not finite, in float32 too"
    other = [one for one in found if isinstance(one, Matte) and one.masklet == shown[1]]
    assert sum(len(one.alpha) for one in other) == (6 if stage == "encode_frames" else 30)


def _until(masklet: Any, last: int) -> Any:
    rles = tuple(rle if frame < last else None for frame, rle in enumerate(masklet.rles))
    return type(masklet)(masklet.name, masklet.id, masklet.kind, rles)


def test_a_wholly_black_matte_of_a_visible_object_is_none(checkpoint: tuple[Path, Path]) -> None:
    class Black(Counting):
        is_exact = False

        def decode(self, chunks: Any, *, exact: bool = False) -> Any:
            decoded = self._step.decode(chunks)
            decoded.alpha = torch.zeros_like(decoded.alpha)
            return decoded

    shown = boxes(4)
    backend = opened(checkpoint, decode_chunk=2)
    backend._step = Black(backend._step)
    (failure,) = mattes(backend, clip_of(4, [shown]), [shown])
    assert isinstance(failure, MatteFailure)
    assert (failure.masklet, failure.reason) == (shown, "black")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_the_decoder_is_looked_at_before_its_numbers_are_clamped(
    value: float, checkpoint: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    step: SvdStep = opened(checkpoint)._step
    latents = torch.zeros(2, 4, 4, 6)
    _, finite = step.decode([latents, latents]).ready()
    assert finite.tolist() == [True, True]

    def overflowing(batch: Any) -> Any:
        pixels = torch.zeros(2, 2, 3, 32, 48)
        pixels[1, 0, 2, 5, 7] = value
        return pixels

    monkeypatch.setattr(step, "_runs", [None, None, overflowing])
    _, finite = step.decode([latents, latents]).ready()
    assert finite.tolist() == [True, False]


def test_half_precision_that_overflows_for_real_is_healed(checkpoint: tuple[Path, Path]) -> None:
    """Weights of the decoder so large that their sums pass what float16 holds, 65,504."""
    shown = boxes(3)
    clip = clip_of(3, [shown])
    found = {}
    for dtype in ("float32", "float16"):
        backend = opened(checkpoint, dtype=dtype)
        vae = backend._step._vae
        vae.decoder.conv_in.weight.data *= 1e5
        found[dtype] = alphas(backend, clip, [shown])["manual_000"].astype(int)
        assert {p.dtype for p in vae.parameters()} == {getattr(torch, dtype)}  # narrow again
    assert found["float32"].std() > 5
    assert np.abs(found["float32"] - found["float16"]).mean() < 1
