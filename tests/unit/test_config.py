"""What a configuration may say, and which of it is part of a build's identity."""

from __future__ import annotations

from typing import Any

import pytest

from mav_pipeline.config import FINGERPRINTED, RunConfig
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.sources.registry import SOURCES
from tests.fakes import config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"source.masklets": "gt"}, "source.masklets must be manual or auto or both, not 'gt'"),
        (
            {"source.name": "sav_eval", "source.masklets": "manual"},
            "source.masklets must be gt, not",
        ),
        ({"source.max_pixels": 0}, "source.max_pixels must be at least 1, not 0"),
        ({"source.max_frames": 0}, "source.max_frames"),
        ({"source.max_bytes": 0}, "source.max_bytes"),
        ({"source.frame_step": 0}, "source.frame_step"),
        ({"source.min_area": -1}, "source.min_area must be at least 0"),
        ({"source.limit": 0}, "source.limit must be at least 1 or null, not 0"),
        ({"source.name": "sav_eval", "source.fps": 0}, "source.fps must be above 0"),
        ({"matting.window": 0}, "matting.window must be at least 1"),
        ({"matting.overlap": 24}, "matting.overlap .* below matting.window, not 24"),
        ({"matting.overlap": -1}, "matting.overlap"),
        ({"matting.threads": 0}, "matting.threads"),
        ({"matting.name": "closed_form", "matting.band": -0.1}, "matting.band must be at least 0"),
        ({"matting.name": "closed_form", "matting.band_min": 0}, "matting.band_min"),
        (
            {"matting.name": "closed_form", "matting.band_min": 5, "matting.band_max": 4},
            "matting.band_max .* matting.band_min",
        ),
        ({"output.clips_per_shard": 0}, "output.clips_per_shard must be at least 1, not 0"),
        ({"output.clips_per_shard": 10_001}, "output.clips_per_shard must be at most 10000"),
        ({"output.alpha": "fffv1"}, "output.alpha must be ffv1 or png; did you mean 'ffv1'"),
        ({"quality.max_failed_fraction": 1.5}, "quality.max_failed_fraction must be at most 1"),
        ({"runtime.num_workers": 0}, "runtime.num_workers must be at least 1 or auto"),
        (
            {"runtime.gpus_per_worker": 1.5},
            "runtime.gpus_per_worker must be a share of one GPU or a whole number, not 1.5",
        ),
        ({"runtime.num_workers": 2}, "runtime.num_workers=2 needs runtime=ray"),
        ({"runtime.max_attempts": 0}, "runtime.max_attempts"),
        ({"runtime.encode_threads": 0}, "runtime.encode_threads"),
        ({"runtime.gpus_per_worker": -1}, "runtime.gpus_per_worker"),
        ({"runtime.retry_wait_s": -1}, "runtime.retry_wait_s"),
        ({"runtime.shard_timeout_s": 0}, "runtime.shard_timeout_s must be above 0"),
        ({"runtime.start_timeout_s": 0}, "runtime.start_timeout_s"),
        ({"sample.width": 65}, "sample.width must be even"),
        ({"sample.kinds": []}, "sample.kinds must be a list of at least one kind"),
        ({"sample.kinds": ["mehs"]}, r"sample.kinds must be soft or .* did you mean 'mesh'"),
        ({"sample.height": 32}, "sample.height must be at least 64"),
    ],
)
def test_a_bad_value_is_refused_by_name(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(overrides)


def test_null_means_no_limit() -> None:
    run = config({"source.limit": None, "runtime.shard_timeout_s": None})
    assert run.source.limit is None
    assert run.runtime.shard_timeout_s is None


def test_a_mapping_and_back_is_the_same_configuration() -> None:
    run = config({"source.include": ["a", "b*"], "matting.name": "closed_form"})
    assert RunConfig.from_mapping(run.to_mapping(), sources=SOURCES, backends=BACKENDS) == run


def test_the_fingerprint_holds_what_reaches_bytes_and_nothing_else() -> None:
    keys = config().fingerprinted()
    groups = {key.split(".")[0] for key in keys}
    assert groups == set(FINGERPRINTED) == {"source", "matting", "quality", "output"}
    unhashed = ("source.root", "output.root", "quality.max_failed_fraction")
    assert not set(keys) & set(unhashed)
    assert {"source.include", "matting.seed", "quality.max_core_loss", "output.rgb"} <= set(keys)
    assert keys["matting.window"] == 24


@pytest.mark.parametrize(
    "overrides",
    [
        {"source.root": "/a"},
        {"output.root": "/a"},
        {"quality.max_failed_fraction": 0.5},
        {"runtime.encode_threads": 3},
        {"verify.deep": True},
        {"sample.seed": 9},
    ],
)
def test_locations_and_the_runtime_leave_the_fingerprint_alone(overrides: dict[str, Any]) -> None:
    assert config(overrides).fingerprinted() == config().fingerprinted()


def test_the_size_rule_takes_the_multiple_of_the_backend() -> None:
    size = config({"matting.size": "native"}).matting.size_rule(64)(100, 130)
    assert (size.height, size.width, size.pad_height, size.pad_width) == (100, 130, 128, 192)
