"""The simulation of large builds keeps its books."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.simulate import Rates, shard_frames, simulate

FRAMES = st.lists(st.floats(1, 1000), min_size=1, max_size=40)
CALM = Rates(frames_per_s=2.0, start_s=0.0, losses_per_hour=0.0)


@given(FRAMES, st.integers(1, 50))
def test_every_frame_is_made_once_and_every_hour_accounted_for(
    frames: list[float], gpus: int
) -> None:
    run = simulate(frames, gpus, CALM)
    assert run.work_h * 3600 == pytest.approx(sum(frames) / 2)
    assert run.held_h == pytest.approx(run.work_h + run.tail_h)
    assert run.wall_h * 3600 >= max(frames) / 2 * (1 - 1e-9)
    assert run.wall_h * 3600 <= (sum(frames) / min(gpus, len(frames)) + max(frames)) / 2 + 1e-6


@given(FRAMES)
def test_one_worker_takes_the_sum(frames: list[float]) -> None:
    assert simulate(frames, 1, CALM).wall_h * 3600 == pytest.approx(sum(frames) / 2)


def test_losses_cost_time_and_no_work() -> None:
    frames = shard_frames()[:200]
    calm = simulate(frames, 8, Rates(3.0, losses_per_hour=0.0))
    rough = simulate(frames, 8, Rates(3.0, losses_per_hour=0.2))
    assert rough.losses > 0
    assert rough.work_h == pytest.approx(calm.work_h)
    assert rough.wall_h > calm.wall_h


def test_a_plan_has_the_sizes_of_sa_v() -> None:
    frames = shard_frames()
    assert len(frames) == 1580
    assert sum(frames) == pytest.approx(50_541 * 3.8 * 84, rel=0.02)
