"""``mav train``: the same weights whatever befalls it, and what it refuses before it begins."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mav_pipeline.cli import load_config, main  # noqa: E402
from mav_pipeline.config import TrainConfig  # noqa: E402
from mav_pipeline.matting.registry import open_backend  # noqa: E402
from mav_pipeline.schema.errors import ConfigError, OutputError  # noqa: E402
from mav_pipeline.train.augment import Augment, crop_around  # noqa: E402
from mav_pipeline.train.feed import Feed, apportioned  # noqa: E402
from mav_pipeline.train.loader import MatteDataset  # noqa: E402
from mav_pipeline.train.loader.split import Split, is_held_out  # noqa: E402
from mav_pipeline.train.losses import l1_loss, laplacian_loss  # noqa: E402
from mav_pipeline.train.optimizer import base_rate, make_optimizer, set_rates  # noqa: E402
from mav_pipeline.train.run import train  # noqa: E402
from tests.sam2 import lively_model  # noqa: E402

#: As small as it goes: five steps of two frames of 32 x 32.
SMALL = (
    *("train=tiny", "train.size=32", "train.steps=5", "train.save_steps=2", "train.batch=1"),
    *("train.frames=2", "train.threads=1", "train.log_steps=1", "train.eval_samples=2"),
    *("train.held_out=0.6", "train.lr=1e-3"),
)


pytestmark = pytest.mark.usefixtures("one_thread")


def words(data: Path, root: Path, *more: str) -> list[str]:
    return [*SMALL, f"train.data={data}", f"train.root={root}", *more]


def recipe(*more: str) -> TrainConfig:
    return load_config([*SMALL, *more]).train


def weights_of(root: Path) -> str:
    return hashlib.sha256((root / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def whole(_small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A set, and a training on it that nothing disturbed."""
    root = tmp_path_factory.mktemp("train") / "run"
    result = train(load_config(words(_small_set, root)))
    assert (result["state"], result["steps"]) == ("complete", 5)
    return _small_set, root


def test_a_model_comes_out_that_others_read(whole: tuple[Path, Path]) -> None:
    from transformers import Sam2VideoModel

    _, root = whole
    model, found = Sam2VideoModel.from_pretrained(root / "model", output_loading_info=True)
    assert not found["missing_keys"]
    assert model.config.image_size == 32
    assert not model.config.multimask_output_in_sam, "one mask, as it was trained"
    run = load_config(["matting=sam2_matte", f"matting.model={root / 'model'}"])
    backend = open_backend(run.matting)
    backend.setup()
    card = (root / "model" / "README.md").read_text()
    assert "5 steps" in card
    assert "creativecommons.org/licenses/by/4.0" in card
    assert "samples of held-out videos" in card
    lines = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["lr"] == pytest.approx(1e-4)
    assert [path.name for path in (root / "checkpoints").iterdir()] == ["step-0000005.safetensors"]


def test_a_complete_run_is_done(whole: tuple[Path, Path]) -> None:
    data, root = whole
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert train(load_config(words(data, root)))["state"] == "complete"
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_killed_at_any_checkpoint_it_ends_with_the_same_weights(
    whole: tuple[Path, Path], tmp_path: Path
) -> None:
    data, undisturbed = whole
    root = tmp_path / "run"
    for least in (2, 4):
        killed_after(least, words(data, root), root)
        assert not (root / "model").exists()
    assert train(load_config(words(data, root)))["state"] == "complete"
    assert weights_of(root) == weights_of(undisturbed)
    assert (root / "metrics.jsonl").read_bytes() == (undisturbed / "metrics.jsonl").read_bytes()


def killed_after(steps: int, overrides: list[str], root: Path) -> None:
    """A process that trains, killed as soon as a checkpoint of so many steps is registered."""
    config = load_config(overrides)
    if (child := os.fork()) == 0:
        os.setpgid(0, 0)
        train(config)
        os._exit(1)  # it was too quick
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        try:
            if json.loads((root / "state.json").read_text())["step"] >= steps:
                break
        except FileNotFoundError:
            pass
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.mark.parametrize("write", [1, 3])  # of the checkpoint, and of where the run stands
def test_whatever_write_fails_the_next_run_goes_on(
    write: int, whole: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mav_pipeline.storage import LocalStorage

    data, undisturbed = whole
    real, count = LocalStorage.put, 0

    def put(self: LocalStorage, name: str, content: Any) -> None:
        nonlocal count
        count += 1
        if count == write + 1:  # the first is training.json
            raise OSError(28, "No space left on device", name)
        real(self, name, content)

    root = tmp_path / "run"
    monkeypatch.setattr(LocalStorage, "put", put)
    with pytest.raises(OSError, match="No space left"):
        train(load_config(words(data, root)))
    monkeypatch.undo()
    train(load_config(words(data, root)))
    assert weights_of(root) == weights_of(undisturbed)


def test_a_signal_stops_it_between_two_steps(
    whole: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mav_pipeline.train.loop import Trainer

    data, undisturbed = whole
    real = Trainer.step

    def step(self: Trainer, number: int, batch: Any) -> Any:
        if number == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, number, batch)

    monkeypatch.setattr(Trainer, "step", step)
    assert main(["train", *words(data, tmp_path / "run")]) == 130
    monkeypatch.undo()
    assert main(["train", *words(data, tmp_path / "run")]) == 0
    assert weights_of(tmp_path / "run") == weights_of(undisturbed)


def other_rows(data: Path) -> None:
    """As a rebuild leaves them."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "manifest.parquet")
    pq.write_table(rows.slice(0, len(rows) - 1), data / "manifest.parquet")


@pytest.mark.parametrize(
    ("more", "change", "message"),
    [
        (("train.lr=2e-3",), None, r"train\.lr was 0\.001, is 0\.002"),
        (("train.steps=6",), None, r"train\.steps was 5, is 6.*a longer schedule is a new run"),
        ((), other_rows, r"train\.data\[0\] was "),
    ],
)
def test_another_run_in_its_place_is_refused_by_name(
    more: tuple[str, ...],
    change: Callable[[Path], None] | None,
    message: str,
    whole: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    data, root = tmp_path / "set", whole[1]
    shutil.copytree(whole[0], data)
    if change is not None:
        change(data)
    with pytest.raises(OutputError, match=message):
        train(load_config(words(data, root, *more)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("train.data=[]",), r"train\.data is not set; add train\.data="),
        (("train.data=/nowhere",), "holds no set"),
        (("train.model=null",), r"train\.model is not set"),
        (("runtime=ray",), "runtime must be local"),
        (("train.degrade=[blob]",), r"there is no 'blob' .* did you mean"),
        (("train.held_out=1.0",), "no masklet in .* passes"),
        (("train.gate=strict",), "strict"),
        (("train.shares=[1,2]",), r"train\.shares must be empty, or one number a set"),
        (("train.first_frame=mask",), r"train\.first_frame must be alpha where"),
        (("train.size=40",), r"train\.size"),
        (("train.device=cuda",), "torch sees no CUDA device"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    more: tuple[str, ...], message: str, whole: tuple[Path, Path], tmp_path: Path
) -> None:
    if "cuda" in message.lower() and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises((ConfigError, OutputError), match=message):
        train(load_config(words(whole[0], tmp_path / "run", *more)))
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_left_alone(whole: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"is not empty and has no training\.json"):
        train(load_config(words(whole[0], tmp_path)))


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_checkpoint(
    whole: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mav_pipeline.train import loop

    calls = 0

    def broken(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        return l1_loss(*given) * (float("nan") if calls == 4 else 1.0)

    monkeypatch.setattr(loop, "l1_loss", broken)
    assert main(["train", *words(whole[0], tmp_path / "run")]) == 3
    assert json.loads((tmp_path / "run" / "state.json").read_text())["step"] == 2


def test_a_vanished_shard_ends_it_by_name(whole: tuple[Path, Path], tmp_path: Path) -> None:
    data = tmp_path / "set"
    shutil.copytree(whole[0], data)
    for tar in (data / "shards").glob("*.tar"):
        tar.unlink()
    with pytest.raises(OutputError, match=r"shards/mav-.*\.tar.*mav verify"):
        train(load_config(words(data, tmp_path / "run")))


# data


def test_no_video_is_trained_on_and_held_out() -> None:
    names = [f"sav_{number:06d}" for number in range(4000)]
    held = [name for name in names if is_held_out(name, 0.05)]
    assert 150 < len(held) < 250
    for name in names:
        assert Split(0.05, True).takes(name) != Split(0.05, False).takes(name)
    assert not any(is_held_out(name, 0) for name in names)


def test_the_feed_takes_none_of_what_is_held_out(whole: tuple[Path, Path]) -> None:
    both = f"train.data=[{whole[0]},{whole[0]}]"
    config = recipe(both, "train.shares=[3,1]", "train.save_steps=4")
    feed = Feed(config, None)
    held = MatteDataset(whole[0], split=Split(config.held_out, True)).keys
    assert feed.videos
    assert held
    assert not feed.videos & held


def test_a_stretch_is_the_same_whoever_reads_it(whole: tuple[Path, Path]) -> None:
    def first(workers: int, number: int) -> Any:
        config = recipe(f"train.data={whole[0]}", f"train.workers={workers}")
        return next(iter(Feed(config, None).stretch(number))).frames

    assert torch.equal(first(0, 1), first(1, 1))
    assert not torch.equal(first(0, 1), first(0, 2))


@pytest.mark.parametrize(
    ("shares", "count", "parts"),
    [((1, 1), 10, [5, 5]), ((1, 1, 1), 10, [4, 3, 3]), ((0.7, 0.3), 10, [7, 3])],
)
def test_shares_add_up(shares: tuple[float, ...], count: int, parts: list[int]) -> None:
    assert apportioned(shares, count) == parts


def test_crops_hold_the_middle_of_the_object() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[30:39, 2:9] = True
    for seed in range(200):
        rows, columns = crop_around(mask, 0.5, np.random.default_rng(seed))
        assert rows.start <= 34 < rows.stop <= 40
        assert columns.start <= 5 < columns.stop <= 60
        assert rows.stop - rows.start >= 20
        assert columns.stop - columns.start >= 30


def test_frames_alpha_and_mask_stay_on_each_other() -> None:
    """Frames that show their alpha do so after crop, stretch and mirror."""
    alpha = np.zeros((2, 48, 64), np.uint8)
    alpha[:, 10:30, 5:25] = 255
    sample = {
        **{"key": "sav_000001", "masklet": "manual_000", "frame_indices": np.arange(2)},
        **{"frames": np.repeat(alpha[..., None], 3, axis=3), "alpha": alpha, "mask": alpha > 0},
        "scores": {"quality": np.float64(0.25)},
    }
    config = recipe("train.colour=0", "train.quality_power=0.5")
    seen = set()
    for stretch in range(12):
        found = Augment(config, stretch)(sample)
        assert found.frames.shape == (2, 32, 32, 3)
        assert np.array_equal(found.frames[..., 0], found.alpha)
        assert np.array_equal(found.mask, found.alpha[0] > 127)
        assert found.weight == 0.5
        seen.add(found.alpha.tobytes())
    assert len(seen) > 6


# steps


def test_losses_are_zero_for_the_truth_alone_and_feel_edges() -> None:
    truth = torch.zeros(1, 32, 32)
    truth[:, 8:24, 8:24] = 1
    flat, shifted = (truth - 0.1).abs(), truth.roll(1, dims=2)
    assert float(l1_loss(truth, truth)) == float(laplacian_loss(truth, truth, 5)) == 0
    assert float(l1_loss(flat, truth)) == pytest.approx(0.1)
    even = truth + 0.1
    assert float(laplacian_loss(even, truth, 3)) < 1e-5, "a plane has no edges"
    assert float(laplacian_loss(shifted, truth, 1)) > 0.01


def test_rates_fall_through_the_encoder_and_over_time() -> None:
    config = recipe("train.layer_decay=0.5", "train.encoder_lr=8e-4", "train.steps=11")
    block = "vision_encoder.backbone.blocks.{}.attn.qkv.weight"
    assert base_rate("memory_attention.x", 5, config) == 1e-3
    assert base_rate("vision_encoder.neck.x", 5, config) == 8e-4
    assert base_rate(block.format(4), 5, config) == 4e-4
    assert base_rate(block.format(0), 5, config) == 8e-4 / 2**5
    assert base_rate("vision_encoder.backbone.pos_embed", 5, config) == 8e-4 / 2**6
    optimizer = make_optimizer(lively_model(32), config)
    assert all(
        p.ndim > 1 or not g["weight_decay"] for g in optimizer.param_groups for p in g["params"]
    )
    shares = []
    for step in (0, 5, 10):
        set_rates(optimizer, step, config)
        shares.append({round(group["lr"] / group["base"], 6) for group in optimizer.param_groups})
    assert shares == [{1.0}, {0.55}, {0.1}]
