"""A build of MA-V's size on 8, 64 and 512 GPUs, as a small discrete-event simulation.

Pure: what a plan holds, how fast a GPU is and how often a spot node goes come in as numbers.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

_CLIPS, _PER_SHARD = 50_541, 32
_MASKLETS, _SECONDS, _FPS = 3.8, 14.0, 6.0  # manual masklets a clip, mean length, annotated rate
_SPREAD = 0.5  # sigma of the lognormal clip lengths


@dataclass(frozen=True, slots=True)
class Rates:
    """What is assumed or measured.

    Attributes:
        frames_per_s: alpha frames a GPU makes in a second.
        start_s: until a worker has its weights.
        losses_per_hour: of one spot node.
        back_s: until the autoscaler has another node in its place.
    """

    frames_per_s: float
    start_s: float = 120.0
    losses_per_hour: float = 0.02
    back_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it; hours of wall time, and GPU-hours held, at work, idle at the end, lost."""

    wall_h: float
    held_h: float
    work_h: float
    tail_h: float
    lost_h: float
    losses: int


def shard_frames(seed: int = 0) -> list[float]:
    """Alpha frames of each of the 1,580 shards, by SA-V's means."""
    draw = random.Random(seed)
    mean = _MASKLETS * _SECONDS * _FPS
    clips = [mean * draw.lognormvariate(-(_SPREAD**2) / 2, _SPREAD) for _ in range(_CLIPS)]
    return [sum(clips[first : first + _PER_SHARD]) for first in range(0, _CLIPS, _PER_SHARD)]


def simulate(frames: Sequence[float], gpus: int, rates: Rates, seed: int = 0) -> Run:
    """Workers pull shards; a lost node gives its shard back and comes again after a while."""
    draw = random.Random(seed)
    waiting = list(reversed(frames))
    free = [(rates.start_s, number) for number in range(min(gpus, len(frames)))]
    heapq.heapify(free)
    ends: list[float] = []
    work = lost = 0.0
    losses = 0
    while waiting:
        now, worker = heapq.heappop(free)
        shard = waiting.pop()
        needs = shard / rates.frames_per_s
        rate = rates.losses_per_hour / 3600
        goes = draw.expovariate(rate) if rate > 0 else float("inf")
        if goes < needs:
            waiting.append(shard)
            lost += goes
            losses += 1
            heapq.heappush(free, (now + goes + rates.back_s + rates.start_s, worker))
            continue
        work += needs
        ends.append(now + needs)
        heapq.heappush(free, (now + needs, worker))
    wall = max(ends)
    last = {worker: min(at, wall) for at, worker in free}
    tail = sum(wall - at for at in last.values())
    hour = 3600
    held = wall * len(last)
    return Run(wall / hour, held / hour, work / hour, tail / hour, lost / hour, losses)
