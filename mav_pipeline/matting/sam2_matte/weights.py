"""SAM 2's weights: found in a folder or on the hub, loaded at an image size, or random and tiny.

Only ``config.json``, ``matte.json`` and ``model.safetensors`` are looked at, never a pickle.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mav_pipeline.matting.hub import is_hub_id, snapshot
from mav_pipeline.matting.sam2_matte.rules import FILE, Rules
from mav_pipeline.schema.errors import ConfigError

MODEL_TYPE = "sam2_video"
WEIGHTS = "model.safetensors"
#: An image is cut into patches of that many pixels; the tiny model's windows want no more.
PATCH = 16


@dataclass(frozen=True, slots=True)
class Weights:
    """A model on the local disk.

    Attributes:
        folder: holds ``config.json`` and ``model.safetensors``.
        config: the parsed ``config.json``.
        rules: how its logits are read.
    """

    folder: Path
    config: Mapping[str, Any]
    rules: Rules

    @property
    def size(self) -> int:
        """Both sides of the images that it was made for."""
        return int(self.config.get("image_size", 1024))

    def sha256(self) -> str:
        """Of weights and rules; remembered, for gigabytes take seconds."""
        stat = (self.folder / WEIGHTS).stat()
        return _sha256(self.folder, stat.st_size, stat.st_mtime_ns)


def find_weights(location: str | None, key: str) -> Weights:
    """The model at a location, downloaded if need be.

    Args:
        location: local folder or hub id.
        key: the setting that ``location`` comes from, for messages.

    Raises:
        ConfigError: it is unset, not there, holds no safetensors, or is another model.
    """
    if not location:
        raise ConfigError(
            f"{key} is not set; name a folder or hub id that holds a SAM 2 video model: "
            f"config.json and {WEIGHTS}"
        )
    folder = Path(location).expanduser()
    if not folder.is_dir():
        folder = _download(location, key)
    for name in ("config.json", WEIGHTS):
        if not (folder / name).is_file():
            found = sorted(path.name for path in folder.iterdir())
            raise ConfigError(
                f"{key}={location} must hold config.json and {WEIGHTS}; found {found}; weights as "
                "pickles (.pt, .bin) are not loaded: save them by transformers' save_pretrained"
            )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rules = Rules.of(folder)
        kind = config.get("model_type")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{key}={location}: {error}") from error
    if kind not in (MODEL_TYPE, "sam2"):
        raise ConfigError(
            f"{key}={location} is of model_type={kind!r}, {MODEL_TYPE!r} is wanted: a SAM 2 model "
            "of transformers, such as facebook/sam2.1-hiera-base-plus"
        )
    return Weights(folder, config, rules)


def load(weights: Weights, key: str, size: int | None = None) -> Any:
    """The ``Sam2VideoModel`` in float32 on the CPU, in evaluation mode.

    Args:
        key: the setting that the weights come from, for messages.
        size: both sides of its images, a multiple of 16; None leaves them as they are.

    Raises:
        ConfigError: the weights are not those of the config.
    """
    from safetensors import SafetensorError
    from transformers import Sam2VideoConfig, Sam2VideoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # it would run through the live view
    try:
        config = Sam2VideoConfig.from_pretrained(weights.folder)
        if size is not None:
            _resize(config, size)
        model, found = Sam2VideoModel.from_pretrained(
            weights.folder, config=config, use_safetensors=True, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ConfigError(f"{key}={weights.folder} cannot be loaded: {error}") from error
    if lacking := sorted(found["missing_keys"]):
        raise ConfigError(f"{key}={weights.folder} lacks weights, {lacking[0]} among them")
    return model.eval()


def save(model: Any, folder: Path) -> None:
    """Writes ``config.json`` and ``model.safetensors``, however large, as one file."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model.save_pretrained(folder, max_shard_size="1000GB")


def random_model(size: int, seed: int) -> Any:
    """A tiny ``Sam2VideoModel`` of random weights, for trials: 0.7 million parameters.

    Args:
        size: both sides of its images, a multiple of 16.
    """
    import torch
    from transformers import Sam2VideoConfig, Sam2VideoModel

    config = Sam2VideoConfig(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 16,
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [16, 32, 64, 128],
                "num_attention_heads_per_stage": [1, 1, 2, 4],
                "window_size_per_stage": [4, 4, 4, 2],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [128, 64, 32, 16],
            "fpn_hidden_size": 128,
        },
        prompt_encoder_config={"hidden_size": 128},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 128, "iou_head_hidden_dim": 64},
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=128,
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=128,
    )
    _resize(config, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Sam2VideoModel(config).eval()


def _resize(config: Any, size: int) -> None:
    """Vision, prompt and rope sizes together, as one image size asks."""
    if size % PATCH:
        raise ValueError(f"sides of images must be multiples of {PATCH}, not {size}")
    config.image_size = config.prompt_encoder_config.image_size = size
    vision = config.vision_config
    vision.backbone_config.image_size = [size, size]
    vision.backbone_feature_sizes = [[size // cut, size // cut] for cut in (4, 8, PATCH)]
    config.memory_attention_rope_feat_sizes = [size // PATCH, size // PATCH]


def _download(location: str, key: str) -> Path:
    if not is_hub_id(location):
        raise ConfigError(f"{key}={location} is neither a folder that exists nor a hub id")
    wanted = ("config.json", FILE, WEIGHTS)
    return snapshot(location, key, wanted, lambda folder: (folder / WEIGHTS).is_file())


@functools.lru_cache(maxsize=8)
def _sha256(folder: Path, size: int, mtime_ns: int) -> str:
    with (folder / WEIGHTS).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    if (folder / FILE).is_file():
        digest.update((folder / FILE).read_bytes())
    return digest.hexdigest()
