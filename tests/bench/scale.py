"""``python -m tests.bench.scale [folder]``: what a build of MA-V's size costs beside its pixels.

50,541 clips are planned and 1,580 receipts resumed, in a folder and on a real S3 server; 2,000 tiny
clips are built; and 8, 64 and 512 GPUs are simulated. Every timed command is a process of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import psutil

from mav_pipeline.cli import load_config
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.manifest import encode_rows
from mav_pipeline.runtime.crew import open_output
from mav_pipeline.runtime.preflight import prepare
from mav_pipeline.storage import LocalStorage, S3Storage, Storage
from tests import seaweed
from tests.fakes import receipt, write_clip

from .page import Row, machine, table, write_section
from .simulate import Rates, shard_frames, simulate

_CLIPS, _TARS = 50_541, 56
_TIMED = """
import json, resource, sys, time
begun = time.perf_counter()
from mav_pipeline.cli import load_config
from mav_pipeline.runtime.preflight import prepare
prepared = prepare(load_config(sys.argv[1:]), writes=True)
built = prepared.begin()
assert len(built.shards) == 1580, len(built.shards)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - begun, peak, len(prepared.pending)]))
"""


def main() -> None:
    """Runs everything and writes the page."""
    with tempfile.TemporaryDirectory(prefix="mav-scale-") as temporary:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        rows = [*_folders(root), *_tars(root), *_s3(root), *_many_small(root)]
    head = (
        "A plan of 50,541 clips (a video and a json each, empty) in 1,580 shards, and 2,000 real "
        "clips of 64x48 with `matting=binary`. The S3 server is SeaweedFS on the same two cores."
    )
    body = f"{head} {machine()}\n\n{table(('what', 'measured', 'goal'), rows)}\n{_simulated()}"
    write_section("Scale", body)
    sys.stdout.write(body)


def _names() -> Iterable[str]:
    for number in range(_CLIPS):
        place = f"sav_train/sav_{number * _TARS // _CLIPS:03d}/sav_{number:06d}"
        yield f"{place}.mp4"
        yield f"{place}_manual.json"


# plan and resume


def _folders(root: Path) -> list[Row]:
    source, out = root / "tree", root / "out"
    for name in _names():
        path = source / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.touch()
    words = (f"source.root={source}", f"output.root={out}", "matting=binary")
    plan = _timed(words)
    _publish_all(words)
    return _rows("in a folder tree", plan, _timed(words), _nothing_to_do(words))


def _s3(root: Path) -> list[Row]:
    with seaweed.running() as server:
        client = server.client()
        client.create_bucket(Bucket="mav")
        os.environ.update(seaweed.ENV)
        names = list(_names())
        with ProcessPoolExecutor(2) as pool:
            half = len(names) // 2
            parts = [(server.endpoint_url, part) for part in (names[:half], names[half:])]
            list(pool.map(_upload, parts))
        words = (
            *("source.root=s3://mav/tree", "output.root=s3://mav/out", "matting=binary"),
            f"storage.endpoint_url={server.endpoint_url}",
        )
        plan = _timed(words)
        _publish_all(words)
        rows = _rows("on S3", plan, _timed(words), _nothing_to_do(words))
        client.close()
        return rows


def _upload(part: tuple[str, list[str]]) -> None:
    endpoint, names = part
    storage = S3Storage("s3://mav/tree", endpoint)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put(name, b""), names))


def _tars(root: Path) -> list[Row]:
    """The same clips in 56 tars, 10 KB a member, so that each header costs a read of its own."""
    source = root / "tars"
    source.mkdir(parents=True)
    for folder, names in itertools.groupby(_names(), key=lambda name: name.split("/")[1]):
        with tarfile.open(source / f"{folder}.tar", "w") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = 10_240
                tar.addfile(info, _Zeros(info.size))
    words = (f"source.root={source}", f"output.root={root / 'out-tars'}", "matting=binary")
    first, again = _timed(words), _timed(words)
    return [
        ("plan from 56 tars, 101,082 headers", f"{first[0]:.1f} s, {first[1]:.0f} MB", ""),
        ("the same again, the index in plan.parquet", f"{again[0]:.1f} s", ""),
    ]


class _Zeros:
    """A file of zeros."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, count: int) -> bytes:
        count = min(count, self._left)
        self._left -= count
        return bytes(count)


def _timed(words: Iterable[str]) -> tuple[float, float, int]:
    """Seconds and peak MB from a process's start to a plan that is written; what is pending."""
    command = [sys.executable, "-c", _TIMED, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak, pending = json.loads(done.stdout)
    return float(seconds), float(peak), int(pending)


def _nothing_to_do(words: Iterable[str]) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "mav_pipeline", "build", *words]
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def _rows(where: str, plan: tuple[float, float, int], resume: object, nothing: float) -> list[Row]:
    assert isinstance(resume, tuple)
    assert (plan[2], resume[2]) == (1580, 0)
    return [
        (f"plan {where}", f"{plan[0]:.1f} s, {plan[1]:.0f} MB", "<= 20 s, 600 MB"),
        (f"resume with 1,580 receipts {where}", f"{resume[0]:.1f} s", "<= 10 s"),
        (f"`mav build` of the complete set {where}", f"{nothing:.1f} s", ""),
    ]


def _publish_all(words: Iterable[str]) -> None:
    """Gives every shard a receipt and rows, as if it had been built, and the final files."""
    settings = load_config(list(words))
    storage = open_output(settings)
    prepared = prepare(settings, writes=False)
    built = BuiltSet(storage, prepared.run, prepared.plan)

    def publish(index: int) -> None:
        shard = built.shards[index]
        rows = encode_rows(
            {"key": c.video_id, "video_id": c.video_id, "status": "accepted", "reasons": []}
            | {"masklet": "manual_000", "kind": "manual", "shard": shard.name}
            for c in shard.clips
        )
        count = len(shard.clips)
        found = receipt(
            shard.name,
            fingerprint=prepared.fingerprint,
            clips={"planned": count, "published": count, "failed": 0, "skipped": 0, "samples": 0},
            masklets={"accepted": count, "rejected": 0, "skipped": 0, "failed": 0},
        )
        storage.put(layout.data(found.manifest.name), rows)
        storage.put(layout.data(found.tar.name), b"")
        storage.put(layout.receipt(shard.name), json.dumps(found.to_json()).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(len(built.shards))))
    _final(storage, built)


def _final(storage: Storage, built: BuiltSet) -> None:
    finalize(built)
    storage.put(f"{layout.REPORT}/index.html", b"")


# many small clips


def _many_small(root: Path) -> list[Row]:
    source, out = root / "small", root / "out-small"
    first = write_clip(source, "sav_000000")
    for number in range(1, 2000):
        for suffix in (".mp4", "_manual.json"):
            os.link(source / f"sav_000000{suffix}", source / f"sav_{number:06d}{suffix}")
    assert first.exists()
    words = (f"source.root={source}", f"output.root={out}", "matting=binary")
    command = [sys.executable, "-m", "mav_pipeline", "build", *words, "output.clips_per_shard=20"]
    build = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process, samples = psutil.Process(build.pid), []
    while build.poll() is None:
        time.sleep(0.2)
        with_receipt = len(list(out.glob("shards/mav-??????.json")))
        try:
            samples.append((with_receipt, process.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            break
    assert build.returncode == 0
    built = BuiltSet.open(LocalStorage(out))
    times = sorted(
        datetime.fromisoformat(found.published_at).timestamp()
        for found in built.receipts().values()
    )
    ratio = (times[-1] - times[-25]) / (times[24] - times[0])
    early = statistics.median(rss for count, rss in samples if 20 <= count < 30)
    late = statistics.median(rss for count, rss in samples if 90 <= count < 100)
    return [
        ("2,000 clips: time of the last 500 / the first 500", f"{ratio:.2f}x", "<= 1.1x"),
        ("resident memory at 500 clips, at 1,900", f"{early:.0f} MB, {late:.0f} MB", "flat"),
    ]


# simulation


def _simulated() -> str:
    work_tflop, share, peak_tflops = 12.4, 0.4, 989.0
    rates = Rates(frames_per_s=peak_tflops * share / work_tflop)
    frames = shard_frames()
    source_gb, out_gb = 50_541 * 9e6 / 1e9, (50_541 * 9e6 + sum(frames) * 13.4e3) / 1e9
    rows: list[Row] = []
    for gpus in (8, 64, 512):
        run = simulate(frames, gpus, rates)
        bits = (source_gb + out_gb) * 8 / (run.wall_h * 3600)
        requests = (2 * _CLIPS + 6 * 1580) / (run.wall_h * 3600)
        idle = run.tail_h / run.held_h
        limit = "the GPUs" if idle < 0.05 else "the tail: few shards a worker, so smaller shards"
        rows.append(
            (
                str(gpus),
                f"{run.held_h:.0f}",
                f"{run.wall_h:.1f} h",
                f"{idle:.1%}",
                f"{run.losses}, {run.lost_h:.1f} h",
                f"{bits:.2f} Gb/s",
                f"{requests:.1f}",
                limit,
            )
        )
    # 8 MB parts; $ per 1,000: PUT .005, GET .0004
    puts = out_gb * 1e9 / (8 << 20) + 4 * 1580
    gets = 2 * _CLIPS + 2 * _CLIPS + 5 * 1580
    cost = puts / 1000 * 0.005 + gets / 1000 * 0.0004
    text = (
        "### Simulated: MA-V on 8, 64 and 512 GPUs\n\n"
        f"{_CLIPS:,} clips of 3.8 masklets, 14 s on average, in 1,580 shards: {sum(frames):,.0f} "
        f"alpha frames. **Assumed, not measured:** {rates.frames_per_s:.0f} alpha frames/s a GPU, "
        f"which is {work_tflop} TFLOP a frame (1024x576, RGB latents shared by 4 masklets) at "
        f"{share:.0%} of an H100's {peak_tflops:.0f} bf16 TFLOP/s; {rates.losses_per_hour:.0%} of "
        f"spot nodes lost an hour, {rates.back_s / 60:.0f} min to replace one, "
        f"{rates.start_s / 60:.0f} min to start. Data: {source_gb:.0f} GB in, {out_gb:.0f} GB out "
        "(9 MB a video, stored again; 13.4 KB an alpha frame).\n\n"
    )
    head = (
        *("GPUs", "GPU-hours held", "wall", "idle at the end", "nodes lost, work lost"),
        *("network", "S3 requests/s", "bottleneck"),
    )
    tail = (
        f"\nS3 requests in all: {puts:,.0f} PUT and {gets:,.0f} GET (two a clip to read, two to "
        f"index tars), about ${cost:.2f} at $0.005 and $0.0004 a thousand; a prefix takes 3,500 "
        "PUT and 5,500 GET a second, so requests are far from a limit at every size. With 512 GPUs "
        "a worker sees three shards; `output.clips_per_shard=8` quarters the tail.\n"
    )
    return text + table(head, rows) + tail


if __name__ == "__main__":
    main()
