"""A package of somebody else's adds a backend and a source, and no file here is touched."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.fakes import moving_box, write_clip

from .console import fresh as mav
from .console import shard_bytes
from .head import ENV

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which their wheel is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--wheel-dir", str(folder), str(PLUGIN)]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return {"PYTHONPATH": str(folder / "site"), **ENV}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for number in (1, 2):
        write_clip(root, f"clip_{number}", {0: moving_box(3), 7: moving_box(3, top=20)})
    return root


@pytest.fixture(scope="module")
def words(clips: Path) -> tuple[str, ...]:
    chosen = ("source=their_clips", "source.flavour=sour", "matting=theirs", "matting.opacity=1")
    return (*chosen, f"source.root={clips}", "output.clips_per_shard=1", "report.enabled=false")


def test_their_backend_and_source_build_a_set(
    theirs: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    out = f"output.root={tmp_path / 'out'}"
    done = mav("build", *words, out, "--json", env=theirs)
    assert done.code == 0, done.stderr
    assert done.json["masklets"] == {"accepted": 2, "rejected": 0, "skipped": 0, "failed": 2}
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["keys"]["matting.opacity"], run["keys"]["source.flavour"]) == (1.0, "sour")
    assert run["weights"] == {"theirs": "ab" * 32}
    assert run["versions"]["theirs"] == "1.0"
    table = pq.ParquetFile(tmp_path / "out" / "manifest.parquet").read().to_pylist()
    assert {tuple(row["reasons"]) for row in table if row["status"] == "failed"} == {("unlucky",)}
    card = (tmp_path / "out" / "README.md").read_text()
    for credit in ("Their Licence", "Them: Their Paper", "Them: Their Clips"):
        assert credit in card
    assert "Stability" not in card
    assert "VideoMaMa" not in card
    assert mav("verify", out, "verify.deep=true", env=theirs).code == 0
    assert mav("build", out, env=theirs).code == 0
    refused = mav("build", *words, "matting.opacity=0.5", out, env=theirs)
    assert (refused.code, "matting.opacity: was 1.0, now 0.5" in refused.stderr) == (2, True)


def test_ray_workers_build_the_same_bytes(
    theirs: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    ray = ("runtime=ray", "runtime.num_workers=1")
    for name, more in (("local", ()), ("ray", ray)):
        done = mav("build", *words, *more, f"output.root={tmp_path / name}", env=theirs)
        assert done.code == 0, done.stderr
    assert shard_bytes(tmp_path / "local") == shard_bytes(tmp_path / "ray")


def test_whoever_lacks_the_package_still_reads_the_set(
    theirs: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    out = f"output.root={tmp_path / 'out'}"
    assert mav("build", *words, out, env=theirs).code == 0
    for verb in ("status", "verify", "report", "regate"):
        assert mav(verb, out, *(("regate.name=a",) if verb == "regate" else ())).code == 0, verb
    refused = mav("build", out)
    assert refused.code == 2
    assert "there is no source=their_clips" in refused.stderr


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("matting=thiers", "did you mean 'theirs'"),
        ("matting=misnamed", "calls itself 'theirs'"),
        ("matting=broken", "cannot be imported"),
        ("matting.opacity=2", "matting.opacity must be at most 1"),
        ("matting.opacty=1", "did you mean 'matting.opacity'"),
    ],
)
def test_a_slip_is_named(
    theirs: dict[str, str], words: tuple[str, ...], tmp_path: Path, choice: str, message: str
) -> None:
    done = mav("build", *words, choice, f"output.root={tmp_path / 'out'}", env=theirs)
    assert done.code == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
