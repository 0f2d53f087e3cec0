"""``mav export`` as a user meets it: a set goes out and is a source again; its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .console import mav


@pytest.fixture(scope="module")
def root(undisturbed: tuple[Path, dict[str, str]]) -> Path:
    return undisturbed[0]


def test_a_set_built_from_an_export_has_the_same_masklets(root: Path, tmp_path: Path) -> None:
    words = (
        "export",
        f"output.root={root}",
        f"export.root={tmp_path}/val",
        "export.format=sav_val",
    )
    done = mav(*words, "--json")
    assert done.code == 0, done.stderr
    assert done.json["clips"] == 6
    source = (f"source.root={tmp_path}/val", "source=sav_eval", f"output.root={tmp_path}/out")
    again = mav("build", *source, "quality.enabled=false", "--json")
    assert again.code == 0, again.stderr
    assert again.json["masklets"]["accepted"] == done.json["masklets"]
    assert mav("verify", f"output.root={tmp_path}/out", "verify.deep=true").code == 0
    repeated = mav(*words, "--json").json
    assert (repeated["there"], repeated["files"]) == (6, 0)


def test_a_slip_ends_with_2_and_a_way_out(root: Path, tmp_path: Path) -> None:
    for words, hint in (
        ((), "export.root is not set"),
        ((f"export.root={root}",), "name a new or an empty folder"),
        ((f"export.root={tmp_path}/x", "export.format=vide"), "did you mean 'videomama'?"),
        ((f"export.root={tmp_path}/x", "export.gate=none"), "has no gates/none.parquet"),
    ):
        done = mav("export", f"output.root={root}", *words)
        assert done.code == 2, done.stderr
        assert hint in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_read_is_a_finding(root: Path, tmp_path: Path) -> None:
    tar, *others = sorted((root / "shards").glob("*.tar"))
    copy = tmp_path / "out"
    for path in root.rglob("*"):
        if path.is_file() and path != tar:
            (copy / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(root)).write_bytes(path.read_bytes())
    done = mav("export", f"output.root={copy}", f"export.root={tmp_path}/x", "--json")
    assert done.code == 1, done.stderr
    assert list(done.json["problems"]) == ["mav-000000"]
    assert done.json["clips"] == 2 * len(others)
