"""The loader where a trainer meets it: a real S3 server, the README's lines, the example."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mav_pipeline.schema.errors import OutputError
from mav_pipeline.train.loader import MatteDataset
from tests import proxy, seaweed

from .console import REPOSITORY

pytest.importorskip("boto3")
# From Python 3.12 on a fork beside threads warns; torch's default is a fork all the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture(scope="module")
def stored(server: seaweed.Server, undisturbed: tuple[Path, Any]) -> seaweed.Server:
    """The server with a bucket that holds the undisturbed set."""
    root, _ = undisturbed
    client = server.client()
    seaweed.make_bucket(client, "loader")
    for path in root.rglob("*.*"):
        client.upload_file(str(path), "loader", f"set/{path.relative_to(root)}")
    client.close()
    return server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in seaweed.ENV.items():
        monkeypatch.setenv(key, value)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_from_s3_what_lies_in_the_folder(
    stored: seaweed.Server, undisturbed: tuple[Path, Any], context: str
) -> None:
    settings: dict[str, Any] = {"frames": 3, "size": (64, 64), "seed": 5}
    there = MatteDataset("s3://loader/set", endpoint_url=stored.endpoint_url, **settings)
    here = {(s["key"], s["masklet"]): s for s in MatteDataset(undisturbed[0], **settings)}
    loader = DataLoader(there, None, num_workers=2, multiprocessing_context=context)
    count = 0
    for sample in loader:
        other = here[sample["key"], sample["masklet"]]
        for name in ("frames", "alpha", "mask", "frame_indices"):
            np.testing.assert_array_equal(sample[name].numpy(), other[name])
        count += 1
    assert count == len(here) == len(there)


def test_a_server_that_drops_and_fails_changes_nothing(stored: seaweed.Server) -> None:
    with proxy.running(stored.endpoint_url, proxy.Faults(rate=0.3, seed=2)) as hurt:
        dataset = MatteDataset("s3://loader/set", endpoint_url=hurt.endpoint_url, frames=2)
        assert len([*dataset]) == len(dataset)
        assert sum(hurt.faulted.values()) > 3


def test_a_bucket_without_a_set_is_refused(stored: seaweed.Server) -> None:
    with pytest.raises(OutputError, match="s3://loader/other holds no set"):
        MatteDataset("s3://loader/other", endpoint_url=stored.endpoint_url)


def python(*words: str, cwd: Path) -> str:
    """Runs a script to its end, as after ``pip install``; its output."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore:This DataLoader:UserWarning", *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lines_of_the_readme_run(undisturbed: tuple[Path, Any], tmp_path: Path) -> None:
    (tmp_path / "mav-out").symlink_to(undisturbed[0])
    readme = (REPOSITORY / "README.md").read_text()
    section = readme.partition("## Train on it")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    seen = python("-c", f"{code}\nprint(next(iter(data))['frames'].shape)", cwd=tmp_path)
    assert "torch.Size([4, 8, 256, 256, 3])" in seen


@pytest.mark.timeout(900)  # four commands, each with its own limit
def test_the_readme_leads_from_a_clone_to_training(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for name in ("mav_pipeline", "conf", "examples", "scripts"):
        shutil.copytree(REPOSITORY / name, clone / name)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "README.md"):
        shutil.copy2(REPOSITORY / name, clone)  # with its time: nothing is newer than .venv
    (clone / ".venv").symlink_to(Path(sys.prefix))
    stamp, *files = (clone / name for name in (".venv/.core", "pyproject.toml", "constraints.txt"))
    newest = max(file.stat().st_mtime for file in files)
    assert stamp.stat().st_mtime >= newest, "run `make setup`: make would install this copy"
    readme = (clone / "README.md").read_text()
    commands = [
        line.removeprefix("$ ").partition("  #")[0].strip()
        for section in ("## Two commands", "## Train on it")
        for block in re.findall(
            r"^```console\n(.*?)^```",
            readme.partition(section)[2].partition("\n## ")[0],
            re.MULTILINE | re.DOTALL,
        )
        for line in block.splitlines()
    ]
    assert commands[0] == "make build-mav"
    install, load, train, export = commands[-4:]
    assert install == ".venv/bin/pip install -c constraints.txt -e '.[train]'"  # make setup did
    # What make train runs once that is installed, here for a few steps.
    assert train == 'make train ARGS="train=tiny"'
    steps = ".venv/bin/mav train train.data=mav-out train.root=mav-train train=tiny train.steps=3"
    # What the make that runs the tests was told is not for these.
    env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "ARGS")}
    again = "make build-mav"  # a sample that is there stays as it is, and so does the set
    for command in (commands[0], again, f".venv/bin/{export}", steps, load):
        done = subprocess.run(
            command, shell=True, cwd=clone, env=env, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
    assert "loss" in done.stdout
    assert (clone / "mav-out" / "report" / "index.html").stat().st_size > 10_000


def test_the_example_trains(undisturbed: tuple[Path, Any], tmp_path: Path) -> None:
    script = str(REPOSITORY / "examples" / "train_loader.py")
    lines = python(script, str(undisturbed[0]), "--epochs=3", cwd=tmp_path).splitlines()
    losses = [float(line.rpartition(" ")[2]) for line in lines]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
