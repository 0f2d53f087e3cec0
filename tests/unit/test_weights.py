"""Weights: found, checked and named before anything loads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mav_pipeline.matting.videomama.models import check
from mav_pipeline.matting.videomama.weights import find_part, require
from mav_pipeline.schema.errors import ConfigError


def write_part(root: Path, name: str, file: str, **config: object) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / file).write_bytes(b"weights")
    return root


def test_the_half_precision_file_is_preferred(tmp_path: Path) -> None:
    write_part(tmp_path, "vae", "diffusion_pytorch_model.safetensors")
    assert find_part(str(tmp_path), "vae", "matting.base_model").variant is None
    write_part(tmp_path, "vae", "diffusion_pytorch_model.fp16.safetensors")
    part = find_part(str(tmp_path), "vae", "matting.base_model")
    assert (part.variant, part.file.name) == ("fp16", "diffusion_pytorch_model.fp16.safetensors")


def test_the_hash_follows_the_bytes(tmp_path: Path) -> None:
    write_part(tmp_path, "vae", "diffusion_pytorch_model.safetensors")
    part = find_part(str(tmp_path), "vae", "matting.base_model")
    before = part.sha256()
    part.file.write_bytes(b"other weights")
    assert part.sha256() != before


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        (None, "matting.unet is not set"),
        ("/no/such/folder", "neither a folder that exists nor s3:// nor a hub id"),
        ("./relative", "neither a folder that exists nor s3:// nor a hub id"),
    ],
)
def test_a_location_that_is_none_is_refused(location: str | None, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        find_part(location, "unet", "matting.unet")


@pytest.mark.parametrize("missing", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_partial_weights_are_refused_by_what_is_there(tmp_path: Path, missing: str) -> None:
    write_part(tmp_path, "unet", "diffusion_pytorch_model.safetensors")
    (tmp_path / "unet" / missing).unlink()
    with pytest.raises(ConfigError, match=r"unet/ must hold config.json and one of .* found \['"):
        find_part(str(tmp_path), "unet", "matting.unet")


def test_a_pickle_is_no_weights(tmp_path: Path) -> None:
    write_part(tmp_path, "unet", "diffusion_pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        find_part(str(tmp_path), "unet", "matting.unet")


def test_another_model_is_refused_with_found_and_wanted(tmp_path: Path) -> None:
    write_part(tmp_path, "unet", "diffusion_pytorch_model.safetensors", in_channels=8)
    part = find_part(str(tmp_path), "unet", "matting.unet")
    with pytest.raises(ConfigError, match="has in_channels=8, 12 is wanted"):
        require(part, "matting.unet", {"in_channels": 12})


def test_sides_are_multiples_of_what_vae_and_unet_halve(tmp_path: Path) -> None:
    vae = {"_class_name": "AutoencoderKLTemporalDecoder", "latent_channels": 4}
    unet = {
        "_class_name": "UNetSpatioTemporalConditionModel",
        "in_channels": 12,
        "out_channels": 4,
        "down_block_types": ["a", "b", "c", "d"],
    }
    file = "diffusion_pytorch_model.safetensors"
    write_part(tmp_path, "vae", file, **vae, block_out_channels=[128, 256, 512, 512])
    write_part(tmp_path, "unet", file, **unet)
    parts = (find_part(str(tmp_path), name, "key") for name in ("vae", "unet"))
    assert check(*parts) == 64
