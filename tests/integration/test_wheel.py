"""The wheel alone is enough: configuration and templates travel in it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from .console import REPOSITORY, fresh


def test_an_installed_wheel_builds_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(REPOSITORY)]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {"PYTHONPATH": str(site)}
    where = [sys.executable, "-c", "import mav_pipeline; print(mav_pipeline.__file__)"]
    env_whole = {**os.environ, **env}
    imported = subprocess.run(where, cwd=elsewhere, env=env_whole, capture_output=True, text=True)
    assert imported.stdout.startswith(str(site))
    small = ("sample.clips=1", "sample.frames=8", "sample.width=96", "sample.height=64")
    done = fresh("sample", "sample.root=s", *small, cwd=elsewhere, env=env)
    assert done.code == 0, done.stderr
    done = fresh("build", "source.root=s", "output.root=out", cwd=elsewhere, env=env)
    assert done.code == 0, done.stderr
    assert (elsewhere / "out" / "report" / "index.html").stat().st_size > 1000
    assert (elsewhere / "out" / "README.md").read_text().startswith("---")
