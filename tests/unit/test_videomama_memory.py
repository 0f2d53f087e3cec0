"""What goes through VideoMaMa at once: by budget and size alone, and no more than was counted."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import model_memory
from mav_pipeline.matting.videomama import memory
from mav_pipeline.schema.errors import BackendError, ConfigError
from tests.checkpoint import write_checkpoint
from tests.fakes import mattes
from tests.videomama import Counting, Tracing, boxes, clip_of, opened

FULL = memory.Weight(parameters=1_622_000_000, vae_width=128, unet_width=320, itemsize=2)
POSITIONS = 72 * 128  # of 1024x576


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@cache
def full_size() -> model_memory.Counted:
    return model_memory.Counted(torch.bfloat16)


@pytest.mark.parametrize(("height", "width"), [(72, 128), (40, 64)])
def test_each_stage_takes_what_it_is_said_to(height: int, width: int) -> None:
    """The published models at full size, on meta tensors; workspaces come on top."""
    counted, positions = full_size(), height * width
    said = memory.stages_of(FULL, positions, 24, 8)
    more = memory.stages_of(FULL, 2 * positions, 24, 8)
    assert more.chunk == pytest.approx(2 * said.chunk)
    peaks = [
        (said.frame, counted.peak("encode", 4, 3, 8 * height, 8 * width) / 4),
        (said.window, counted.peak("denoise", 2, 24, 12, height, width) / 2),
        (said.chunk, counted.peak("decode", 2, 8, 4, height, width) / 2),
    ]
    for stage, peak in peaks:
        assert 1.15 <= stage / (peak / 1e9) <= 1.35


def test_models_weigh_what_the_published_ones_do() -> None:
    models = model_memory.full_size()
    weight = memory.weight_of(models.vae, models.unet)
    assert weight == dataclasses.replace(FULL, parameters=weight.parameters, itemsize=4)
    assert weight.parameters == pytest.approx(FULL.parameters, rel=0.001)


def limits(memory_gb: float, positions: int = POSITIONS, most: int = 64) -> memory.Limits:
    stages = memory.stages_of(FULL, positions, 24, 8)
    return memory.limits_of(stages, memory.budget(FULL, memory_gb), positions, most)


def test_the_default_budget_at_the_default_size() -> None:
    assert limits(24, most=4) == memory.Limits(frames=4, windows=3, chunks=1)
    assert limits(80, most=64).windows == 7  # attention's grid: 65,535 / 9,216
    assert limits(80, most=64).chunks == 6


@given(st.floats(1, 200), st.integers(1, memory.MAX_GRID), st.integers(1, 64))
def test_limits_stay_within_the_budget_and_the_grid(
    memory_gb: float, positions: int, most: int
) -> None:
    found = limits(memory_gb, positions, most)
    stages, left = memory.stages_of(FULL, positions, 24, 8), memory.budget(FULL, memory_gb)
    for count, one in (
        (found.frames, stages.frame),
        (found.windows, stages.window),
        (found.chunks, stages.chunk),
    ):
        assert 1 <= count <= most
        assert count == 1 or count * one <= left
    assert found.windows * positions <= memory.MAX_GRID


def test_what_has_no_room_one_by_one_is_named() -> None:
    stages = memory.stages_of(FULL, 135 * 240, 24, 8)  # 1080p, native
    assert memory.too_large(stages, 100) is None
    left = memory.budget(FULL, 24)
    assert memory.too_large(stages, left) == "a chunk takes 39.4 GB and 18.4 GB are left for it"


def test_a_clip_goes_through_in_the_same_batches_whatever_came_before(
    checkpoint: tuple[Path, Path],
) -> None:
    def batches(backend: Any) -> list[int]:
        backend._step = counting = Batches(backend._step)
        shown = [boxes(9, number) for number in range(3)]
        mattes(backend, clip_of(9, shown), shown)
        return counting.seen

    class Batches(Tracing):
        def __init__(self, step: Any) -> None:
            super().__init__(step)
            self.seen = list[int]()
            self.full = False

        def denoise(self, windows: Any, *, exact: bool = False) -> Any:
            if self.full:
                self.full = False
                raise torch.OutOfMemoryError("full")
            self.seen.append(len(windows))
            return super().denoise(windows)

    first = batches(opened(checkpoint, window=4, overlap=1))
    assert first == [4, 2, 3]  # windows that begin at 0 and 3, and at 5
    backend = opened(checkpoint, window=4, overlap=1)
    backend._step = before = Batches(backend._step)
    before.full = True
    mattes(backend, clip_of(4, [boxes(4)]), [boxes(4)])
    assert backend.notes() == ("out of device memory: freed and tried again, 1 times",)
    assert batches(backend) == first


def test_a_smaller_budget_sends_fewer_through_at_once(checkpoint: tuple[Path, Path]) -> None:
    shown = [boxes(9, number) for number in range(3)]
    for memory_gb, largest in ((24.0, 4), (0.001, 1)):
        backend = opened(checkpoint, window=4, overlap=1, memory_gb=memory_gb)
        backend._step = counting = Tracing(backend._step)
        mattes(backend, clip_of(9, shown), shown)
        assert counting.largest == largest


class Device:
    """A CUDA device of so many GB, for what only asks how large it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gb: float) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, int(gb * 1e9)))


@pytest.mark.parametrize(
    ("gb", "keys", "message"),
    [
        (15.8, {}, r"matting\.memory_gb=24, but the device has 15\.8 GB; set .*memory_gb=15"),
        (
            80,
            {"memory_gb": 2.0},
            r"at 589824 pixels a chunk takes .* of matting\.memory_gb=2; raise it",
        ),
    ],
)
def test_a_device_that_is_too_small_is_refused_before_the_first_clip(
    gb: float,
    keys: dict[str, Any],
    message: str,
    checkpoint: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Device(monkeypatch, gb)
    with pytest.raises(ConfigError, match=message):
        opened(checkpoint, device="cuda", **keys)


def test_no_room_is_a_reasoned_failure(checkpoint: tuple[Path, Path]) -> None:
    class Full(Counting):
        def encode_frames(self, frames: Any, *, exact: bool = False) -> Any:
            raise torch.OutOfMemoryError("no room")

    shown = boxes(2)
    backend = opened(checkpoint)
    backend._step = Full(backend._step)
    with pytest.raises(BackendError) as failure:
        mattes(backend, clip_of(2, [shown]), [shown])
    assert failure.value.reason == "device_memory"


# mav plan


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), torch.AcceleratorError("invalid configuration")]
)
def test_the_largest_batch_is_found_by_trying(
    error: RuntimeError, checkpoint: tuple[Path, Path]
) -> None:
    class Small(Counting):
        def denoise(self, windows: Any, *, exact: bool = False) -> Any:
            if len(windows) > 5:
                raise error
            return super().denoise(windows, exact=exact)

    keys = {"max_pixels": 32 * 32, "window": 2, "overlap": 0}
    backend = opened(checkpoint, **keys)
    backend._step = Small(backend._step)
    assert backend.largest_batch() == 4
    assert opened(checkpoint, **keys).largest_batch(most=2) == 2


def test_no_launch_of_a_trial_is_wider_than_attention_takes(checkpoint: tuple[Path, Path]) -> None:
    backend = opened(checkpoint, memory_gb=1e6, max_pixels=16_000 * 64, width=1600, height=640)
    backend._step = counting = Tracing(backend._step)
    assert backend.largest_batch() == 64  # frames and chunks go on where windows do not
    assert counting.largest == memory.MAX_GRID // (200 * 80) == 4
