"""The simulated part of ``make bench-scale``: what so many GPUs would need, and what stops them.

No GPU is asked: their speed is assumed, in words that stand in the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from .page import Row, table
from .simulate import CLIPS, Rates, Run, Traffic, shard_frames, simulate, traffic

_TFLOP_A_FRAME, _SHARE, _PEAK_TFLOPS = 12.4, 0.4, 989.0  # by count; assumed; data sheet
_RATES = Rates(frames_per_s=_PEAK_TFLOPS * _SHARE / _TFLOP_A_FRAME, losses_per_hour=0.05)
#: Core seconds an alpha frame, from "Speed" in docs/benchmarks.md: a binary build with basic
#: scores, and what full scores take of a closed_form build on one core.
_CORE_S = 1.31 / 108.8 + 0.063 / (0.629 * 46.39)
#: Of the driver, measured with Ray 2.60 on two cores: asking 512 workers for their progress takes
#: 0.19 s, which it does every two seconds.
_ASK_S, _LOOK_S = 0.19 / 512, 2.0
_WEIGHTS_GB = 1.622e9 * 4 / 1e9  # float32; the parameters that diffusers counts
_PUTS, _GETS, _SOURCE_GBPS = 3500, 5500, 10.0  # S3's, a second and prefix; a file server's
_PUT_COST, _GET_COST = 0.005 / 1000, 0.0004 / 1000  # dollars; LIST costs as PUT
_FINAL_GETS = 3  # a shard: its receipt, and its rows for the report and for the manifest
_SEEDS = 10


@dataclass(frozen=True, slots=True)
class Need:
    """What so many GPUs ask for while all are at work.

    Attributes:
        shards_per_s, puts_per_s, gets_per_s: published, and asked of S3.
        gbps_in, gbps_out: gigabits a second.
        calls_per_s: of the driver to its workers.
        driver: share of its time that these take.
    """

    shards_per_s: float
    puts_per_s: float
    gets_per_s: float
    gbps_in: float
    gbps_out: float
    calls_per_s: float
    driver: float


def need(gpus: int, frames_per_s: float, frames: Sequence[float]) -> Need:
    """Of GPUs that make ``frames_per_s`` each, for shards of so many frames."""
    asked, share = traffic(frames), gpus * frames_per_s / sum(frames)  # of the build, a second
    shards = share * len(frames)
    return Need(
        shards_per_s=shards,
        puts_per_s=share * asked.puts,
        gets_per_s=share * asked.gets,
        gbps_in=share * asked.bytes_in * 8e-9,
        gbps_out=share * asked.bytes_out * 8e-9,
        calls_per_s=gpus / _LOOK_S,
        driver=gpus / _LOOK_S * _ASK_S,
    )


def bottleneck(run: Run, needs: Need, shards_a_worker: float) -> str:
    """What to mend first: a resource that is asked for more than it has, else where hours go."""
    asked = {
        "the driver's loop": needs.driver,
        "S3 requests": max(needs.puts_per_s / _PUTS, needs.gets_per_s / _GETS),
        "source bandwidth": needs.gbps_in / _SOURCE_GBPS,
    }
    worst = max(asked, key=lambda name: asked[name])
    if asked[worst] > 1:
        return f"{worst}: {asked[worst]:.1f} times what there is"
    if run.work_h > 0.9 * run.held_h:
        return "the GPUs"
    if run.idle_h > run.start_h:
        return f"the tail: {shards_a_worker:.1f} shards a worker"
    return f"start-up: {run.start_h / run.held_h:.0%}"


def simulated() -> str:
    """The subsection of the page."""
    cases = [(8, 32), (64, 32), (512, 32), (512, 16), (512, 8)]
    plans = {size: shard_frames(size) for size in sorted({size for _, size in cases})}
    rows = [_row(gpus, size, plans[size]) for gpus, size in cases]
    head = (
        *("GPUs", "clips a shard", "GPU-hours held", "wall", "starting", "idle at the end"),
        *("nodes lost", "work lost", "in, out", "S3 PUT, GET", "driver: calls, busy", "bottleneck"),
    )
    return (
        f"{_assumed(plans[32])}\n{table(head, rows)}\n{_in_all(traffic(plans[32]), len(plans[32]))}"
    )


def _row(gpus: int, size: int, frames: Sequence[float]) -> Row:
    runs = [simulate(frames, gpus, _RATES, seed) for seed in range(_SEEDS)]
    run = Run(*(mean(getattr(run, name) for run in runs) for name in Run.__slots__))
    needs = need(gpus, _RATES.frames_per_s, frames)
    return (
        str(gpus),
        str(size),
        f"{run.held_h:.0f}",
        f"{run.wall_h:.2f} h",
        f"{run.start_h / run.held_h:.1%}",
        f"{run.idle_h / run.held_h:.1%}",
        f"{run.losses:.1f}",
        f"{run.lost_h:.2f} h",
        f"{needs.gbps_in:.2f}, {needs.gbps_out:.2f} Gb/s",
        f"{needs.puts_per_s:.1f}, {needs.gets_per_s:.1f} a s",
        f"{needs.calls_per_s:.0f} a s, {needs.driver:.0%}",
        bottleneck(run, needs, len(frames) / gpus),
    )


def _assumed(frames: Sequence[float]) -> str:
    rates = _RATES
    cores = _CORE_S * rates.frames_per_s
    return (
        "### Simulated: MA-V on 8, 64 and 512 GPUs\n\n"
        f"{CLIPS:,} clips of 3.8 masklets, 14 s on average (lognormal), in {len(frames):,} shards "
        f"of 32: {sum(frames):,.0f} alpha frames. **Assumed, no GPU was measured:** "
        f"{rates.frames_per_s:.0f} alpha frames/s a GPU, which is {_TFLOP_A_FRAME} TFLOP a frame "
        f"(1024x576, RGB latents shared by 4 masklets) at {_SHARE:.0%} of an H100's "
        f"{_PEAK_TFLOPS:.0f} bf16 TFLOP/s; hours go with the inverse of that share. Also assumed: "
        f"nodes of {rates.node} GPUs, {rates.losses_per_hour:.0%} of them lost an hour, "
        f"{rates.back_s / 60:.0f} min until another comes, {rates.start_s / 60:.0f} min to start a "
        "worker (the first one alone, then the others); 9 MB a video, stored again, and 13.4 KB an "
        "alpha frame. Measured on the machines above: decoding, encoding and scoring, "
        f"{_CORE_S * 1000:.0f} ms of a core an alpha frame, so {cores:.1f} cores keep up with a "
        f"GPU; and {_ASK_S * 1000:.2f} ms for the driver to ask a worker for its progress. Means "
        f"of {_SEEDS} seeds; network, requests and calls are those of all GPUs at work.\n"
    )


def _in_all(asked: Traffic, shards: int) -> str:
    puts, gets = asked.puts, asked.gets + _FINAL_GETS * shards
    tars, lists = 2 * CLIPS, 2 * CLIPS // 1000 + 1
    cost = (puts + lists) * _PUT_COST + gets * _GET_COST
    nodes = 512 // _RATES.node
    weights = nodes * _WEIGHTS_GB
    gbps = weights * 8 / _RATES.start_s
    return (
        f"In all with shards of 32: {asked.bytes_in / 1e9:.0f} GB in, {asked.bytes_out / 1e9:.0f} "
        f"GB out; {puts:,} PUT, {gets:,} GET or HEAD and {lists} LIST, ${cost:.2f} at $0.005 a "
        f"thousand PUT or LIST and $0.0004 a thousand GET. Clips in tars add {tars:,} GET, "
        f"${tars * _GET_COST:.2f}, and no LIST. A prefix takes {_PUTS:,} PUT and {_GETS:,} GET a "
        f"second; a file server is taken to give {_SOURCE_GBPS:.0f} Gb/s. The clips reach neither, "
        f"the weights do: {_WEIGHTS_GB:.1f} GB a node in float32, so {nodes} nodes fetch "
        f"{weights:.0f} GB, nearly as much as all clips, at {gbps:.0f} Gb/s if that is to take "
        f"{_RATES.start_s / 60:.0f} min.\n"
    )
