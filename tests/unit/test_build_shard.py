"""One shard: every clip accounted for, the same bytes each time, all published or nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mav_pipeline.build.kept import KeptShard
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.dataset.receipts import read_receipt, sweep
from mav_pipeline.dataset.shard_tar import read_samples
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.media.sizing import SizeRule
from mav_pipeline.planning.plan import make_plan, select
from mav_pipeline.schema import STAGES, Clip, ClipRef, Problem, ShardReceipt, ShardSpec
from mav_pipeline.schema.errors import (
    BackendError,
    InputError,
    Interrupted,
    ShardError,
    TransientError,
)
from mav_pipeline.sources.registry import open_source
from mav_pipeline.storage import LocalStorage, Output
from tests.fakes import (
    STAMP,
    FailingSource,
    FakeBackend,
    FakeStop,
    config,
    decode_sample,
    moving_box,
    open_builder,
    receipt,
    write_clip,
)

IDS = [f"sav_{number:06d}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips, read-only: good; corrupt; unannotated; one masklet good, one empty; good."""
    root = tmp_path_factory.mktemp("clips")
    write_clip(root, IDS[0], {0: moving_box(3), 1: moving_box(3, top=20)})
    write_clip(root, IDS[1]).write_bytes(b"no video")
    write_clip(root, IDS[2], kind="auto")
    write_clip(root, IDS[3], {0: moving_box(5), 7: [None] * 5})
    write_clip(root, IDS[4])
    return root


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run_config(clips: Path, out: Path, **keys: Any) -> Any:
    return config({"source.root": str(clips), "output.root": str(out), **keys})


def spec(clips: Path) -> ShardSpec:
    run = run_config(clips, clips)
    (shard,) = make_plan(select(open_source(run).discover().clips), 32, {}).shards
    return shard


def build(
    clips: Path,
    out: Path,
    *,
    backend: FakeBackend | None = None,
    load_errors: dict[str, BaseException] | None = None,
    keys: dict[str, Any] | None = None,
) -> ShardReceipt:
    run = run_config(clips, out, **(keys or {}))
    source = FailingSource(open_source(run), load_errors or {})
    with open_builder(run, backend=backend, source=source) as builder:
        return builder.build(spec(clips), STAMP)


def rows(out: Path, found: ShardReceipt) -> list[dict[str, Any]]:
    data = (out / layout.data(found.manifest.name)).read_bytes()
    return list(decode_rows(data).to_pylist())


def samples(out: Path, found: ShardReceipt) -> dict[str, dict[str, bytes]]:
    with (out / layout.data(found.tar.name)).open("rb") as file:
        return dict(read_samples(file))


def files(out: Path) -> list[str]:
    return [entry.name for entry in LocalStorage(out).entries()] if out.exists() else []


def outcomes(out: Path, found: ShardReceipt) -> list[tuple[str, str | None, str, list[str]]]:
    return [
        (row["video_id"][-1], row["masklet"], row["status"], row["reasons"])
        for row in rows(out, found)
    ]


GOOD_ROWS = [
    ("1", "manual_000", "accepted", []),
    ("1", "manual_001", "accepted", []),
    ("2", None, "failed", ["corrupt"]),
    ("3", None, "skipped", ["no_annotation"]),
    ("4", "manual_000", "accepted", []),
    ("4", "manual_007", "skipped", ["empty"]),
    ("5", "manual_000", "accepted", []),
]


def conserves(out: Path, found: ShardReceipt) -> None:
    """Nothing vanishes: receipt, rows and samples tell the same story."""
    counts, found_rows = found.clips, rows(out, found)
    assert counts["planned"] == counts["published"] + counts["failed"] + counts["skipped"]
    assert counts["planned"] == len({row["video_id"] for row in found_rows}) == len(IDS)
    statuses = Counter(row["status"] for row in found_rows if row["masklet"] is not None)
    assert {key: n for key, n in found.masklets.items() if n} == dict(statuses)
    whole = Counter(row["status"] for row in found_rows if row["masklet"] is None)
    assert (counts["failed"], counts["skipped"]) == (whole["failed"], whole["skipped"])
    assert all(row["reasons"] for row in found_rows if row["status"] != "accepted")
    assert counts["samples"] == len(samples(out, found))


# what is built


def test_every_planned_clip_has_its_rows_in_plan_order(clips: Path, out: Path) -> None:
    found = build(clips, out)
    assert outcomes(out, found) == GOOD_ROWS
    conserves(out, found)
    assert dict(found.clips) == {
        "planned": 5,
        "published": 3,
        "failed": 1,
        "skipped": 1,
        "samples": 3,
    }
    assert found.frames == 3 + 3 + 5 + 3


def test_the_receipt_names_what_lies_there_and_nothing_else_does(clips: Path, out: Path) -> None:
    found = build(clips, out)
    expected = [layout.receipt("mav-000000")]
    expected += [layout.data(name) for name in (found.tar.name, found.manifest.name)]
    assert sorted(files(out)) == sorted(expected)
    stored = json.loads((out / layout.receipt("mav-000000")).read_text())
    assert ShardReceipt.from_json(stored) == found
    for file in (found.tar, found.manifest):
        assert (out / layout.data(file.name)).stat().st_size == file.bytes
        assert file.name.startswith(f"mav-000000-{file.sha256[:16]}.")
    assert tuple(found.stages_s) == STAGES
    assert found.notes == ("fake",)


def test_alpha_comes_back_at_source_size_without_the_padding(clips: Path, out: Path) -> None:
    found = build(clips, out, backend=FakeBackend(multiple=32))
    _, masklets = decode_sample(samples(out, found)[IDS[3]])
    (masklet,) = masklets
    assert masklet.alpha.shape == (5, 48, 64)
    for alpha, rle in zip(masklet.alpha, masklet.rles, strict=True):
        assert rle is not None
        np.testing.assert_array_equal(alpha, decode_rle(rle) * np.uint8(255))


def test_invisible_frames_are_transparent_though_a_backend_fills_them(
    tmp_path: Path, out: Path
) -> None:
    box = moving_box(6)
    write_clip(tmp_path / "in", "a", {0: [None, box[1], None, box[3], box[4], None]})
    run = run_config(tmp_path / "in", out)
    with open_builder(run) as builder:
        found = builder.build(spec(tmp_path / "in"), STAMP)
    (masklet,) = decode_sample(samples(out, found)["a"])[1]
    shown = [bool(alpha.any()) for alpha in masklet.alpha]
    assert shown == [False, True, False, True, True, False]
    assert found.frames == 3
    (row,) = rows(out, found)
    assert row["mask_j"] == row["mask_iou"] == 1


def test_a_backend_is_asked_for_good_clips_only_in_plan_order(clips: Path, out: Path) -> None:
    backend = FakeBackend()
    build(clips, out, backend=backend)
    assert backend.seen == [IDS[0], IDS[3], IDS[4]]
    assert backend.ready
    assert backend.closed


def test_rejected_mattes_have_rows_and_no_sample_unless_they_are_kept(
    clips: Path, tmp_path: Path
) -> None:
    for kept in (False, True):
        out = tmp_path / str(kept)
        keys = {"quality.keep_rejected": kept}
        found = build(clips, out, backend=FakeBackend(shift=20), keys=keys)
        conserves(out, found)
        assert found.masklets == {"accepted": 0, "rejected": 4, "skipped": 1, "failed": 0}
        assert found.clips["published"] == 3
        assert len(samples(out, found)) == (3 if kept else 0)
        assert {reason for row in rows(out, found) for reason in row["reasons"]} >= {
            "outside_mass",
            "core_loss",
        }


@pytest.mark.parametrize("shift", [0, 20], ids=["accepted", "rejected"])
def test_the_receipt_counts_the_reasons_that_the_rows_name(
    clips: Path, out: Path, shift: int
) -> None:
    found = build(clips, out, backend=FakeBackend(shift=shift, failures={"manual_001": "black"}))
    named = Counter(reason for row in rows(out, found) for reason in row["reasons"])
    assert found.reasons == named
    assert {"corrupt", "no_annotation", "empty", "black"} <= set(named)
    assert ("core_loss" in named) == (shift > 0)


# the same bytes


def test_bytes_depend_on_neither_time_nor_threads_nor_place(clips: Path, tmp_path: Path) -> None:
    names = set()
    for threads, place in ((1, "a"), (1, "b"), (3, "c")):
        found = build(clips, tmp_path / place, keys={"runtime.encode_threads": threads})
        names.add((found.tar.sha256, found.manifest.sha256))
    assert len(names) == 1


def test_rows_and_samples_hold_no_path_of_the_machine(clips: Path, out: Path) -> None:
    found = build(clips, out)
    text = json.dumps(rows(out, found)) + str([s["json"] for s in samples(out, found).values()])
    for secret in (str(clips), str(out), "/tmp"):
        assert secret not in text


READ = """
import json, sys, webdataset
for sample in webdataset.WebDataset([sys.argv[1]], shardshuffle=False):
    print(json.dumps([sample["__key__"], sorted(k for k in sample if k[0] != "_")]))
"""


def test_plain_webdataset_finds_the_samples(clips: Path, out: Path) -> None:
    found = build(clips, out)
    tar = out / layout.data(found.tar.name)
    # in a process of its own: webdataset leaves closing its files to the collector
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tar)], capture_output=True, text=True, check=True
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        [IDS[0], ["json", "manual_000.alpha.mkv", "manual_001.alpha.mkv", "rgb.mp4"]],
        [IDS[3], ["json", "manual_000.alpha.mkv", "rgb.mp4"]],
        [IDS[4], ["json", "manual_000.alpha.mkv", "rgb.mp4"]],
    ]


# what goes wrong with one clip stays with it


@pytest.mark.parametrize("video_id", [IDS[0], IDS[3], IDS[4]], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("rle", "it is broken", role="manual", stage="masks"), "rle"),
        (KeyError("masklet"), "unexpected"),
        (RuntimeError("a library's own"), "unexpected"),
    ],
)
def test_a_clip_that_cannot_be_loaded_is_a_row_and_the_rest_goes_on(
    clips: Path,
    out: Path,
    video_id: str,
    error: Exception,
    reason: str,
) -> None:
    found = build(clips, out, load_errors={video_id: error})
    conserves(out, found)
    number = video_id[-1]
    expected = [row for row in GOOD_ROWS if row[0] != number] + [(number, None, "failed", [reason])]
    assert sorted(outcomes(out, found)) == sorted(expected)
    (row,) = [row for row in rows(out, found) if row["video_id"] == video_id]
    assert row["error"]
    assert ("masks of manual: it is broken" in row["error"]) == (reason == "rle")


@pytest.mark.parametrize("video_id", [IDS[0], IDS[3], IDS[4]], ids=["first", "middle", "last"])
def test_a_clip_that_cannot_be_matted_fails_its_masklets_and_no_others(
    clips: Path, out: Path, video_id: str
) -> None:
    backend = FakeBackend(errors={video_id: BackendError("device_memory", "out of memory")})
    found = build(clips, out, backend=backend)
    conserves(out, found)
    expected = [
        (number, masklet, "failed", ["device_memory"])
        if number == video_id[-1] and status == "accepted"
        else (number, masklet, status, reasons)
        for number, masklet, status, reasons in GOOD_ROWS
    ]
    assert outcomes(out, found) == expected
    assert video_id not in samples(out, found)
    assert found.clips["published"] == 3, "published means processed, with or without a sample"


def test_a_masklet_that_cannot_be_matted_fails_alone(clips: Path, out: Path) -> None:
    found = build(clips, out, backend=FakeBackend(failures={"manual_001": "not_finite"}))
    conserves(out, found)
    expected = [*GOOD_ROWS]
    expected[1] = ("1", "manual_001", "failed", ["not_finite"])
    assert outcomes(out, found) == expected
    assert rows(out, found)[1]["error"] == "matting: it was seen"
    assert [*samples(out, found)[IDS[0]]] == ["json", "rgb.mp4", "manual_000.alpha.mkv"]
    assert found.frames == 3 + 5 + 3


def test_a_clip_without_objects_is_skipped(tmp_path: Path, out: Path) -> None:
    video = write_clip(tmp_path / "in", "a")
    none = {"masklet": [[], [], []], "masklet_id": []}
    video.with_name("a_manual.json").write_text(json.dumps(none))
    found = build(tmp_path / "in", out)
    assert outcomes(out, found) == [("a", None, "skipped", ["no_masklets"])]


# what goes wrong with a shard publishes nothing


def refused(clips: Path, out: Path, **how: Any) -> ShardError:
    with pytest.raises(ShardError) as caught:
        build(clips, out, **how)
    assert files(out) == [], "nothing is left, not even a temporary"
    return caught.value


@pytest.mark.parametrize("video_id", [IDS[0], IDS[3], IDS[4]], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    "kind", [OSError, MemoryError, TransientError], ids=lambda kind: kind.__name__
)
def test_a_failure_of_storage_or_memory_may_pass(
    clips: Path, out: Path, video_id: str, kind: type[Exception]
) -> None:
    found = refused(clips, out, load_errors={video_id: kind("it was")})
    assert (found.stage, found.kind, found.may_pass) == ("decode", kind.__name__, True)
    found = refused(clips, out, backend=FakeBackend(errors={video_id: kind("it was")}))
    assert (found.stage, found.kind, found.may_pass) == ("matting", kind.__name__, True)
    assert found.cause == "it was"


def test_a_bug_that_a_clip_finds_in_the_backend_fails_that_clip_alone(
    clips: Path, out: Path
) -> None:
    found = build(clips, out, backend=FakeBackend(errors={IDS[3]: ValueError("a bug")}))
    failed = [row for row in outcomes(out, found) if row[2] == "failed" and row[0] == IDS[3][-1]]
    assert failed
    assert all(row[3] == ["unexpected"] for row in failed)
    assert found.masklets["accepted"] > 0


def test_an_error_of_the_machine_while_matting_is_not_held_against_the_clip(
    clips: Path, out: Path
) -> None:
    found = refused(clips, out, backend=FakeBackend(errors={IDS[3]: RuntimeError("CUDA error")}))
    assert (found.stage, found.kind, found.cause) == ("matting", "RuntimeError", "CUDA error")
    assert found.may_pass


# the output fails


class FailingOutput(LocalStorage):
    """A folder in which no rows can be published as often as ``errors`` has errors left."""

    def __init__(self, root: Path, errors: list[OSError]) -> None:
        super().__init__(root)
        self.errors = errors

    def publish(self, file: BufferedReader, name: str) -> None:
        if name.endswith(".parquet") and self.errors:
            raise self.errors.pop()
        super().publish(file, name)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of kept shards, this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"mav-kept-{os.geteuid()}"


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_an_outage_that_passes_costs_no_attempt(clips: Path, out: Path, kept: Path) -> None:
    stop = FakeStop()
    storage = FailingOutput(out, [full() for _ in range(5)])
    output = Output(lambda: storage, 60, stop, clock=stop.now)
    backend = FakeBackend()
    with open_builder(run_config(clips, out), output=output, backend=backend) as builder:
        found = builder.build(spec(clips), STAMP)
    assert (found.attempts, len(stop.waits)) == (1, 5)
    assert outcomes(out, found) == GOOD_ROWS
    assert not kept.exists(), "it was kept meanwhile"


@pytest.mark.parametrize(
    ("error", "tries"),
    [(full, (6, 7)), (lambda: PermissionError(errno.EACCES, "Permission denied"), (2,))],
    ids=["outage", "refusal"],
)
def test_a_shard_that_waited_in_vain_is_published_later_without_matting(
    clips: Path, out: Path, kept: Path, error: Callable[[], OSError], tries: tuple[int, ...]
) -> None:
    stop = FakeStop()
    storage = FailingOutput(out, [error() for _ in range(9)])
    output = Output(lambda: storage, 20, stop, clock=stop.now)
    with (
        open_builder(run_config(clips, out), output=output) as builder,
        pytest.raises(ShardError, match=str(error().strerror)) as caught,
    ):
        builder.build(spec(clips), STAMP)
    assert (caught.value.kind, caught.value.outage) == ("OutageError", "lasts")
    assert 9 - len(storage.errors) in tries, "by jitter"
    assert not [name for name in files(out) if name.endswith((".json", ".tmp"))]
    source = FailingSource(open_source(run_config(clips, out)), dict.fromkeys(IDS, OSError("read")))
    with open_builder(run_config(clips, out), source=source) as builder:
        again = builder.build(spec(clips), STAMP, attempt=2)
        assert builder.progress().frames == 0
    assert again.attempts == 2
    assert outcomes(out, again) == GOOD_ROWS
    assert not kept.exists()


def test_a_kept_shard_is_of_its_set_and_its_clips_alone(
    clips: Path, out: Path, kept: Path, tmp_path: Path
) -> None:
    storage = FailingOutput(out, [PermissionError(errno.EACCES, "no") for _ in range(2)])
    with (
        open_builder(run_config(clips, out), output=Output(lambda: storage, 0)) as builder,
        pytest.raises(ShardError),
    ):
        builder.build(spec(clips), STAMP)
    (folder,) = kept.iterdir()
    assert KeptShard(spec(clips), STAMP).find() is not None
    assert KeptShard(spec(clips), replace(STAMP, fingerprint="other")).find() is None
    fewer = replace(spec(clips), clips=spec(clips).clips[1:])
    assert KeptShard(fewer, STAMP).find() is None
    kept.chmod(0o755)
    assert KeptShard(spec(clips), STAMP).find() is None, "somebody else may have put it there"
    kept.chmod(0o700)
    (folder / "tar").write_bytes(b"torn")
    assert KeptShard(spec(clips), STAMP).find() is None
    assert not kept.exists(), "what is torn is of no use"


def test_nothing_is_matted_while_a_finished_shard_waits(clips: Path, out: Path, kept: Path) -> None:
    """Two shards at once, as in a worker: the second one is held up by the first."""
    at_work, opened = threading.Event(), threading.Event()

    class Gate(FakeStop):
        def wait(self, timeout: float | None = None) -> bool:
            at_work.set()
            opened.wait(10)
            return super().wait(timeout)

    seen: list[str] = []
    storage = FailingOutput(out, [full()])
    output = Output(lambda: storage, 60, Gate())
    backend = FakeBackend(watch=seen.append)
    others = replace(spec(clips), index=1)
    with (
        open_builder(run_config(clips, out), output=output, backend=backend) as builder,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(builder.build, spec(clips), STAMP)
        assert at_work.wait(10)
        before = len(seen)
        second = pool.submit(builder.build, others, STAMP)
        assert builder.progress().waits >= 1
        assert len(seen) == before
        opened.set()
        assert (first.result().attempts, second.result().attempts) == (1, 1)
    assert len(seen) == 2 * before


@pytest.mark.parametrize("video_id", [IDS[0], IDS[4]], ids=["first", "last"])
def test_stopping_interrupts_between_blocks_and_leaves_nothing(
    clips: Path, out: Path, video_id: str
) -> None:
    run = run_config(clips, out)
    stop: list[Any] = []
    backend = FakeBackend(watch=lambda seen: stop[0]() if seen == video_id else None)
    with open_builder(run, backend=backend) as builder:
        stop.append(builder.stop)
        with pytest.raises(Interrupted):
            builder.build(spec(clips), STAMP)
        with pytest.raises(Interrupted):
            builder.build(spec(clips), STAMP)
    assert files(out) == []


def test_the_first_of_two_builders_wins(clips: Path, out: Path) -> None:
    first = build(clips, out)
    second = build(clips, out)
    assert second == first
    assert len(files(out)) == 3


def test_a_shard_published_meanwhile_gives_the_receipt_that_lies_there(
    clips: Path, out: Path
) -> None:
    other = receipt(published_at="2020-01-01T00:00:00+00:00")
    LocalStorage(out).create(layout.receipt("mav-000000"), json.dumps(other.to_json()).encode())
    assert build(clips, out) == other


# clip by clip


def stepped(
    steps: Generator[str | None, None, ShardReceipt],
) -> tuple[list[str | None], ShardReceipt]:
    """What a build yields, and what it returns."""
    seen: list[str | None] = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


def test_each_clip_is_named_before_it_is_read_and_the_next_once_it_is_done(
    clips: Path, out: Path
) -> None:
    log: list[str] = []

    class Watched(FailingSource):
        def load(self, ref: ClipRef, rule: SizeRule) -> Clip:
            log.append(f"load {ref.video_id[-1]}")
            return super().load(ref, rule)

    run = run_config(clips, out)
    backend = FakeBackend(watch=lambda video_id: log.append(f"matte {video_id[-1]}"))
    with open_builder(run, backend=backend, source=Watched(open_source(run), {})) as builder:
        for video_id in builder.steps(spec(clips), STAMP, 1, rebuild=False):
            finished = builder.progress().clips
            log.append(f"next {video_id and video_id[-1]}, {finished} done")
    assert log == [
        *("next 1, 0 done", "load 1", "matte 1"),
        *("next 2, 1 done", "load 2"),
        *("next 3, 2 done",),
        *("next 4, 3 done", "load 4", "matte 4"),
        *("next 5, 4 done", "load 5", "matte 5"),
        "next None, 5 done",
    ]


def test_clip_by_clip_gives_the_bytes_that_a_build_gives(clips: Path, tmp_path: Path) -> None:
    at_once = build(clips, tmp_path / "at once")
    out = tmp_path / "steps"
    with open_builder(run_config(clips, out)) as builder:
        seen, found = stepped(builder.steps(spec(clips), STAMP, 3, rebuild=False))
    assert seen == [*IDS, None]
    assert (found.tar, found.manifest) == (at_once.tar, at_once.manifest)
    for file in (found.tar, found.manifest):
        data = [
            (root / layout.data(file.name)).read_bytes() for root in (out, tmp_path / "at once")
        ]
        assert data[0] == data[1]
    assert found.attempts == 3
    assert found == read_receipt(LocalStorage(out), found.shard)


def test_a_clip_in_quarantine_is_named_and_not_read(clips: Path, out: Path) -> None:
    whole = spec(clips)
    quarantined = replace(whole.clips[0], problem=Problem("failed", "crash", "2 workers died"))
    backend = FakeBackend()
    with open_builder(run_config(clips, out), backend=backend) as builder:
        shard = replace(whole, clips=(quarantined, *whole.clips[1:]))
        seen, found = stepped(builder.steps(shard, STAMP, 1, rebuild=False))
    assert seen == [*IDS, None]
    assert IDS[0] not in backend.seen
    assert outcomes(out, found) == [("1", None, "failed", ["crash"]), *GOOD_ROWS[2:]]


@pytest.mark.parametrize("clip", range(5))
def test_steps_left_half_way_leave_nothing_and_the_builder_goes_on(
    clips: Path, out: Path, clip: int
) -> None:
    with open_builder(run_config(clips, out)) as builder:
        steps = builder.steps(spec(clips), STAMP, 1, rebuild=False)
        assert [next(steps) for _ in range(clip + 1)] == IDS[: clip + 1]
        steps.close()
        assert files(out) == []
        assert outcomes(out, builder.build(spec(clips), STAMP)) == GOOD_ROWS


# again


@pytest.mark.parametrize("by_steps", [False, True], ids=["build", "steps"])
def test_a_published_shard_is_returned_and_not_built(
    clips: Path, out: Path, by_steps: bool
) -> None:
    first = build(clips, out)
    before = {name: LocalStorage(out).read(name) for name in files(out)}
    backend = FakeBackend()
    with open_builder(run_config(clips, out), backend=backend) as builder:
        if by_steps:
            assert stepped(builder.steps(spec(clips), STAMP, 2, rebuild=False)) == ([], first)
        else:
            assert builder.build(spec(clips), STAMP, 2) == first
        assert builder.progress().clips == 0
    assert backend.seen == []
    assert {name: LocalStorage(out).read(name) for name in files(out)} == before


@pytest.mark.parametrize("by_steps", [False, True], ids=["build", "steps"])
def test_a_rebuild_replaces_the_receipt_and_leaves_the_old_files_to_the_sweep(
    clips: Path, out: Path, by_steps: bool
) -> None:
    storage = LocalStorage(out)
    error = InputError("rle", "it is broken", role="manual", stage="masks")
    old = build(clips, out, load_errors={IDS[3]: error})
    with open_builder(run_config(clips, out)) as builder:
        if by_steps:
            _, new = stepped(builder.steps(spec(clips), STAMP, 2, rebuild=True))
        else:
            new = builder.build(spec(clips), STAMP, 2, rebuild=True)
    assert outcomes(out, new) == GOOD_ROWS
    assert read_receipt(storage, new.shard) == new
    past, now = ({layout.data(r.tar.name), layout.data(r.manifest.name)} for r in (old, new))
    assert past.isdisjoint(now)
    assert set(files(out)) == {layout.receipt(new.shard)} | past | now
    sweep(storage)
    assert set(files(out)) == {layout.receipt(new.shard)} | now


def test_a_rebuild_to_the_same_bytes_keeps_its_files(clips: Path, out: Path) -> None:
    old = build(clips, out)
    with open_builder(run_config(clips, out)) as builder:
        new = builder.build(spec(clips), STAMP, 2, rebuild=True)
    assert (new.tar, new.manifest, new.attempts) == (old.tar, old.manifest, 2)
    sweep(LocalStorage(out))
    assert samples(out, new).keys() == {IDS[0], IDS[3], IDS[4]}
    assert len(files(out)) == 3


def test_a_rebuild_of_what_is_not_published_publishes_it(clips: Path, out: Path) -> None:
    with open_builder(run_config(clips, out)) as builder:
        found = builder.build(spec(clips), STAMP, rebuild=True)
    assert read_receipt(LocalStorage(out), found.shard) == found


def test_of_two_rebuilds_of_one_receipt_the_first_wins(clips: Path, out: Path) -> None:
    build(clips, out)
    with open_builder(run_config(clips, out)) as builder:
        steps = builder.steps(spec(clips), STAMP, 2, rebuild=True)
        assert next(steps) == IDS[0]  # it has seen the receipt that it shall replace
        with open_builder(run_config(clips, out)) as other:
            first = other.build(spec(clips), STAMP, 7, rebuild=True)
        assert stepped(steps)[1] == first
    assert read_receipt(LocalStorage(out), first.shard) == first
    assert first.attempts == 7


def test_a_rebuild_that_fails_leaves_the_shard_as_it_was(clips: Path, out: Path) -> None:
    old = build(clips, out)
    before = files(out)
    source = FailingSource(open_source(run_config(clips, out)), {IDS[4]: OSError("gone")})
    with (
        open_builder(run_config(clips, out), source=source) as builder,
        pytest.raises(ShardError),
    ):
        builder.build(spec(clips), STAMP, rebuild=True)
    assert files(out) == before
    assert read_receipt(LocalStorage(out), old.shard) == old


# several shards in one builder


def test_two_shards_built_at_once_are_as_if_built_alone(clips: Path, tmp_path: Path) -> None:
    whole = spec(clips)
    shards = [replace(whole, index=n, clips=whole.clips[n::2]) for n in range(2)]
    hashes = []
    for together in (True, False):
        run = run_config(clips, tmp_path / str(together))
        with open_builder(run) as builder, ThreadPoolExecutor(2 if together else 1) as pool:
            found = [*pool.map(lambda shard: builder.build(shard, STAMP), shards)]
            hashes.append([(r.shard, r.tar.sha256, r.manifest.sha256) for r in found])
            assert builder.progress().clips == 5
            assert builder.progress().failed == 1
            assert builder.progress().frames == 14
    assert hashes[0] == hashes[1]


def test_a_closed_builder_leaves_no_thread_behind(clips: Path, out: Path) -> None:
    build(clips, out, keys={"runtime.encode_threads": 3})
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("mav-")]


def test_after_a_failed_shard_the_builder_builds_the_next(clips: Path, out: Path) -> None:
    errors: dict[str, BaseException] = {IDS[4]: OSError(5, "Input/output error")}
    run = run_config(clips, out)
    source = FailingSource(open_source(run), errors)
    with open_builder(run, source=source) as builder:
        with pytest.raises(ShardError):
            builder.build(spec(clips), STAMP)
        assert (builder.progress().clips, builder.progress().failed) == (0, 0)
        assert builder.progress().frames > 0  # they were made
        errors.clear()
        assert outcomes(out, builder.build(spec(clips), STAMP)) == GOOD_ROWS
        assert (builder.progress().clips, builder.progress().failed) == (5, 1)


@pytest.mark.parametrize("of", ["source", "backend"])
def test_a_reason_that_is_in_no_table_is_an_error_of_its_own(
    clips: Path, out: Path, of: str
) -> None:
    made_up = InputError("made_up", "it was seen", role="video", stage="read")
    load_errors = {IDS[0]: made_up} if of == "source" else {}
    backend = FakeBackend(failures={"manual_001": "made_up"} if of == "backend" else {})
    found = build(clips, out, backend=backend, load_errors=load_errors)
    named = [row for row in rows(out, found) if "made_up" in (row["error"] or "")]
    assert named
    for row in named:
        assert row["reasons"] == ["unexpected"]
        assert "is in no table" in row["error"]
