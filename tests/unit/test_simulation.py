"""The simulation of large builds keeps its books."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale_simulated import bottleneck, need
from benchmarks.simulate import CLIPS, Rates, Run, shard_frames, simulate, traffic

FRAMES = st.lists(st.floats(1, 1000), min_size=1, max_size=40)
GPUS = st.integers(1, 50)
CALM = Rates(frames_per_s=2.0, start_s=0.0, losses_per_hour=0.0)
ROUGH = Rates(frames_per_s=2.0, start_s=10.0, losses_per_hour=3.0, back_s=20.0)


@given(FRAMES, GPUS, st.integers(0, 9))
def test_every_frame_is_made_once_whatever_is_lost(
    frames: list[float], gpus: int, seed: int
) -> None:
    run = simulate(frames, gpus, ROUGH, seed)
    assert run.work_h * 3600 == pytest.approx(sum(frames) / 2)
    assert run.held_h <= gpus * run.wall_h * (1 + 1e-9)
    assert bool(run.losses) or not run.lost_h


@given(FRAMES, GPUS, st.floats(0, 100))
def test_every_hour_is_accounted_for(frames: list[float], gpus: int, start_s: float) -> None:
    run = simulate(frames, gpus, replace(CALM, start_s=start_s))
    assert run.held_h == pytest.approx(gpus * run.wall_h)
    assert run.held_h == pytest.approx(run.work_h + run.start_h + run.idle_h)


@given(FRAMES, GPUS, st.integers(0, 2))
def test_the_tail_is_at_most_what_a_worker_holds(
    frames: list[float], gpus: int, ahead: int
) -> None:
    wall = simulate(frames, gpus, replace(CALM, ahead=ahead)).wall_h * 3600 * 2
    least = max(*frames, sum(frames) / gpus)
    assert least * (1 - 1e-9) <= wall <= sum(frames) / gpus + (1 + ahead) * max(frames) + 1e-6


@given(FRAMES, GPUS)
def test_more_workers_are_never_slower_where_none_holds_a_second_shard(
    frames: list[float], gpus: int
) -> None:
    pulled = replace(CALM, ahead=0)
    fewer, more = (simulate(frames, count, pulled).wall_h for count in (gpus, gpus + 1))
    assert more <= fewer * (1 + 1e-9)


def test_more_gpus_are_never_slower_over_the_real_plan() -> None:
    frames = shard_frames()
    walls = [
        simulate(frames, 2**power, Rates(30.0, losses_per_hour=0)).wall_h for power in range(11)
    ]
    assert walls == sorted(walls, reverse=True)


@given(FRAMES)
def test_one_worker_takes_the_sum(frames: list[float]) -> None:
    assert simulate(frames, 1, CALM).wall_h * 3600 == pytest.approx(sum(frames) / 2)


def test_the_others_start_once_the_first_is_up() -> None:
    run = simulate([20.0, 20.0], 2, replace(CALM, start_s=5.0, ahead=0))
    assert run.wall_h * 3600 == pytest.approx(20.0)  # 5 + 5 + 20 frames at 2 a second
    assert run.start_h * 3600 == pytest.approx(5 + 10)


def test_losses_cost_time_and_no_work() -> None:
    frames = shard_frames()[:200]
    calm = simulate(frames, 16, Rates(3.0, losses_per_hour=0.0))
    rough = simulate(frames, 16, Rates(3.0, losses_per_hour=0.2))
    assert rough.losses > 0
    assert rough.lost_h > 0
    assert rough.work_h == pytest.approx(calm.work_h)
    assert rough.wall_h > calm.wall_h


@pytest.mark.parametrize(("size", "shards"), [(32, 1580), (16, 3159), (8, 6318)])
def test_a_plan_has_the_sizes_of_sa_v(size: int, shards: int) -> None:
    frames = shard_frames(size)
    assert len(frames) == shards
    assert sum(frames) == pytest.approx(CLIPS * 3.8 * 84, rel=0.02)


def test_small_shards_cost_requests_and_no_bytes() -> None:
    large, small = traffic(shard_frames(32)), traffic(shard_frames(8))
    assert (large.bytes_in, large.bytes_out) == pytest.approx((small.bytes_in, small.bytes_out))
    assert small.gets - large.gets == 5 * (6318 - 1580)
    assert small.puts > large.puts


def test_what_is_asked_for_goes_with_the_gpus() -> None:
    frames = shard_frames()
    few, many = need(8, 30.0, frames), need(16, 30.0, frames)
    assert many.gbps_in == pytest.approx(2 * few.gbps_in)
    assert many.puts_per_s == pytest.approx(2 * few.puts_per_s)
    assert many.driver > few.driver


def test_the_bottleneck_is_what_is_overdrawn_else_where_the_hours_go() -> None:
    needs = need(8, 30.0, shard_frames())
    run = Run(wall_h=1, work_h=95, lost_h=0, start_h=2, idle_h=3, losses=0)
    assert bottleneck(run, needs, 4) == "the GPUs"
    assert "tail" in bottleneck(replace(run, idle_h=30), needs, 4)
    assert "start-up" in bottleneck(replace(run, start_h=30), needs, 4)
    assert "driver" in bottleneck(run, replace(needs, driver=1.5), 4)
    assert "source" in bottleneck(run, replace(needs, gbps_in=20), 4)
    assert "S3" in bottleneck(run, replace(needs, puts_per_s=8000), 4)
