"""``python -m benchmarks.scale [folder]``: what a build of MA-V's size costs beside its pixels.

50,541 clips are planned and 1,580 receipts resumed, in a folder and on a real S3 server; 2,000 tiny
clips are built; and 8, 64 and 512 GPUs are simulated. Every timed command is a process of its own,
timed from before it starts.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil

from mav_pipeline.cli import load_config
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.manifest import encode_rows
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.storage import LocalStorage, S3Storage, open_output
from tests import seaweed
from tests.fakes import receipt, write_clip

from .page import Row, machine, table, write_section
from .scale_simulated import simulated
from .simulate import CLIPS

_TARS, _SHARDS = 56, 1580
_HEADERS_ON_S3 = 128  # of a tar's 1,805: each is a request, and 101,082 of them take minutes here
_SECONDS, _MEMORY = 20.0, 600.0  # goals of a plan
_RESUME = 10.0  # and of a resume, seconds
#: What a build does before its first shard, with the peak of its memory in MB.
_TIMED = """
import json, resource, sys
from mav_pipeline.cli import load_config
from mav_pipeline.planning.preflight import prepare
prepared = prepare(load_config(sys.argv[1:]), writes=True)
built = prepared.begin()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([peak, len(built.shards), len(prepared.pending)]))
"""


def main() -> None:
    """Runs everything and writes the page."""
    with tempfile.TemporaryDirectory(prefix="mav-scale-") as temporary:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            sys.exit(f"{root} is not empty; name a new or an empty folder")
        rows = [*_folders(root), *_tars(root), *_s3(root), *_many_small(root)]
    head = (
        "A plan of 50,541 clips (a video and a json each, empty) in 1,580 shards, and 2,000 real "
        "clips of 64x48 with `matting=binary`. Times run from the start of the process; a resume "
        "ends once it is known what is pending. The S3 server is SeaweedFS on the same two cores."
    )
    body = f"{head} {machine()}\n\n{table(('what', 'measured', 'goal'), rows)}\n{simulated()}"
    write_section("Scale", body)
    sys.stdout.write(body)


def _names() -> Iterable[str]:
    for number in range(CLIPS):
        place = f"sav_train/sav_{number * _TARS // CLIPS:03d}/sav_{number:06d}"
        yield f"{place}.mp4"
        yield f"{place}_manual.json"


# what is timed


@dataclass(frozen=True, slots=True)
class _Time:
    """Seconds of a process, its peak in MB, and the shards that it found and found pending."""

    seconds: float
    peak: float
    shards: int
    pending: int


def _timed(words: Sequence[str]) -> _Time:
    """From a process's start to a plan that is written, or was before."""
    start = time.perf_counter()
    command = [sys.executable, "-c", _TIMED, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return _Time(time.perf_counter() - start, *json.loads(done.stdout))


def _build(words: Sequence[str]) -> float:
    """Seconds of a whole ``mav build``."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "mav_pipeline", "build", *words]
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def _plan_row(what: str, plan: _Time) -> Row:
    return (
        what,
        f"{plan.seconds:.1f} s, {plan.peak:.0f} MB"
        + _missed(max(plan.seconds / _SECONDS, plan.peak / _MEMORY), 1.0),
        f"<= {_SECONDS:.0f} s, {_MEMORY:.0f} MB",
    )


def _missed(value: float, goal: float) -> str:
    return "" if value <= goal else ": **missed**"


def _set_rows(where: str, words: Sequence[str]) -> list[Row]:
    """Plans; then publishes all shards, as if built, and resumes; then builds: nothing to do."""
    plan = _timed(words)
    assert (plan.shards, plan.pending) == (_SHARDS, _SHARDS)
    final = _publish_all(words)
    resumes = [_timed(words) for _ in range(3)]
    assert all((resume.shards, resume.pending) == (_SHARDS, 0) for resume in resumes)
    resume = statistics.median(resume.seconds for resume in resumes)
    nothing = statistics.median(_build(words) for _ in range(3))
    goal = f"<= {_RESUME:.0f} s"
    return [
        _plan_row(f"plan {where}", plan),
        (f"resume with 1,580 receipts {where}", f"{resume:.1f} s{_missed(resume, _RESUME)}", goal),
        (
            f"`mav build` of the complete set {where}",
            f"{nothing:.1f} s{_missed(nothing, _RESUME)}",
            goal,
        ),
        (f"final files of the complete set {where}, without the report", f"{final:.1f} s", ""),
    ]


def _publish_all(words: Sequence[str]) -> float:
    """Gives every shard a receipt and rows, as if built; returns seconds of the final files."""
    settings = load_config(words)
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
    start = time.perf_counter()
    finalize(built)
    took = time.perf_counter() - start
    storage.put(f"{layout.REPORT}/index.html", b"")
    assert built.report().state == "complete"
    return took


# where the clips lie


def _folders(root: Path) -> list[Row]:
    source = root / "tree"
    for name in _names():
        path = source / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.touch()
    words = (f"source.root={source}", f"output.root={root / 'out'}", "matting=binary")
    return _set_rows("in a folder tree", words)


def _tars(root: Path) -> list[Row]:
    """The same clips in tars as large as the official ones, with holes in the place of data."""
    source = root / "tars"
    source.mkdir()
    for folder, names in _by_tar():
        _write_tar(source / f"{folder}.tar", names, {".mp4": 9_000_000, ".json": 100_000})
    words = (f"source.root={source}", f"output.root={root / 'out-tars'}", "matting=binary")
    first, again = _timed(words), _timed(words)
    assert (first.shards, again.pending) == (_SHARDS, _SHARDS)
    shutil.rmtree(source)
    return [
        _plan_row("plan from 56 tars of 8 GB in a folder, 101,082 headers", first),
        _plan_row("the same again, the index in plan.parquet", again),
    ]


def _by_tar() -> Iterable[tuple[str, list[str]]]:
    for folder, names in itertools.groupby(_names(), key=lambda name: name.split("/")[1]):
        yield folder, list(names)


def _write_tar(path: Path, names: Sequence[str], sizes: dict[str, int]) -> None:
    """A tar of headers: the data of members are holes, and cost no disk."""
    with path.open("wb") as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = sizes[Path(name).suffix]
            file.write(info.tobuf())
            file.seek(-(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE, os.SEEK_CUR)
        file.write(bytes(2 * tarfile.BLOCKSIZE))


def _s3(root: Path) -> list[Row]:
    with seaweed.running() as server:
        client = server.client()
        client.create_bucket(Bucket="mav")
        client.close()
        os.environ.update(seaweed.ENV)
        start = time.perf_counter()
        with ProcessPoolExecutor(2) as pool:  # one process of boto3 fills a core
            names = list(_names())
            upload = partial(_upload, server.endpoint_url)
            list(pool.map(upload, (names[::2], names[1::2])))
        took = time.perf_counter() - start
        common = ("matting=binary", f"storage.endpoint_url={server.endpoint_url}")
        words = ("source.root=s3://mav/tree", "output.root=s3://mav/out", *common)
        rows = _set_rows("on S3", words)
        note = ("uploading these 101,082 empty objects, 32 threads", f"{took:.0f} s", "")
        return [*rows, note, *_tars_on_s3(root, server.endpoint_url, common)]


def _upload(endpoint: str, names: Sequence[str]) -> None:
    storage = S3Storage("s3://mav/tree", endpoint)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: storage.put(name, b""), names))


def _tars_on_s3(root: Path, endpoint: str, common: Sequence[str]) -> list[Row]:
    """Tars with the first of their clips, members just so large that each header is a request."""
    storage = S3Storage("s3://mav/tars", endpoint)
    path = root / "one.tar"
    for folder, names in _by_tar():
        _write_tar(path, names[:_HEADERS_ON_S3], {".mp4": 10_240, ".json": 10_240})
        with path.open("rb") as file:
            storage.publish(file, f"{folder}.tar")
    path.unlink()
    words = ("source.root=s3://mav/tars", "output.root=s3://mav/out-tars", *common)
    plan, again = _timed(words), _timed(words)
    asked = _TARS * _HEADERS_ON_S3
    scaled = (plan.seconds - again.seconds) * 2 * CLIPS / asked + again.seconds
    return [
        (
            f"plan from 56 tars on S3, {asked:,} of 101,082 headers",
            f"{plan.seconds:.1f} s; **scaled** to all: {scaled:.0f} s{_missed(scaled, _SECONDS)}",
            f"<= {_SECONDS:.0f} s",
        ),
        ("the same again, the index in plan.parquet", f"{again.seconds:.1f} s", ""),
    ]


# many small clips


def _many_small(root: Path) -> list[Row]:
    source, out = root / "small", root / "out-small"
    write_clip(source, "sav_000000")
    for number in range(1, 2000):
        for suffix in (".mp4", "_manual.json"):
            os.link(source / f"sav_000000{suffix}", source / f"sav_{number:06d}{suffix}")
    words = (f"source.root={source}", f"output.root={out}", "matting=binary")
    command = [sys.executable, "-m", "mav_pipeline", "build", *words, "output.clips_per_shard=20"]
    build = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process, samples = psutil.Process(build.pid), []
    while build.poll() is None:
        time.sleep(0.2)
        published = len(list(out.glob("shards/mav-??????.json")))
        try:
            samples.append((20 * published, process.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            break
    assert build.wait() == 0
    built = BuiltSet.open(LocalStorage(out))
    times = sorted(
        datetime.fromisoformat(found.published_at).timestamp()
        for found in built.receipts().values()
    )
    first, last = times[24] - times[0], times[-1] - times[-25]  # 24 shards of 20 clips each
    ratio = last / first
    early = statistics.median(rss for clips, rss in samples if 400 <= clips < 600)
    late = statistics.median(rss for clips, rss in samples if 1800 <= clips < 2000)
    return [
        (
            "2,000 clips: time of the last 480 / the first 480",
            f"{last:.1f} s / {first:.1f} s = {ratio:.2f}x{_missed(ratio, 1.1)}",
            "<= 1.1x",
        ),
        ("resident memory at 500 clips, at 1,900", f"{early:.0f} MB, {late:.0f} MB", "flat"),
    ]


if __name__ == "__main__":
    main()
