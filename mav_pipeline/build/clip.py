"""One loaded clip: matte it here, score and encode it in threads, gather its rows and its sample.

LoadedClip -> backend.matte() -> encoding threads: MaskletFinisher -> ClipOutcome
           -> every frame -> the same threads: LostFrames
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mav_pipeline.build.frames import FrameTee
from mav_pipeline.build.masklet import Encoded, MaskletFinisher
from mav_pipeline.build.problems import reading_problem
from mav_pipeline.build.reach import Reach
from mav_pipeline.build.thread import EncodingThread
from mav_pipeline.build.timing import StageTimes
from mav_pipeline.config import RunConfig
from mav_pipeline.dataset.manifest import Row, clip_row, masklet_row, problem_values
from mav_pipeline.dataset.sample import StoredMasklet, encode_sample
from mav_pipeline.quality import LostFrames
from mav_pipeline.schema import (
    Clip,
    ClipStatus,
    Frame,
    LoadedClip,
    Masklet,
    Matte,
    MatteFailure,
    Problem,
    Sample,
    Seams,
    Stamp,
)
from mav_pipeline.schema.document import Provenance
from mav_pipeline.schema.errors import BackendError, InputError, in_words
from mav_pipeline.schema.interfaces import MattingBackend
from mav_pipeline.schema.reasons import Reason, known

_log = logging.getLogger(__name__)

#: What code raises that meets a clip it was not written for. Others, RuntimeError above all, may
#: be the machine's (CUDA raises it), and are never held against the clip.
_OF_THE_CLIP = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError)


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """What became of a clip: its rows, and its sample where a masklet was accepted."""

    status: ClipStatus
    rows: list[Row]
    sample: Sample | None = None
    frames: int = 0

    def result(self) -> ClipOutcome:
        """Itself: nothing has to be waited for. See ``MattedClip``."""
        return self


class ClipJob:
    """Takes clips one after the other through one backend.

    Args:
        reasons: slugs of the backend's own.
        check: called between blocks of alpha; raises where the build shall stop.
    """

    def __init__(
        self,
        *,
        config: RunConfig,
        backend: MattingBackend,
        reasons: Sequence[Reason],
        check: Callable[[], None],
    ) -> None:
        self._config, self._backend, self._check = config, backend, check
        self._reasons = reasons
        self._threads = [EncodingThread() for _ in range(config.runtime.encode_threads)]

    def close(self) -> None:
        """Stops the threads."""
        for thread in self._threads:
            thread.close()

    def matte(self, shard: str, loaded: LoadedClip, times: StageTimes, stamp: Stamp) -> MattedClip:
        """Mattes a clip; what it returns may still be scored and encoded.

        Raises:
            Exception: whatever may pass of what reading the frames or matting them raised.
        """
        clip = loaded.clip
        matted = MattedClip(shard, loaded, self._config, times, stamp, self._threads)
        looks = self._config.quality.scores == "full"
        frames = FrameTee(loaded.frames, keep=looks, watch=matted.watch if looks else None)
        problem = None
        try:
            problem = self._run(clip, frames, matted, times)
            frames.finish()
        except Exception:
            if frames.error is None:
                raise
        if frames.error is not None:
            matted.fail(reading_problem(frames.error, clip.video_id, self._reasons))
        elif problem is not None:
            matted.fail_masklets(problem)
        return matted

    def _run(
        self, clip: Clip, frames: FrameTee, matted: MattedClip, times: StageTimes
    ) -> Problem | None:
        """Gives the blocks of alpha to ``matted``; what went wrong with all masklets, if it did."""
        wanted = [masklet for masklet in clip.masklets if masklet.problem is None]
        tracks = self._config.matting.tracks
        reach = Reach(wanted, len(clip.frame_indices), tracks=tracks)
        looks = self._config.quality.scores == "full"
        try:
            for block in self._blocks(clip, frames, wanted, times):
                masklet = block.masklet
                if isinstance(block, MatteFailure):
                    self._check_reason(block.reason)
                    reach.end(masklet)
                    cause = f"matting: {block.cause}"
                    matted.fail_masklet(masklet, Problem("failed", block.reason, cause))
                    continue
                self._check_reason(block.note)
                stop = block.start + len(block.alpha)
                matted.add(block, frames.under(block.start, stop) if looks else None)
                # An encoder is tens of MB: it goes with the last visible frame, not with the clip.
                if reach.advance(masklet, stop):
                    matted.end(masklet, self._backend.seams(masklet))
                frames.release(reach.low)
        except (BackendError, InputError, *_OF_THE_CLIP) as error:
            return self._problem(clip, error)
        for masklet in wanted:
            if matted.lacks(masklet):
                matted.end(masklet, self._backend.seams(masklet))
        return None

    def _blocks(
        self, clip: Clip, frames: FrameTee, wanted: Sequence[Masklet], times: StageTimes
    ) -> Iterator[Matte | MatteFailure]:
        blocks = iter(self._backend.matte(clip, iter(frames), wanted)) if wanted else iter(())
        while True:
            self._check()
            with times.stage("matting"):
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def _check_reason(self, reason: str | None) -> None:
        if reason is not None and not known(reason, self._reasons):
            name = self._config.matting.name
            raise ValueError(f"matting={name} gives the reason {reason!r}, which is in no table")

    def _problem(self, clip: Clip, error: Exception) -> Problem:
        """What befell a clip as a whole, for the rows of its masklets."""
        if isinstance(error, BackendError | InputError):
            return Problem("failed", error.reason, str(error))
        _log.error("clip %s: unexpected error while it was matted", clip.video_id, exc_info=error)
        cause = f"matting: {type(error).__name__}: {in_words(error)}"
        return Problem("failed", "unexpected", cause)


class MattedClip:
    """A clip whose alpha is made, while threads score and encode it.

    Args:
        threads: each takes every so many-th of the masklets that are matted.
    """

    def __init__(
        self,
        shard: str,
        loaded: LoadedClip,
        config: RunConfig,
        times: StageTimes,
        stamp: Stamp,
        threads: Sequence[EncodingThread],
    ) -> None:
        self._shard, self._loaded, self._config, self._times = shard, loaded, config, times
        self._clip, self._stamp = loaded.clip, stamp
        self._own = {m.name: m.problem for m in self._clip.masklets if m.problem is not None}
        wanted = [masklet for masklet in self._clip.masklets if masklet.problem is None]
        self._threads = {m.name: threads[n % len(threads)] for n, m in enumerate(wanted)}
        looks = config.quality.scores == "full"
        self._lost = {m.name: LostFrames.of(m) for m in wanted} if looks else {}
        self._problem: Problem | None = None
        self._problems = dict(self._own)
        self._finishers: dict[str, MaskletFinisher] = {}
        self._adding: deque[Future[None]] = deque()
        self._ending: dict[str, Future[Encoded]] = {}

    def add(self, block: Matte, under: Sequence[Frame] | None) -> None:
        """Gives a block, and the frames under it where scores look at them, to its thread."""
        finisher, thread = self._finisher(block.masklet), self._threads[block.masklet.name]
        self._later(thread, finisher.add, block, under)

    def watch(self, index: int, frame: Frame) -> None:
        """Gives a frame to the threads of those masklets that may be lost on it.

        Args:
            index: into ``Clip.frame_indices``; every one comes once, in order.
        """
        size = self._clip.size
        for name, lost in self._lost.items():
            if lost.wants(index):
                shown = frame[: size.height, : size.width]
                self._later(self._threads[name], self._look, lost, index, shown)

    def _look(self, lost: LostFrames, index: int, frame: Frame) -> None:
        with self._times.stage("score"):
            lost.see(index, frame)

    def _later(self, thread: EncodingThread, task: Callable[..., None], *args: Any) -> None:
        self._adding.append(thread.submit(task, *args))
        while self._adding and self._adding[0].done():
            self._adding.popleft().result()

    def end(self, masklet: Masklet, seams: Seams) -> None:
        """No block of this masklet comes any more."""
        finisher, thread = self._finisher(masklet), self._threads[masklet.name]
        del self._finishers[masklet.name]
        self._ending[masklet.name] = thread.submit(finisher.close, seams)

    def fail(self, problem: Problem) -> None:
        """The clip cannot be read after all: it has one row and no masklets."""
        self._problem = problem
        self._forget()

    def fail_masklet(self, masklet: Masklet, problem: Problem) -> None:
        """This masklet has no alpha."""
        self._problems[masklet.name] = problem

    def fail_masklets(self, problem: Problem) -> None:
        """No masklet has alpha; one that must not be matted keeps its own problem."""
        self._problems = {m.name: self._own.get(m.name, problem) for m in self._clip.masklets}
        self._forget()

    def lacks(self, masklet: Masklet) -> bool:
        """Whether neither an end nor a problem of this masklet is known."""
        return masklet.name not in self._ending and masklet.name not in self._problems

    def result(self) -> ClipOutcome:
        """Waits for the threads."""
        if self._problem is not None:
            row = clip_row(self._clip.video_id, self._shard, self._problem)
            return ClipOutcome(self._problem.status, [row])
        for task in self._adding:
            task.result()
        rows: list[Row] = []
        stored, frames = [], 0
        for masklet in self._clip.masklets:
            if (problem := self._problems.get(masklet.name)) is not None:
                row = masklet_row(self._clip, masklet, self._shard, problem_values(problem))
                rows.append(row)
                continue
            encoded = self._ending[masklet.name].result()
            finished = encoded.judged(self._shard, self._lost.get(masklet.name))
            rows.append(finished.row)
            frames += finished.frames
            if finished.stored is not None:
                stored.append(finished.stored)
        return ClipOutcome("published", rows, self._sample(stored) if stored else None, frames)

    def _forget(self) -> None:
        self._finishers.clear()
        self._adding.clear()
        self._ending.clear()

    def _sample(self, stored: Sequence[StoredMasklet]) -> Sample:
        matting = self._config.matting
        provenance = Provenance(
            fingerprint=self._stamp.fingerprint,
            backend=matting.name,
            seed=matting.seed,
            tracks=matting.tracks,
        )
        rgb = self._loaded.rgb()
        return encode_sample(self._clip, rgb, stored, provenance, self._stamp.format)

    def _finisher(self, masklet: Masklet) -> MaskletFinisher:
        if masklet.name not in self._finishers:
            made = MaskletFinisher(self._clip, masklet, self._config, self._times)
            self._finishers[masklet.name] = made
        return self._finishers[masklet.name]
