"""Frames flow: decoded ahead with bounds, given once, let go, and whole or not at all."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.build.frames import AHEAD_FRAMES, FrameQueue, FrameTee
from mav_pipeline.build.reach import Reach
from mav_pipeline.build.timing import StageTimes
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.matting.registry import open_backend
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.schema import ClipRef, Frame, LoadedClip, Masklet, ShardSpec
from mav_pipeline.schema.errors import InputError
from mav_pipeline.schema.interfaces import Sizing
from tests.fakes import HEIGHT, STAMP, WIDTH, FakeBackend, config, memory_clip, open_builder

COUNT = 240  # frames of a clip that is long


class Counted:
    """Frames that know how many of them are alive."""

    def __init__(self, count: int, *, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.alive = self.most = self.given = 0

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.count):
            frame = np.full((HEIGHT, WIDTH, 3), number % 256, np.uint8)
            self.alive, self.given = self.alive + 1, self.given + 1
            self.most = max(self.most, self.alive)
            weakref.finalize(frame, self._gone)
            yield frame
        if self.error is not None:
            raise self.error

    def _gone(self) -> None:
        self.alive -= 1


def masklet(number: int, visible: list[bool]) -> Masklet:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[10:30, 10 + number : 40] = True
    rle = encode_rle(mask)
    rles = tuple(rle if shown else None for shown in visible)
    return Masklet(f"manual_{number:03d}", number, "manual", rles)


class LongSource:
    """Clips of any length in no memory: three masklets, one early, one late, one throughout."""

    def __init__(self, frames: Counted) -> None:
        self.frames = frames

    def load(self, ref: ClipRef, sizing: Sizing) -> LoadedClip:
        count = self.frames.count
        third = count // 3
        masklets = (
            masklet(0, [n < third for n in range(count)]),
            masklet(1, [True] * count),
            masklet(2, [n >= 2 * third for n in range(count)]),
        )
        short = memory_clip()
        clip = type(short)(
            video_id=ref.video_id,
            width=WIDTH,
            height=HEIGHT,
            fps=24.0,
            frame_indices=tuple(range(count)),
            environment=None,
            masklets=masklets,
            size=short.size,
        )
        return LoadedClip(clip, self.frames, lambda: (("rgb.mp4", b"a video"),))


def build(root: Path, frames: Counted, backend: Any = None, **keys: Any) -> list[dict[str, Any]]:
    """The rows of one shard of one long clip."""
    run = config({"source.root": str(root), "output.root": str(root / "out"), **keys})
    spec = ShardSpec(0, (ClipRef("a", ()),))
    backend = backend or open_backend(run.matting)
    with open_builder(run, backend=backend, source=LongSource(frames)) as builder:
        receipt = builder.build(spec, STAMP)
    rows = decode_rows((root / "out" / layout.data(receipt.manifest.name)).read_bytes())
    return list(rows.to_pylist())


@pytest.mark.parametrize("backend", ["binary", "closed_form"])
@pytest.mark.parametrize("scores", ["full", "basic"])
def test_frames_in_memory_do_not_grow_with_the_clip(
    backend: str, scores: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mav_pipeline.build.frames.AHEAD_BYTES", 0)
    frames = Counted(COUNT)
    keys = {"matting.name": backend, "quality.scores": scores}
    rows = build(tmp_path, frames, **keys)
    assert [row["visible_frames"] for row in rows] == [COUNT // 3, COUNT, COUNT // 3]
    # Those that wait decoded, and a few blocks of 8 between backend, scores and encoder.
    assert frames.most < AHEAD_FRAMES + 60 < COUNT // 2


def test_the_queue_decodes_a_bounded_number_ahead() -> None:
    frame = np.zeros((2000, 2000, 8), np.uint8)  # 32 MB
    taken = threading.Event()

    def frames() -> Iterator[Frame]:
        for number in range(100):
            if number == AHEAD_FRAMES + 1:
                taken.set()
            yield frame

    queue = FrameQueue(frames(), StageTimes())
    pumping = threading.Thread(target=queue.pump)
    pumping.start()
    assert not taken.wait(0.2)
    assert sum(1 for _ in queue) == 100
    pumping.join()


@pytest.mark.parametrize("after", [0, 3])
def test_a_queue_that_is_closed_lets_its_pump_go(after: int) -> None:
    frame = np.zeros((2000, 2000, 8), np.uint8)
    queue = FrameQueue(itertools.repeat(frame), StageTimes())
    pumping = threading.Thread(target=queue.pump)
    pumping.start()
    taken = iter(queue)
    for _ in range(after):
        next(taken)
    queue.close()
    pumping.join(30)
    assert not pumping.is_alive()
    assert [*taken] == []


def test_an_error_comes_behind_the_last_good_frame() -> None:
    queue = FrameQueue(Counted(3, error=ValueError("broken")), StageTimes())
    queue.pump()
    taken = iter(queue)
    assert [int(next(taken)[0, 0, 0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(taken)


@pytest.mark.parametrize("backend", ["binary", "closed_form", "fake"])
def test_a_fault_at_the_last_frame_leaves_one_row_and_no_sample(
    backend: str, tmp_path: Path
) -> None:
    error = InputError("corrupt", "frame 40 is corrupt", role="video", stage="decode")
    keys = {} if backend == "fake" else {"matting.name": backend}
    made = FakeBackend() if backend == "fake" else None
    (row,) = build(tmp_path, Counted(40, error=error), made, **keys)
    assert row["masklet"] is None
    assert (row["status"], row["reasons"]) == ("failed", ["corrupt"])
    assert row["error"] == "decode of video: frame 40 is corrupt"


def test_what_a_library_raises_in_a_frame_is_the_clips_row(tmp_path: Path) -> None:
    frames = Counted(5, error=ZeroDivisionError("odd"))
    (row,) = build(tmp_path, frames, **{"matting.name": "binary"})
    assert (row["masklet"], row["reasons"]) == (None, ["unexpected"])


class Greedy(FakeBackend):
    """Takes all frames before it yields the first block, and raises another error for theirs."""

    def matte(self, clip: Any, frames: Any, masklets: Any) -> Any:
        try:
            held = [*frames]
        except InputError:
            raise RuntimeError("a frame is missing") from None
        yield from super().matte(clip, iter(held), masklets)


def test_a_backend_that_hides_what_the_frames_raised_changes_nothing(tmp_path: Path) -> None:
    error = InputError("corrupt", "cut", role="video", stage="decode")
    (row,) = build(tmp_path, Counted(9, error=error), Greedy(multiple=1))
    assert (row["masklet"], row["reasons"]) == (None, ["corrupt"])
    rows = build(tmp_path / "whole", Counted(9), Greedy(multiple=1))
    assert [row["status"] for row in rows] == ["accepted"] * 3


@given(st.data())
def test_a_tee_gives_each_frame_once_and_holds_what_may_be_looked_at(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    tee = FrameTee((np.full((1, 1, 3), n, np.uint8) for n in range(count)), keep=True)
    backend, low, given = iter(tee), 0, 0
    while given < count:
        if data.draw(st.booleans()):
            frame = next(backend)
            assert int(frame[0, 0, 0]) == given
            given += 1
        else:
            start = data.draw(st.integers(low, count))
            stop = data.draw(st.integers(start, count))
            assert [int(f[0, 0, 0]) for f in tee.under(start, stop)] == [*range(start, stop)]
            low = data.draw(st.integers(low, stop))
            tee.release(low)
    assert next(backend, None) is None


def test_who_watches_a_tee_is_given_every_frame_once_whoever_takes_it() -> None:
    watched: list[tuple[int, int]] = []
    frames = (np.full((1, 1, 3), n, np.uint8) for n in range(6))
    tee = FrameTee(
        frames, keep=True, watch=lambda index, frame: watched.append((index, int(frame[0, 0, 0])))
    )
    backend = iter(tee)
    next(backend)
    tee.under(1, 3)
    next(backend)
    tee.finish()
    assert watched == [(n, n) for n in range(6)]


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=4), st.data())
def test_reach_is_the_first_frame_that_somebody_still_mattes(
    shown: list[list[bool]], data: st.DataObject
) -> None:
    masklets = [masklet(number, visible) for number, visible in enumerate(shown)]
    reach = Reach(masklets, 4)
    done = [0] * len(masklets)
    for _ in range(data.draw(st.integers(0, 6))):
        if masklets:
            at = data.draw(st.integers(0, len(masklets) - 1))
            done[at] = data.draw(st.integers(done[at], 4))
            ended = reach.advance(masklets[at], done[at])
            assert ended == (not any(shown[at][done[at] :]))
    left = [n for visible, at in zip(shown, done, strict=True) for n in range(at, 4) if visible[n]]
    assert reach.low == min(left, default=4)
