"""A green CI has run every test that it could: only what it cannot install may be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MAY_LACK

from .console import REPOSITORY

SKIPPED = """
import pytest
@pytest.mark.skipif(True, reason="there is no chromium")
def test_marked(): ...
@pytest.fixture
def mount(): pytest.skip("mounting needs root")
def test_fixture(mount): ...
"""
MODULE = """
import pytest
pytest.importorskip("no_such_module")
"""
ALLOWED = f"""
import pytest
@pytest.mark.parametrize("why", {MAY_LACK!r})
def test_allowed(why): pytest.skip(why)
"""


@pytest.mark.parametrize(("ci", "jobs"), [("true", "0"), ("true", "2"), ("", "0")])
def test_what_ci_skips_for_lack_of_something_fails(tmp_path: Path, ci: str, jobs: str) -> None:
    for name, code in {"skipped": SKIPPED, "module": MODULE, "allowed": ALLOWED}.items():
        (tmp_path / f"test_{name}.py").write_text(code)
    words = ["-p", "tests.conftest", "-n", jobs, "-rA", "--continue-on-collection-errors"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=120,
    )
    *_, last = done.stdout.splitlines()
    skipped = len(MAY_LACK)
    if not ci:
        assert done.returncode == 0, done.stdout
        assert f"{skipped + 3} skipped" in last
        return
    assert done.returncode == 1, done.stdout
    assert f"{skipped} skipped" in last
    for why in ("there is no chromium", "mounting needs root", "could not import 'no_such_module'"):
        assert f"CI may not skip this: {why}" in done.stdout
