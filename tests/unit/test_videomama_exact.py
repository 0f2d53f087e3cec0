"""Exact savings: the same numbers as diffusers' own modules, each alone and all together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.model_memory import full_size
from mav_pipeline.matting.videomama import exact
from mav_pipeline.matting.videomama.models import Models, load
from mav_pipeline.matting.videomama.svd import SvdStep, stages
from mav_pipeline.matting.videomama.weights import find_part
from tests.checkpoint import write_checkpoint

ALL = tuple(exact.SAVINGS)
EACH = pytest.mark.parametrize("savings", [*((name,) for name in ALL), ALL], ids="+".join)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    base, unet = write_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    parts = find_part(str(base), "vae", "base"), find_part(str(unet), "unet", "unet")
    found = load(*parts, "float32")
    torch.manual_seed(1)
    for model in (found.vae, found.unet):
        for module in model.modules():
            if hasattr(module, "mix_factor"):  # as made, they blend by a half everywhere
                nn.init.normal_(module.mix_factor)
    return found


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No head of a small model is so wide that it goes in parts."""
    monkeypatch.setattr(exact, "WIDEST_FUSED_HEAD", 16)
    monkeypatch.setattr(exact, "QUERIES", 5)


def outputs(models: Models, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 32, 48), (2, 5, 12, 4, 6), (2, 3, 4, 4, 6), (1, 1, 4, 6, 4)]
    runs = [*stages(models.vae, models.unet)]
    with torch.inference_mode():
        return [
            run(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype))
            for run, shape in zip([*runs, runs[2]], shapes, strict=True)
        ]


def changed(models: Models, savings: Sequence[str], dtype: torch.dtype) -> Models:
    found = Models(*(copy.deepcopy(model) for model in (models.vae, models.unet)))
    for model in (found.vae, found.unet):
        nn.Module.to(model, dtype)
        exact.save_work(model, savings)
    return found


@EACH
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float64, 1e-13), (torch.float32, 3e-5)], ids=["float64", "float32"]
)
def test_the_numbers_are_those_of_the_plain_modules(
    savings: Sequence[str], dtype: torch.dtype, limit: float, models: Models
) -> None:
    plain = outputs(changed(models, (), dtype), dtype)
    for found, expected in zip(outputs(changed(models, savings, dtype), dtype), plain, strict=True):
        assert found.dtype == dtype
        assert float((found - expected).abs().max() / expected.abs().max()) < limit


@pytest.mark.parametrize("name", ["cross"])
def test_what_is_left_out_leaves_every_bit(name: str, models: Models) -> None:
    plain, found = (
        outputs(changed(models, names, torch.float32), torch.float32)[1] for names in ((), (name,))
    )
    assert torch.equal(plain, found)


def test_every_saving_finds_what_it_is_for(models: Models) -> None:
    kinds: dict[str, type[Any]] = {
        "blend": exact.Blended,
        "temporal": exact.TemporalConvolution,
        "upsample": exact.Upsampled,
        "cross": exact.ZeroTokenAttention,
    }
    for name, kind in kinds.items():
        found = changed(models, (name,), torch.float32)
        assert any(isinstance(module, kind) for module in found.unet.modules()), name
    vae = changed(models, ALL, torch.float32).vae
    (decoding,) = vae.decoder.mid_block.attentions
    assert decoding.processor.queries == 5
    assert hasattr(decoding, "to_qkv")
    assert vae.encoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_no_name_is_passed_over(models: Models) -> None:
    with pytest.raises(AssertionError):
        changed(models, ("upsampel",), torch.float32)


def tflop(savings: Sequence[str], stage: int, *shape: int) -> float:
    """An item of the batch through a stage of the full-size models, counted."""
    models = full_size()
    for model in (models.vae, models.unet):
        exact.save_work(model, savings)
        nn.Module.to(model, "meta", torch.bfloat16)
    run = stages(models.vae, models.unet)[stage]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run(torch.empty(shape, device="meta", dtype=torch.bfloat16))
    return counter.get_total_flops() / 1e12


def test_the_work_saved_at_full_size_is_what_was_counted() -> None:
    decode = [tflop(names, 2, 1, 1, 4, 72, 128) for names in ((), ("upsample",))]
    assert decode[0] == pytest.approx(6.94, abs=0.02)
    assert decode[0] - decode[1] == pytest.approx(0.87, abs=0.02)
    denoise = [tflop(names, 1, 1, 24, 12, 72, 128) / 24 for names in ((), ("cross",))]
    assert denoise[0] == pytest.approx(3.20, abs=0.02)
    assert denoise[0] - denoise[1] == pytest.approx(0.12, abs=0.01)


def test_a_step_takes_fewer_savings_for_a_measurement(models: Models) -> None:
    plain, saved = (
        SvdStep(changed(models, (), torch.float32), device="cpu", savings=savings)
        for savings in ((), None)
    )
    frames = np.random.default_rng(0).integers(0, 255, (2, 32, 48, 3), np.uint8)
    latents = [step.encode_frames(frames) for step in (plain, saved)]
    assert torch.allclose(*latents, atol=1e-4)
    assert not any(isinstance(m, exact.Upsampled) for m in plain._vae.modules())
    assert any(isinstance(m, exact.Upsampled) for m in saved._vae.modules())
