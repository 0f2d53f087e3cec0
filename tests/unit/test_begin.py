"""A build begins once, with what a worker came to; whoever goes on is held to it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.planning.begin import Prepared
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.schema import BackendFacts
from mav_pipeline.schema.errors import OutputError
from tests.checkpoint import write_checkpoint
from tests.fakes import config, write_clip


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Any]:
    """A build with the model, whose device and dtype are ``auto``."""
    base, unet = write_checkpoint(tmp_path / "checkpoint")
    write_clip(tmp_path / "in", "clip_1")
    return {
        "matting.name": "videomama",
        "matting.base_model": str(base),
        "matting.unet": str(unet),
        "source.root": str(tmp_path / "in"),
        "output.root": str(tmp_path / "out"),
    }


def prepared(keys: dict[str, Any], **changes: Any) -> Prepared:
    return prepare(config({**keys, **changes}), writes=True)


def facts(of: Prepared, device: str = "cpu", dtype: str = "float32") -> BackendFacts:
    return BackendFacts({"device": device, "dtype": dtype}, of.weights, {"torch": "1.0"})


def test_what_auto_came_to_is_recorded_and_part_of_the_fingerprint(
    keys: dict[str, Any], tmp_path: Path
) -> None:
    first = prepared(keys)
    assert first.fingerprint is None  # nobody knows yet
    begun = first.begin(facts(first))
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["keys"]["matting.device"], run["keys"]["matting.dtype"]) == ("cpu", "float32")
    assert (begun.config.matting.device, begun.config.matting.dtype) == ("cpu", "float32")  # type: ignore[attr-defined]
    assert begun.stamp.fingerprint == run["fingerprint"]
    other = prepared({**keys, "output.root": str(tmp_path / "other")})
    assert other.begin(facts(other, "cuda", "float16")).stamp != begun.stamp


def test_on_resume_auto_means_what_is_recorded(keys: dict[str, Any]) -> None:
    first = prepared(keys)
    stamp = first.begin(facts(first)).stamp
    again = prepared(keys)
    assert (again.config.matting.device, again.fingerprint) == ("cpu", stamp.fingerprint)  # type: ignore[attr-defined]
    assert again.begin(facts(again)).stamp == stamp
    with pytest.raises(OutputError, match=r'matting\.device: was "cpu", now "cuda"'):
        prepared(keys, **{"matting.device": "cuda"})


def test_a_worker_that_came_to_something_else_is_refused(keys: dict[str, Any]) -> None:
    first = prepared(keys)
    first.begin(facts(first))
    again = prepared(keys)
    with pytest.raises(OutputError, match=r'matting\.dtype: was "float32", now "float16"'):
        again.begin(facts(again, "cpu", "float16"))
    with pytest.raises(OutputError, match=r"a worker has other weights .*weights\.unet: was"):
        again.begin(BackendFacts({}, {**again.weights, "unet": "0" * 64}))


def test_other_versions_of_libraries_are_warned_of(
    keys: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = prepared(keys)
    first.begin(facts(first))
    again = prepared(keys)
    with caplog.at_level(logging.WARNING):
        again.begin(
            BackendFacts({"device": "cpu", "dtype": "float32"}, again.weights, {"torch": "2"})
        )
    assert 'version of torch: was "1.0", now "2"; bytes may differ' in caplog.text
