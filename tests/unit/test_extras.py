"""A setting that needs what is not installed says which extra, before anything is read."""

from __future__ import annotations

import sys

import pytest

from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.runtime.driver import open_pool
from mav_pipeline.runtime.workers import open_builder
from mav_pipeline.schema.errors import ConfigError
from tests.fakes import config


@pytest.mark.parametrize("missing", ["torch", "diffusers"])
def test_the_model_names_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"matting=videomama needs .* '\.\[videomama\]'"):
        BACKENDS.check_installed("videomama")
    run = config({"matting.name": "videomama", "source.root": ".", "output.root": "out"})
    with pytest.raises(ConfigError, match=r"matting=videomama needs .* '\.\[videomama\]'"):
        open_builder(run)


def test_ray_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mav_pipeline.runtime.ray.pool", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"runtime=ray needs .* '\.\[ray\]'"):
        open_pool(config({"runtime.name": "ray"}))


@pytest.mark.parametrize("missing", ["torch", "webdataset"])
def test_the_loader_names_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mav_pipeline.train.loader")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"needs .* '\.\[train\]'"):
        import mav_pipeline.train.loader  # noqa: F401
