"""The output is not where the driver looks: found before the first clip, and nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mav_pipeline.storage import open_storage
from tests import seaweed

from .conftest import CHEAP
from .console import fresh, mav, shard_bytes
from .head import ENV
from .space import head_in_space, small_file_system

ARGS = ("output.clips_per_shard=2", *CHEAP)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, as a share that was mounted on one node alone."""
    with small_file_system(tmp_path / "share", 16) as root:
        yield root


def test_an_output_that_is_not_mounted_on_the_workers(mounted: Path, corpus: Path) -> None:
    root = mounted / "out"
    words = (*ARGS, f"source.root={corpus / 'sav_train'}", f"output.root={root}")
    with head_in_space([f"umount {mounted}"], cpus=1) as address:
        done = fresh("build", *words, "runtime=ray", f"runtime.address={address}", env=ENV)
    assert done.code == 2, done.stderr
    assert f"output.root={root} on " in done.stderr
    assert "mount one file system at this path on every node" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(root.iterdir()) == [], "nothing was written"


def test_a_key_that_the_server_rewrites(server: seaweed.Server, corpus: Path) -> None:
    client = server.client()
    seaweed.make_bucket(client, "place")
    root = "s3://place/a//b"
    words = (*ARGS, f"source.root={corpus / 'sav_train'}", f"output.root={root}")
    url = f"storage.endpoint_url={server.endpoint_url}"
    done = mav("build", *words, url, env=seaweed.ENV)
    assert done.code == 2, done.stderr
    assert "stores it under another key" in done.stderr
    assert not client.list_objects_v2(Bucket="place").get("Contents")


def test_an_output_below_its_source_is_none_of_it(
    corpus: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "sav_train"
    shutil.copytree(corpus / "sav_train", source)
    root = source / "made" / "out"
    words = ("build", *ARGS, f"source.root={source}", f"output.root={root}")
    assert mav(*words).code == 0
    for name in ("index.json", "shards/mav-000001.json"):
        (root / name).unlink()
    done = mav(*words, "--json")
    assert done.code == 0, done.stderr
    assert "made/out" not in str(done.json["passed_over"]), "nor is it passed over with a word"
    assert shard_bytes(root) == expected


def test_a_prefix_below_its_source_is_none_of_it(
    server: seaweed.Server, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in seaweed.ENV.items():
        monkeypatch.setenv(key, value)
    client = server.client()
    seaweed.make_bucket(client, "below")
    for key in ("in/a.mp4", "in/out/shards/mav-000000.tar", "in/output.mp4"):
        client.put_object(Bucket="below", Key=key, Body=b"x")
    source = open_storage(
        "s3://below/in", "source.root", server.endpoint_url, besides="s3://below/in/out/"
    )
    assert [entry.name for entry in source.inputs()] == ["a.mp4", "output.mp4"]
