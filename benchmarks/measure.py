"""The measurements of ``make bench``; each returns rows for the tables in docs/benchmarks.md."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.final import finalize
from mav_pipeline.evaluate.metrics import METRICS, MetricSums
from mav_pipeline.matting.registry import open_backend
from mav_pipeline.media.decode import alpha_rate
from mav_pipeline.media.encode import AlphaEncoder
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.media.video import annotated_frames, probe_video
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.runtime.driver import run_shards
from mav_pipeline.runtime.local import LocalPool
from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.workers import WorkerPool, patient_output
from mav_pipeline.schema import ClipRef, LoadedClip
from mav_pipeline.sources.registry import open_source
from scripts.calibration.cases import corpus, matte

from .corpus import config

REPEATS = 3


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Pins this process to its first core, so that rates are rates of one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def planned(settings: RunConfig) -> list[ClipRef]:
    """Every clip that a build would take."""
    return [*prepare(settings, writes=False).plan.clips()]


def load(settings: RunConfig) -> list[LoadedClip]:
    """The planned clips, in memory."""
    source = open_source(settings)
    rule = settings.matting.size_rule(1)
    loaded = (source.load(ref, rule) for ref in planned(settings))
    return [LoadedClip(one.clip, [*one.frames]) for one in loaded]


def bare_rate(settings: RunConfig, clips: list[LoadedClip]) -> float:
    """Alpha frames/s of the backend alone on clips already in memory."""
    backend = open_backend(settings.matting)
    backend.setup()
    frames, start = 0, time.perf_counter()
    for loaded in clips:
        wanted = [masklet for masklet in loaded.clip.masklets if masklet.problem is None]
        made = backend.matte(loaded.clip, iter(loaded.frames), wanted)
        frames += sum(len(matte.alpha) for matte in made)
    seconds = time.perf_counter() - start
    backend.close()
    return frames / seconds


def build_rate(
    settings: RunConfig, pool_of: Callable[[RunConfig], WorkerPool]
) -> tuple[float, dict[str, float]]:
    """Alpha frames/s of a whole build, from the first shard handed out to the last receipt.

    Starting workers is left out: it is paid once, not by the frame.
    """
    shutil.rmtree(str(settings.output.root), ignore_errors=True)
    prepared = prepare(settings, writes=True)
    with contextlib.closing(pool_of(settings)) as pool:
        begun = prepared.begin(pool.start(lambda: None))
        built, tasks = begun.built, [Task(shard) for shard in prepared.pending]
        pool.begin(begun.config, begun.stamp)
        start = time.perf_counter()
        run_shards(pool, tasks, patient_output(settings, threading.Event()), settings, [])
        seconds = time.perf_counter() - start
    report = built.report()
    assert report.state == "complete"
    return report.frames / seconds, dict(report.stages_s)


def ray_pool(settings: RunConfig) -> WorkerPool:
    from mav_pipeline.runtime.ray.pool import RayPool

    return RayPool(settings)


def bare_apart(source: Path, processes: int) -> float:
    """Alpha frames/s of so many processes that run the backend alone, a core each, at once."""
    code = (
        "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); "
        "from benchmarks import measure; "
        "settings = measure.config('source.root=' + sys.argv[2], 'output.root=unused'); "
        "clips = measure.load(settings)[:2]; "
        "sys.stdout.write(str(measure.bare_rate(settings, clips)))"
    )
    cores = sorted(os.sched_getaffinity(0))[:processes]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(core), str(source)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in cores
    ]
    return sum(float(process.communicate()[0]) for process in running)


def closed_form(source: Path, out: Path) -> list[tuple[str, str, str]]:
    """A build against its bare backend, and what full scores cost of it."""
    keys = (f"source.root={source}", f"output.root={out}")
    settings = config(*keys)
    clips = load(settings)
    split = config(*keys, "output.clips_per_shard=1")
    two = config(*keys, "output.clips_per_shard=1", "runtime=ray", "runtime.num_workers=2")
    bare, pinned, free, gains, shares, machine = [], [], [], [], [], []
    for _ in range(REPEATS):
        with one_core():
            bare.append(bare_rate(settings, clips))
            rate, stages = build_rate(split, LocalPool)
        pinned.append(rate / bare[-1])
        shares.append(stages["score"] / sum(stages.values()))
        free.append(build_rate(settings, LocalPool)[0] / bare[-1])
        gains.append(build_rate(two, ray_pool)[0] / rate)
        machine.append(bare_apart(source, 2) / bare_apart(source, 1))
    return [
        ("closed_form alone, one core", f"{median(bare):.2f} alpha frames/s", ""),
        ("build / backend alone, one worker", f"{median(free):.3f}", ">= 0.90"),
        ("the same, all of the worker's threads on one core", f"{median(pinned):.3f}", ""),
        ("two Ray workers / one worker on one core", f"{median(gains):.2f}x", ">= 1.8x"),
        ("two backends alone / one, a core each (the machine)", f"{median(machine):.2f}x", ""),
        ("full scores / busy time of the build", f"{median(shares):.1%}", "<= 10%"),
    ]


def floor(source: Path, out: Path) -> list[tuple[str, str, str]]:
    """The first half of point 3: a binary build against decoding and encoding alone."""
    keys = (f"source.root={source}", f"output.root={out}", "output.clips_per_shard=1")
    settings = config(*keys, "matting=binary", "quality.scores=basic")
    masks = [
        [[rle and decode_rle(rle) for rle in m.rles] for m in clip.masklets if not m.problem]
        for clip in load(settings)
    ]
    ratios, alone = [], []
    with one_core():
        for _ in range(REPEATS):
            start = time.perf_counter()
            frames = sum(
                _decode_encode(settings, source, ref, shown)
                for ref, shown in zip(planned(settings), masks, strict=True)
            )
            alone.append(frames / (time.perf_counter() - start))
            ratios.append(alone[-1] / build_rate(settings, LocalPool)[0])
    return [
        ("decode and FFV1-encode alone, one core", f"{median(alone):.1f} alpha frames/s", ""),
        ("binary build, basic scores / that", f"{median(ratios):.2f}x the time", "<= 2.5x"),
    ]


def metrics(source: Path) -> list[tuple[str, str, str]]:
    """All metrics of ``mav evaluate`` together, on mattes and truth that lie in memory."""
    pairs = [
        (matte(name, clip, masklet), truths[masklet.name])
        for clip, truths in corpus(source, source.parent / "alpha_gt")
        for masklet in clip.masklets
        if masklet.name in truths
        for name in ("binary", "closed_form")
    ]
    rates = []
    with one_core():
        for _ in range(REPEATS):
            start = time.perf_counter()
            for alphas, truth in pairs:
                sums = MetricSums()
                for index, (alpha, true) in enumerate(zip(alphas, truth, strict=True)):
                    sums.add(index, alpha, true)
            rates.append(sum(len(truth) for _, truth in pairs) / (time.perf_counter() - start))
    what = f"all {len(METRICS)} metrics of `mav evaluate`, 1024x576, one core"
    return [(what, f"{median(rates):.0f} frames/s", ">= 25")]


def _decode_encode(
    settings: RunConfig, source: Path, ref: ClipRef, masks: list[list[np.ndarray | None]]
) -> int:
    (video,) = ref.role("video")
    data = (source / video.uri).read_bytes()
    decoded = probe_video(data, step=4, annotated=len(masks[0]), max_pixels=10**8)
    size = settings.matting.size_rule(1)(decoded.height, decoded.width)
    for _ in annotated_frames(data, decoded, size):
        pass
    frames = 0
    empty = np.zeros((decoded.height, decoded.width), np.uint8)
    for shown in masks:
        encoder = AlphaEncoder(
            decoded.height, decoded.width, alpha_rate(decoded.fps, 4), io.BytesIO()
        )
        for mask in shown:
            frames += mask is not None
            encoder.write(empty if mask is None else mask.view(np.uint8) * np.uint8(255))
        encoder.close()
    return frames


def memory(source: Path, out: Path, matting: str, *words: str) -> float:
    """GB of peak memory of a worker above the backend's own, in a process of its own."""
    code = (
        "import sys; from benchmarks.measure import peak; "
        f"sys.stdout.write(str(peak{(str(source), str(out), matting, *words)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def peak(source: str, out: str, matting: str, *words: str) -> float:
    """Builds one shard here; returns GB of VmHWM above what the process had after ``setup``."""
    chosen = (f"source.root={source}", f"output.root={out}", f"matting={matting}", *words)
    settings = config(*chosen)
    shutil.rmtree(out, ignore_errors=True)
    prepared = prepare(settings, writes=True)
    with contextlib.closing(LocalPool(prepared.config)) as pool:
        begun = prepared.begin(pool.start(lambda: None))
        pool.begin(begun.config, begun.stamp)
        before = _high_water()
        tasks = [Task(spec) for spec in prepared.pending]
        run_shards(pool, tasks, patient_output(settings, threading.Event()), settings, [])
    finalize(begun.built)
    assert begun.built.report().clips["published"] == len(planned(settings))
    return (_high_water() - before) / 1e9


def _high_water() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")
