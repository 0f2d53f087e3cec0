"""What can be found wrong with a training before its first step, and by what it is known again."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from mav_pipeline.config import RunConfig, TrainConfig
from mav_pipeline.config.parse import unhashed
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import read_run
from mav_pipeline.dataset.card import credits_of
from mav_pipeline.matting.sam2_matte.weights import Weights, find_weights
from mav_pipeline.planning.code import code_version, versions
from mav_pipeline.schema.errors import ConfigError, OutputError, lacks
from mav_pipeline.storage import open_storage

KEY = "train.model"
RANDOM = "random"
#: Settings that reach no weight.
_FREE = ("name", "log_steps", "eval_samples")


@dataclass(frozen=True, slots=True)
class Checked:
    """A training that may begin.

    Attributes:
        about: what ``training.json`` says of it.
        keys: the settings that reach a weight, hashes of data and model: what must not change.
        device, dtype: what ``auto`` came to.
        weights: None for random ones.
    """

    about: dict[str, Any]
    keys: dict[str, Any]
    device: str
    dtype: str
    weights: Weights | None


def check(config: RunConfig) -> Checked:
    """Looks at settings, sets and weights; loads nothing.

    Raises:
        SetupError: one of them is wrong.
    """
    _check_settings(config)
    from mav_pipeline.train.loader.split import RULE

    recipe = config.train
    device, dtype = _resolved(recipe)
    data = [_described(root, config.storage.endpoint_url) for root in recipe.data]
    weights = None if recipe.model == RANDOM else find_weights(recipe.model, KEY)
    sha256 = RANDOM if weights is None else weights.sha256()
    keys = _keys(recipe, device, dtype)
    shares = recipe.shares or (1.0,) * len(data)
    about: dict[str, Any] = {
        "settings": {key.removeprefix("train."): value for key, value in keys.items()},
        "data": [{**one, "share": share} for one, share in zip(data, shares, strict=True)],
        "model": {"from": recipe.model, "sha256": sha256},
        "held_out": {"share": recipe.held_out, "rule": RULE},
        "code_version": code_version(),
        "versions": versions(("torch", "transformers")),
    }
    hashes = {f"train.data[{number}]": one["sha256"] for number, one in enumerate(data)}
    return Checked(about, {**keys, **hashes, KEY: sha256}, device, dtype, weights)


def _check_settings(config: RunConfig) -> None:
    """Raises ConfigError where a setting stands in the way before anything is read."""
    for module in ("torch", "transformers", "webdataset"):
        if find_spec(module) is None:
            raise lacks("mav train", "train")
    if config.runtime.name != "local":
        raise ConfigError("mav train runs in this process: runtime must be local, the default")
    if not config.train.data:
        raise ConfigError(
            "train.data is not set; add train.data=/some/set, a folder or s3:// of `mav build`"
        )


def _resolved(recipe: TrainConfig) -> tuple[str, str]:
    """Device and dtype, what is ``auto`` being asked of the machine."""
    import torch

    there = torch.cuda.is_available()
    if recipe.device == "cuda" and not there:
        raise ConfigError("train.device=cuda, but torch sees no CUDA device; set train.device=cpu")
    device = ("cuda" if there else "cpu") if recipe.device == "auto" else recipe.device
    if device == "cpu":
        torch.set_num_threads(recipe.threads)
    dtype = (
        {"cpu": "float32", "cuda": "bfloat16"}[device] if recipe.dtype == "auto" else recipe.dtype
    )
    return device, dtype


def _keys(recipe: TrainConfig, device: str, dtype: str) -> dict[str, Any]:
    """The settings that reach a weight."""
    hidden = unhashed(type(recipe)) | set(_FREE)
    found = {f"train.{key}": value for key, value in asdict(recipe).items() if key not in hidden}
    return {**found, "train.device": device, "train.dtype": dtype}


def _described(root: str, endpoint_url: str | None) -> dict[str, Any]:
    """What is known of a set: which build made it, who is owed, a hash of its rows."""
    storage = open_storage(root, "train.data", endpoint_url)
    run = read_run(storage)
    if run is None:
        raise OutputError(f"train.data={root} holds no set: it has no {layout.RUN}")
    try:
        rows = storage.read(layout.MANIFEST)
    except FileNotFoundError as error:
        raise OutputError(f"train.data={root} is not finished; `mav build` ends it") from error
    return {
        "fingerprint": run["fingerprint"],
        "sha256": hashlib.sha256(rows).hexdigest(),
        "credits": dict(credits_of(run)),
    }
