"""Benchmarks of the model: both ways are measured on the same weights, their work is counted."""

from __future__ import annotations

import pytest
import torch

from benchmarks import model_full
from mav_pipeline.matting.videomama import exact
from mav_pipeline.matting.videomama.models import Models, load
from mav_pipeline.matting.videomama.weights import find_part
from tests.checkpoint import write_checkpoint


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    base, unet = write_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return load(find_part(str(base), "vae", "b"), find_part(str(unet), "unet", "u"), "float32")


def test_both_ways_share_their_weights_and_the_plain_one_keeps_its_modules(models: Models) -> None:
    plain, ours = (model_full.sharing_weights(models) for _ in range(2))
    exact.save_work(ours.vae)
    assert not any(isinstance(module, exact.Upsampled) for module in plain.vae.modules())
    for left, right in zip(plain.unet.parameters(), models.unet.parameters(), strict=True):
        assert left.data_ptr() == right.data_ptr()
    norms = [model.vae.decoder.conv_norm_out.weight for model in (plain, ours)]
    assert norms[0].data_ptr() == norms[1].data_ptr()


def test_every_stage_and_the_whole_have_a_row(models: Models) -> None:
    threads = torch.get_num_threads()
    rows = model_full.compare(models, 3, 32, 32, repeats=1, work=False)
    torch.set_num_threads(threads)
    names = [f"{part}, a masklet" for part in model_full.PARTS]
    assert [row[0] for row in rows] == [
        *names,
        "all 4 masklets",
        "gain / gain that the parts predict",
    ]
    assert {len(row) for row in rows} == {8}


def test_the_work_of_the_published_models() -> None:
    plain, ours = (model_full.counted(names, 24, 72, 128) for names in ((), model_full.SAVED))
    assert sum(plain.values()) == pytest.approx(15.4, abs=0.05)
    assert model_full.shared_work(plain, 4) == pytest.approx(13.4, abs=0.05)
    assert model_full.shared_work(ours, 4) == pytest.approx(12.4, abs=0.1)
