from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from mav_pipeline.dataset.final import finalize
from tests.fakes import build_set, config, moving_box, write_clip

# No test may fail for a slow machine; all else is hypothesis's own, with fixed seeds under CI.
settings.register_profile("no_deadline", parent=settings.default, deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of SA-V train, read-only: three good ones, a corrupt one, an unannotated one."""
    root = tmp_path_factory.mktemp("small_source")
    for number in range(1, 4):
        write_clip(root / "sav_000", f"sav_{number:06d}", {0: moving_box(3), 2: moving_box(3)})
    write_clip(root / "sav_000", "sav_000004").write_bytes(b"no video")
    video = write_clip(root / "sav_001", "sav_000005")
    video.with_name("sav_000005_manual.json").unlink()
    return root


@pytest.fixture(scope="session")
def _small_set(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small_set") / "out"
    overrides = {"source.root": str(small_source), "output.root": str(root)}
    finalize(build_set(config({**overrides, "output.clips_per_shard": 2})))
    return root


@pytest.fixture
def small_set(_small_set: Path, tmp_path: Path) -> Path:
    """A finished set of ``small_source`` in 3 shards, this test's own to damage."""
    copy = tmp_path / "small_set"
    shutil.copytree(_small_set, copy)
    return copy
