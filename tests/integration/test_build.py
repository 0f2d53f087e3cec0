"""A build from the console: complete, repeatable, readable, and refused where it must be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.fakes import write_clip

from .console import SHARED, mav, shard_bytes


def test_a_build_completes_and_verifies(undisturbed: tuple[Path, dict[str, str]]) -> None:
    root, _ = undisturbed
    status = mav("status", f"output.root={root}", "--json")
    assert status.code == 0
    report = status.json
    assert report["state"] == "complete"
    assert report["shards"] == {"planned": 3, "published": 3, "failed": 0, "pending": 0}
    assert report["clips"]["planned"] == report["clips"]["published"] == 6
    assert report["masklets"]["accepted"] > 6
    assert report["masklets"]["skipped"] == report["reasons"]["empty"] == 1
    assert set(report["stages_s"]) == {"decode", "matting", "score", "encode", "publish"}
    verified = mav("verify", f"output.root={root}", "verify.deep=true", "--json")
    assert (verified.code, verified.json["ok"]) == (0, True), verified.stderr
    assert verified.json["samples"] == 6


def test_a_second_run_does_nothing(
    build_args: tuple[str, ...], undisturbed: tuple[Path, dict[str, str]]
) -> None:
    root, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    done = mav("build", *build_args, f"output.root={root}", "--json")
    assert done.code == 0
    assert done.json["state"] == "complete"
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_stdout_is_one_json_line(undisturbed: tuple[Path, dict[str, str]]) -> None:
    root, _ = undisturbed
    done = mav("status", f"output.root={root}", "--json")
    assert len(done.stdout.splitlines()) == 1
    assert mav("status", f"output.root={root}").stdout == ""


def test_another_folder_and_another_time_give_the_same_bytes(
    build_args: tuple[str, ...], undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    _, expected = undisturbed
    extra = ("runtime.encode_threads=3", "runtime.progress_s=1")
    assert mav("build", *build_args, f"output.root={tmp_path / 'out'}", *extra).code == 0
    assert shard_bytes(tmp_path / "out") == expected


# In a process of its own, as a trainer would: webdataset leaves closing its files to the collector.
READ = """
import json, sys, webdataset as wds
urls = open("shards.txt").read().split()
for sample in wds.WebDataset(urls, shardshuffle=False):
    names = sorted(name for name in sample if not name.startswith("__"))
    print(json.dumps([sample["__key__"], names, json.loads(sample["json"])]))
"""


def test_plain_webdataset_reads_one_sample_a_clip(
    undisturbed: tuple[Path, dict[str, str]],
) -> None:
    root, _ = undisturbed
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    assert [key for key, _, _ in samples] == [f"sav_{n:06d}" for n in range(1, 7)]
    for _, names, document in samples:
        alphas = [f"{masklet['name']}.alpha.mkv" for masklet in document["masklets"]]
        assert names == sorted(["json", "rgb.mp4", *alphas])


def test_the_manifest_has_a_row_for_every_masklet(
    undisturbed: tuple[Path, dict[str, str]],
) -> None:
    root, _ = undisturbed
    table = pq.read_table(root / "manifest.parquet", pre_buffer=False)
    rows = table.to_pylist()
    report = mav("status", f"output.root={root}", "--json").json
    assert len(rows) == sum(report["masklets"].values())
    assert [row["shard"] for row in rows] == sorted(row["shard"] for row in rows)
    scored = [row for row in rows if row["status"] in ("accepted", "rejected")]
    assert all(row["outside_mass"] is not None for row in scored)


def test_rows_and_samples_hold_nothing_of_the_machine(
    undisturbed: tuple[Path, dict[str, str]], corpus: Path
) -> None:
    root, _ = undisturbed
    for path in (root / "shards").iterdir():
        if path.suffix in (".tar", ".parquet"):
            data = path.read_bytes()
            for secret in (str(corpus), str(root)):
                assert secret.encode() not in data


def test_a_changed_key_is_refused_by_name(
    build_args: tuple[str, ...], undisturbed: tuple[Path, dict[str, str]]
) -> None:
    root, expected = undisturbed
    done = mav("build", *build_args, f"output.root={root}", "matting.seed=7", "output.rgb=none")
    assert done.code == 2
    assert "matting.seed: was 42, now 7" in done.stderr
    assert 'output.rgb: was "source", now "none"' in done.stderr
    assert shard_bytes(root) == expected


def test_changed_new_and_vanished_inputs_are_refused_by_name(
    corpus: Path, undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    root, _ = undisturbed
    copy = tmp_path / "sav_train"
    shutil.copytree(corpus / "sav_train", copy)  # copytree keeps mtimes
    args = (f"source.root={copy}", "output.clips_per_shard=2", f"output.root={root}")
    assert mav("build", *args).code == 0
    folder = copy / "sav_000"
    os.utime(folder / "sav_000001.mp4")
    (folder / "sav_000002_manual.json").unlink()
    shutil.copy(folder / "sav_000001.mp4", folder / "sav_000099.mp4")
    done = mav("build", *args)
    assert done.code == 2
    assert "sav_000/sav_000001.mp4 has changed" in done.stderr
    assert "sav_000/sav_000002_manual.json is gone" in done.stderr
    assert "sav_000/sav_000099.mp4 is new" in done.stderr


def test_a_strangers_folder_is_refused(build_args: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = mav("build", *build_args, f"output.root={tmp_path}")
    assert done.code == 2
    assert "thesis.tex" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("source.rot=x",), "did you mean 'source.root'"),
        (("matting=closedform",), "did you mean 'closed_form'"),
        (("matting.seed=many",), "matting.seed must be a whole number, not 'many'"),
        (("output.alpha=fffv1",), "did you mean 'ffv1'"),
        (("source.root=/no/such/folder",), "cannot be listed"),
        ((), "source.root is not set"),
    ],
)
def test_a_wrong_set_up_ends_with_2_and_a_way_out(
    words: tuple[str, ...], hint: str, tmp_path: Path
) -> None:
    done = mav("build", f"output.root={tmp_path / 'out'}", *words)
    assert done.code == 2
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_verb_names_the_nearest() -> None:
    done = mav("biuld")
    assert done.code == 2
    assert "did you mean 'build'" in done.stderr


def test_plan_counts_and_writes_nothing(build_args: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = mav("plan", *build_args, f"output.root={out}", "plan.frames_per_s=10", "--json")
    assert done.code == 0
    assert done.json["clips"] == {"planned": 6, "failed": 0, "skipped": 0}
    assert done.json["shards"] == 3
    assert done.json["alpha_frames"] > 100
    assert done.json["gpu_hours"] == pytest.approx(done.json["alpha_frames"] / 36000, abs=1e-3)
    assert not out.exists()


def test_a_build_goes_on_by_its_output_alone(
    undisturbed: tuple[Path, dict[str, str]],
) -> None:
    root, _ = undisturbed
    assert mav("build", f"output.root={root}").code == 0
    refused = mav("build", f"output.root={root}", "matting.seed=7")
    assert refused.code == 2
    assert "matting.seed: was 42, now 7" in refused.stderr


def test_bad_clips_become_rows_and_the_loss_budget_speaks(corpus: Path, tmp_path: Path) -> None:
    source = tmp_path / "sav_train"
    shutil.copytree(corpus / "sav_train", source)
    folder = source / "sav_000"
    (folder / "sav_000001.mp4").write_bytes(b"")
    (folder / "sav_000002_manual.json").write_text("{")
    (folder / "sav_000003_manual.json").unlink()
    args = (f"source.root={source}", f"output.root={tmp_path / 'out'}", "output.clips_per_shard=2")
    done = mav("build", *args, "matting=binary", "--json")
    assert done.code == 3
    report = done.json
    assert report["state"] == "complete"
    assert report["clips"] == {
        "planned": 6,
        "published": 3,
        "failed": 2,
        "skipped": 1,
        "pending": 0,
    }
    table = pq.read_table(tmp_path / "out" / "manifest.parquet", pre_buffer=False)
    rows = {row["video_id"]: row for row in table.to_pylist() if row["masklet"] is None}
    assert rows["sav_000001"]["reasons"] == ["empty"]
    assert rows["sav_000002"]["reasons"] == ["json"]
    assert rows["sav_000003"]["reasons"] == ["no_annotation"]
    assert "manual" in rows["sav_000002"]["error"]
    again = mav("build", *args, "matting=binary", "quality.max_failed_fraction=0.5")
    assert again.code == 0
    assert mav("verify", f"output.root={tmp_path / 'out'}", "verify.deep=true").code == 0


@pytest.mark.parametrize("why", ["unreadable", "gates"])
def test_a_build_without_a_sample_says_so_and_ends_with_3(tmp_path: Path, why: str) -> None:
    """Its set is whole all the same: it verifies, and its report shows what became of the clips."""
    for number in range(2):
        video = write_clip(tmp_path / "in", f"sav_{number:06d}")
        if why == "unreadable":
            video.write_bytes(b"no video")
    words = [f"source.root={tmp_path / 'in'}", f"output.root={tmp_path / 'out'}"]
    words += ["matting=binary", "quality.max_failed_fraction=1", "quality.min_area_ratio=2"]
    for _ in range(2):  # the second build has nothing to do, and says the same
        done = mav("build", *words, "--json")
        assert done.code == 3
        assert done.json["state"] == "complete"
        assert "not one sample came out of 2 clips" in done.stderr
        if why == "unreadable":
            assert "clips: 2 failed; masklets: none" in done.stderr
            assert "2 x corrupt: a video or an image cannot be decoded; way out: " in done.stderr
        else:
            assert "clips: 2 published; masklets: 2 rejected" in done.stderr
            assert "2 x area_ratio_low: less alpha than mask; way out: quality." in done.stderr
    assert mav("verify", words[1], "verify.deep=true").code == 0
    assert (tmp_path / "out" / "shards.txt").read_text() == ""
    assert mav("report", words[1]).code == 0
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert ("corrupt" if why == "unreadable" else "area_ratio_low") in page


def test_a_build_may_leave_the_report_out(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "sav_000000")
    words = (f"source.root={tmp_path / 'in'}", f"output.root={tmp_path / 'out'}", "matting=binary")
    page = tmp_path / "out" / "report" / "index.html"
    for _ in range(2):  # a set without one is finished
        done = mav("build", *words, "report.enabled=false")
        assert done.code == 0, done.stderr
        assert not page.exists()
    before = shard_bytes(tmp_path / "out")
    assert mav("verify", words[1]).code == 0
    assert mav("report", words[1], "report.enabled=false").code == 0
    assert page.exists()
    page.unlink()
    assert mav("build", *words).code == 0
    assert page.exists()
    assert shard_bytes(tmp_path / "out") == before


def test_an_output_that_is_a_file_is_refused(build_args: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    done = mav("build", *build_args, f"output.root={tmp_path / 'out'}")
    assert done.code == 2
    assert "output.root" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_real_masklets_build_and_verify(tmp_path: Path) -> None:
    source, out = SHARED / "sav_mini" / "sav_train", tmp_path / "out"
    args = ("source=sav_train", f"source.root={source}", "source.masklets=both")
    done = mav("build", *args, f"output.root={out}", "matting=binary", "--json")
    assert (done.code, done.json["state"]) == (0, "complete")
    assert done.json["clips"]["published"] == 4
    assert mav("verify", f"output.root={out}", "verify.deep=true").code == 0
    assert mav("build", *args, f"output.root={out}", "matting=binary").code == 0


def test_a_damaged_shard_is_named_and_made_anew(
    undisturbed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    shutil.copytree(undisturbed[0], root)
    tar = next((root / "shards").glob("mav-000001-*.tar"))
    with tar.open("r+b") as file:
        file.seek(700)
        file.write(b"harm")
    found = mav("verify", f"output.root={root}")
    assert found.code == 1
    assert "remove it and shards/mav-000001.json, and mav build makes it anew" in found.stderr
    (root / "shards" / "mav-000001.json").unlink()  # a tar that is not what its name says goes too
    assert mav("build", f"output.root={root}").code == 0
    assert shard_bytes(root) == undisturbed[1]
    assert mav("verify", f"output.root={root}", "verify.deep=true").code == 0


def test_other_gates_for_a_finished_set_are_pointed_to_regate(
    undisturbed: tuple[Path, dict[str, str]],
) -> None:
    refused = mav("build", f"output.root={undisturbed[0]}", "quality.min_quality=0.5")
    assert refused.code == 2
    assert "mav regate" in refused.stderr
    refused = mav("build", f"output.root={undisturbed[0]}", "quality.scores=basic")
    assert refused.code == 2
    assert "mav regate" not in refused.stderr  # that is no gate


@pytest.mark.parametrize("words", [["help"], ["build", "--help"], ["-h"]])
def test_help_lists_verbs_and_keys(words: list[str]) -> None:
    done = mav(*words)
    assert (done.code, done.stdout) == (0, "")
    assert "mav <verb>" in done.stderr
    assert "clips_per_shard: 32" in done.stderr
    assert "hydra" not in done.stderr


def test_a_sample_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    words = (f"sample.root={tmp_path}", "sample.clips=1", "sample.frames=8", "sample.width=64")
    words = (*words, "sample.height=64")
    assert mav("sample", *words).code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert mav("sample", *words).code == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert mav("sample", *words, "sample.seed=1").code == 0
    assert before != {path: path.stat().st_mtime_ns for path in before}
