"""What a source passes over is told by plan, build, status and report, and by the set itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.cli import main
from mav_pipeline.dataset.built import BuiltSet, recorded
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.schema.passed_over import PASSED_OVER, PassedOver, PassingOver
from mav_pipeline.storage import LocalStorage
from tests.fakes import write, write_clip

TOLD = {
    "unknown": {"count": 12, "names": [f"n{number:02d}.txt" for number in range(10)]},
    "packed": {"count": 1, "names": ["b.tar.gz"]},
}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """What a command prints as JSON, and for people."""
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out.splitlines()[-1]), err


def test_every_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    write_clip(root, "a")
    write(root / "b.tar.gz", b"?")
    for number in range(12):
        write(root / f"n{number:02d}.txt", b"?")
    places = (f"source.root={root}", f"output.root={out}", "matting=binary")
    told = "passed_over  12 unknown (n00.txt, "
    for verb in ("plan", "build", "status", "plan", "build"):
        words = places if verb != "status" else places[1:2]
        found, text = run(capsys, verb, *words)
        assert found["passed_over"] == TOLD, verb
        assert told in text
        assert "n09.txt, ...), 1 packed (b.tar.gz)" in text
        if verb == "status":  # from now on the set's record is what is told
            (root / "n11.txt").unlink()
    page = (out / "report" / "index.html").read_text()
    assert "What the source passed over" in page
    assert "<code>packed</code></td><td>1</td>" in page
    assert json.loads((out / "run.json").read_text())["source"]["passed_over"] == TOLD


def test_a_root_without_clips_says_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "sav_000.tgz", b"?")
    assert main(["plan", f"source.root={tmp_path}/in", f"output.root={tmp_path}/out"]) == 2
    said = capsys.readouterr().err
    assert "holds no clips" in said
    assert "passed over: 1 packed (sav_000.tgz)" in said


def test_an_older_set_says_nothing_and_a_damaged_one_is_refused(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    assert built.report().passed_over == recorded(built.run)
    assert recorded({"source": {"root": "x"}}) == PassedOver() == recorded({})
    for wrong in ([], {"unknown": 3}, {"unknown": {"count": "many"}}):
        with pytest.raises(OutputError, match=r"source\.passed_over of run\.json"):
            recorded({"source": {"passed_over": wrong}})


def test_reasons_are_of_the_table() -> None:
    passing = PassingOver()
    with pytest.raises(AssertionError, match="in no table"):
        passing.add("because", "x")
    for reason in PASSED_OVER:
        passing.add(reason.slug, "x")
    assert passing.result().counts == {reason.slug: 1 for reason in PASSED_OVER}
