"""A place may be named with any characters, on the command line and through make."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.cli import load_config
from mav_pipeline.config.compose import composed
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.sources.registry import SOURCES

REPOSITORY = Path(__file__).resolve().parent.parent.parent
ODD = ["/data/für Maß", "/a=b", "/a,b", "/a (1)", "/it's", "/a#b", "/a&b", "/a{b", "/a[1]", "/a\\"]
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@pytest.mark.parametrize("place", ODD)
@pytest.mark.parametrize("key", ["source.root", "output.root", "storage.endpoint_url"])
def test_a_place_is_taken_as_it_is_written(key: str, place: str) -> None:
    group, name = key.split(".")
    assert getattr(getattr(load_config([f"{key}={place}"]), group), name) == place


@given(NAMES.filter(lambda name: "${" not in name))
def test_so_is_any_path(name: str) -> None:
    data = composed([f"source.root=/{name}"], (SOURCES, BACKENDS))
    assert data["source"]["root"] == f"/{name}"


@pytest.mark.parametrize(
    ("word", "root"),
    [
        ("source.root='/a,b'", "/a,b"),
        ('source.root="/a b"', "/a b"),
        ("source.root=null", None),
        ("source.root=${output.root}/in", "/out/in"),
    ],
)
def test_quotes_null_and_other_keys_mean_what_they_did(word: str, root: str | None) -> None:
    assert load_config([word, "output.root=/out"]).source.root == root


def test_another_text_that_means_nothing_to_hydra_is_taken_as_it_is_too() -> None:
    include = load_config(["source.include=clip (1)"]).source.include
    assert include == ("clip (1)",)
    assert load_config(["source.include=[a,b]"]).source.include == ("a", "b")


@pytest.mark.parametrize("place", ODD)
def test_make_passes_a_place_on(place: str, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    told = tmp_path / "told"
    stub = tmp_path / "mav"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {told}\n')
    stub.chmod(0o755)
    words = ["make", "-s", "-o", "needs", "build-mav", f"BIN={tmp_path}", f"SRC={place}"]
    done = subprocess.run(
        [*words, f"OUT={place}.out"],
        cwd=REPOSITORY,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = told.read_text().splitlines()
    assert lines[:3] == ["build", f"source.root={place}", f"output.root={place}.out"]
    assert lines.count(f"output.root={place}.out") == 3
