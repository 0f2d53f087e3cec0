"""VideoMaMa builds from the console, with a tiny checkpoint on the CPU: same bytes, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.checkpoint import write_checkpoint

from .console import SHARED, fresh, mav, shard_bytes
from .head import ENV, Head

pytest.importorskip("torch")
pytest.importorskip("diffusers")

SMALL = ("matting.max_pixels=4096", "matting.window=6", "matting.overlap=2", "source.limit=2")


@pytest.fixture(scope="module")
def model_args(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    base, unet = write_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return (
        "matting=videomama",
        f"matting.base_model={base}",
        f"matting.unet={unet}",
        f"source.root={corpus / 'sav_train'}",
        "output.clips_per_shard=1",
        "quality.enabled=false",  # random weights make no mattes worth gating
        "report.enabled=false",
        *SMALL,
    )


@pytest.fixture(scope="module")
def local(model_args: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model") / "out"
    done = mav("build", *model_args, f"output.root={root}")
    assert done.code == 0, done.stderr
    return root


def test_the_set_is_whole_and_says_which_weights_made_it(local: Path) -> None:
    verified = mav("verify", f"output.root={local}", "verify.deep=true", "--json")
    assert verified.code == 0, verified.stderr
    assert verified.json["samples"] == 2
    weights = json.loads((local / "run.json").read_text())["weights"]
    assert {len(digest) for digest in weights.values()} == {64}
    assert weights.keys() == {"vae", "unet"}
    rows = pq.ParquetFile(local / "manifest.parquet", pre_buffer=False).read().to_pylist()
    scored = [row for row in rows if row["status"] == "accepted"]
    assert all(row["windows"] >= 1 for row in scored)
    assert any(row["seam_ratio"] is not None for row in scored)
    assert any(row["chunk_seam_ratio"] is not None for row in scored)


def test_ray_workers_give_the_bytes_of_a_local_build(
    head: Head, model_args: tuple[str, ...], local: Path, tmp_path: Path
) -> None:
    root = tmp_path / "out"
    ray = ("runtime=ray", f"runtime.address={head.address}", "runtime.num_workers=2")
    done = fresh("build", *model_args, *ray, f"output.root={root}", env=ENV)
    assert done.code == 0, done.stderr
    assert shard_bytes(root) == shard_bytes(local)


def test_other_weights_on_the_same_output_are_refused(
    model_args: tuple[str, ...], local: Path, tmp_path: Path
) -> None:
    base, _ = write_checkpoint(tmp_path, layers_per_block=2)
    unet = f"matting.unet={base.parent / 'videomama'}"
    done = mav("build", *model_args, unet, f"output.root={local}")
    assert done.code == 2
    assert "weights.unet: was" in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("matting.unet=null",), "matting.unet is not set"),
        (
            ("matting.base_model=/no/such/folder",),
            "neither a folder that exists nor s3:// nor a hub id",
        ),
        (("matting.device=cuda",), "set matting.device=cpu"),
    ],
)
def test_a_wrong_set_up_stops_before_the_first_clip(
    words: tuple[str, ...], hint: str, model_args: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    done = mav(
        "build", *model_args, *words, f"output.root={root}", env={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.code == 2, done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "run.json").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_real_masklets_through_ray(head: Head, tmp_path: Path) -> None:
    tiny = SHARED / "videomama_tiny"
    args = (
        "matting=videomama",
        f"matting.base_model={tiny / 'svd'}",
        f"matting.unet={tiny / 'videomama'}",
        f"source.root={SHARED / 'sav_mini' / 'sav_train'}",
        "matting.max_pixels=4096",
        "source.include=[sav_900002,sav_900003]",
        "quality.enabled=false",
        "report.enabled=false",
        "output.clips_per_shard=1",
        f"output.root={tmp_path / 'out'}",
        "runtime=ray",
        "runtime.num_workers=1",
        f"runtime.address={head.address}",
    )
    done = fresh("build", *args, "--json", env=ENV)
    assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert done.json["clips"]["published"] == 2
    verified = mav("verify", f"output.root={tmp_path / 'out'}", "verify.deep=true", "--json")
    assert (verified.code, verified.json["samples"], verified.json["alphas"]) == (0, 2, 2)
