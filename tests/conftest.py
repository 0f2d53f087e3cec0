from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from mav_pipeline.dataset.final import finalize
from tests.fakes import build_set, config, moving_box, write_clip

# Hundreds of processes are started here: each would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No test may fail for a slow machine; all else is hypothesis's own, with fixed seeds under CI.
settings.register_profile("no_deadline", parent=settings.default, deadline=None)
settings.load_profile("no_deadline")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One order in all processes, also of parameters that come from a set.

    The slow modules are spread evenly among the quick tests: processes begin with equal shares.
    """
    items.sort(key=lambda item: (item.location[0], item.location[1] or 0, item.nodeid))
    slow = [item for item in items if "integration" in item.location[0]]
    quick = [item for item in items if "integration" not in item.location[0]]
    modules = sorted({item.location[0] for item in slow})
    place = {id(item): number / len(quick) for number, item in enumerate(quick)}
    place |= {id(item): modules.index(item.location[0]) / len(modules) for item in slow}
    items[:] = sorted([*slow, *quick], key=lambda item: place[id(item)])


#: What .ci/run cannot install. In CI, to skip for any other reason is to fail.
MAY_LACK = (
    "there is no CUDA device",
    "the shared data is not here",
    "the shared data is not on this machine",
)

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def strict(report: Report) -> Report:
    """The report, a failure where it is one of a skip that CI does not allow."""
    if os.environ.get("CI") == "true" and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in MAY_LACK:
            report.outcome = "failed"
            report.longrepr = f"CI may not skip this: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return strict((yield))


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


@pytest.fixture
def one_thread() -> Generator[None, None, None]:
    """torch in one thread: sums in one order, and a process that may be forked."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
