"""One decoded clip: matte it here, score and encode it in lanes, gather its rows and its sample.

Clip -> backend.matte() -> lanes: MaskletFinisher -> ClipOutcome
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.sample import encode_sample
from mav_pipeline.dataset.manifest import Row, masklet_row, problem_values
from mav_pipeline.schema.errors import BackendError
from mav_pipeline.build.masklet import Finished, MaskletFinisher
from mav_pipeline.schema.interfaces import MattingBackend
from mav_pipeline.schema import Clip, Masklet, Matte, MatteFailure, Problem, Sample
from mav_pipeline.build.timing import StageTimes

_log = logging.getLogger(__name__)

#: What code raises that meets a clip it was not written for. Others, RuntimeError above all, may
#: be the machine's (CUDA raises it), and are never held against the clip.
_OF_THE_CLIP = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError)
_BACKLOG = 4  # blocks of alpha a lane may have waiting: enough to never idle, a few MB each


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """What became of a clip: its rows, and its sample where a masklet was accepted."""

    status: Literal["published", "failed", "skipped"]
    rows: list[Row]
    sample: Sample | None = None
    frames: int = 0


class _Lane:
    """One thread that finishes masklets in order, with a bounded backlog."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mav-finish")
        self._room = threading.Semaphore(_BACKLOG)

    def submit(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        self._room.acquire()
        future = self._pool.submit(task, *args)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class ClipJob:
    """Takes clips one after the other through one backend.

    Args:
        check: called between blocks of alpha; raises where the build shall stop.
    """

    def __init__(
        self,
        *,
        config: RunConfig,
        backend: MattingBackend,
        fingerprint: str,
        check: Callable[[], None],
    ) -> None:
        self._config, self._backend, self._check = config, backend, check
        self._provenance = {
            "fingerprint": fingerprint,
            "backend": config.matting.name,
            "seed": config.matting.seed,
        }
        self._looks = config.quality.scores == "full"
        self._lanes = [_Lane() for _ in range(config.runtime.encode_threads)]

    def close(self) -> None:
        """Stops the lanes."""
        for lane in self._lanes:
            lane.close()

    def matte(self, shard: str, clip: Clip, times: StageTimes) -> Callable[[], ClipOutcome]:
        """Mattes a clip, then returns what waits for the lanes and gives its outcome."""
        # Frames are the bulk of a clip's memory. What finishes it holds none of its own: each block
        # of alpha takes along those under it, and they go when the backlog of the lanes is done.
        slim = replace(clip, frames=np.empty((0, 0, 0, 3), np.uint8))
        wanted = [masklet for masklet in clip.masklets if masklet.problem is None]
        lanes = {m.name: self._lanes[n % len(self._lanes)] for n, m in enumerate(wanted)}
        ends = {m.name: len(m.rles) - m.visible[::-1].index(True) for m in wanted}
        finishers: dict[str, MaskletFinisher] = {}
        tasks: list[Future[None]] = []
        failures: dict[str, Problem] = {}
        closing: dict[str, Future[Finished]] = {}

        def begin(masklet: Masklet) -> None:
            finishers[masklet.name] = MaskletFinisher(slim, masklet, self._config, times)

        def end(masklet: Masklet) -> None:
            close, seams = finishers.pop(masklet.name).close, self._backend.seams(masklet)
            closing[masklet.name] = lanes[masklet.name].submit(close, shard, seams)

        try:
            for block in self._blocks(clip, wanted, times):
                masklet, name = block.masklet, block.masklet.name
                if isinstance(block, MatteFailure):
                    failures[name] = Problem("failed", block.reason, f"matting: {block.cause}")
                    continue
                if name not in finishers:
                    begin(masklet)
                stop = block.start + len(block.alpha)
                under = clip.frames[block.start : stop] if self._looks else None
                tasks.append(lanes[name].submit(finishers[name].add, block, under))
                # An encoder is tens of MB: it goes with the last visible frame, not with the clip.
                if stop >= ends[name]:
                    end(masklet)
        except (BackendError, *_OF_THE_CLIP) as error:
            if isinstance(error, BackendError):
                problem = Problem("failed", error.reason, str(error))
            else:
                _log.exception("clip %s: unexpected error while it was matted", clip.video_id)
                cause = f"matting: {type(error).__name__}: {error}"
                problem = Problem("failed", "unexpected", cause)
            failed = tuple(replace(m, problem=m.problem or problem) for m in clip.masklets)
            return functools.partial(self._collect, shard, replace(slim, masklets=failed), [], {})
        for masklet in wanted:
            if masklet.name not in closing and masklet.name not in failures:
                if masklet.name not in finishers:
                    begin(masklet)
                end(masklet)
        masklets = tuple(replace(m, problem=failures.get(m.name, m.problem)) for m in clip.masklets)
        slim = replace(slim, masklets=masklets)
        return functools.partial(self._collect, shard, slim, tasks, closing)

    def _blocks(
        self, clip: Clip, wanted: Sequence[Masklet], times: StageTimes
    ) -> Iterator[Matte | MatteFailure]:
        blocks = iter(self._backend.matte(clip, wanted)) if wanted else iter(())
        while True:
            self._check()
            with times.stage("matting"):
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def _collect(
        self,
        shard: str,
        clip: Clip,
        tasks: Sequence[Future[None]],
        closing: Mapping[str, Future[Finished]],
    ) -> ClipOutcome:
        for task in tasks:
            task.result()
        rows: list[Row] = []
        stored, frames = [], 0
        for masklet in clip.masklets:
            if masklet.problem is not None:
                values = problem_values(masklet.problem)
                rows.append(masklet_row(clip, masklet, shard, values))
                continue
            finished = closing[masklet.name].result()
            rows.append(finished.row)
            frames += finished.frames
            if finished.stored is not None:
                stored.append(finished.stored)
        sample = encode_sample(clip, stored, self._provenance) if stored else None
        return ClipOutcome("published", rows, sample, frames)
