from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mav_pipeline.cli import load_config
from mav_pipeline.synthetic import render
from tests import seaweed

from .console import mav, shard_bytes
from .head import Head, running_head

CHEAP = ("matting=binary", "quality.scores=basic", "report.enabled=false", "runtime.retry_wait_s=0")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered corpus: 6 clips of 192x144, 10 annotated frames each, without fine structure."""
    root = tmp_path_factory.mktemp("corpus")
    settings = ("sample.clips=6", "sample.frames=40", "sample.width=192", "sample.height=144")
    kinds = "sample.kinds=[hairy,soft,sheer,blurred]"
    render(root, load_config((*settings, kinds)).sample)
    return root


@pytest.fixture(scope="session")
def build_args(corpus: Path) -> tuple[str, ...]:
    """Overrides of the build that tests compare: 3 shards of 2 clips."""
    return (f"source.root={corpus / 'sav_train'}", "output.clips_per_shard=2")


@pytest.fixture(scope="session")
def undisturbed(
    build_args: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """The output of a build that nobody disturbed, and its shard bytes."""
    root = tmp_path_factory.mktemp("undisturbed") / "out"
    done = mav("build", *build_args, f"output.root={root}", "--json")
    assert done.code == 0, done.stderr
    return root, shard_bytes(root)


@pytest.fixture(scope="session")
def binary_args(build_args: tuple[str, ...]) -> tuple[str, ...]:
    """Where what is hurt is the writing and the running, all else may be cheap."""
    return (*build_args, *CHEAP)


@pytest.fixture(scope="session")
def expected(
    binary_args: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Shard bytes of a binary build that nobody disturbed, from a folder into a folder."""
    root = tmp_path_factory.mktemp("binary") / "out"
    assert mav("build", *binary_args, f"output.root={root}").code == 0
    return shard_bytes(root)


@pytest.fixture(scope="session")
def server() -> Iterator[seaweed.Server]:
    """A real S3 server; each module has a bucket of its own."""
    with seaweed.running() as started:
        yield started


@pytest.fixture(scope="session")
def head() -> Iterator[Head]:
    """A real head with a dashboard and a metrics port."""
    with running_head() as started:
        yield started
