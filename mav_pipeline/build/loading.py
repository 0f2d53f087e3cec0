"""Reads clips in a thread of its own, one after the other, each with its frames decoded ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from mav_pipeline.build.frames import FrameQueue
from mav_pipeline.build.problems import listed, reading_problem
from mav_pipeline.build.timing import StageTimes
from mav_pipeline.schema import ClipRef, LoadedClip, Problem
from mav_pipeline.schema.interfaces import Sizing, Source
from mav_pipeline.schema.reasons import Reason

_Read = tuple[LoadedClip | Problem, FrameQueue | None]


@dataclass(frozen=True, slots=True)
class Loading:
    """A clip on its way."""

    ref: ClipRef
    _future: Future[_Read]

    def result(self) -> LoadedClip | Problem:
        """Waits until it is read; its frames may still be on their way.

        Raises:
            Exception: reading it failed, and may succeed another time.
        """
        return self._future.result()[0]

    def pump(self) -> None:
        """Decodes its frames as there is room, if it could be read."""
        _with_queue(self._future, FrameQueue.pump)

    def close(self) -> None:
        """Its frames are not wanted, now or when they come."""
        self._future.add_done_callback(lambda done: _with_queue(done, FrameQueue.close))


class ClipLoader:
    """One thread; see the module.

    Args:
        sizing: to the working size of the backend.
        reasons: slugs of the source's and the backend's own.
        check: raises where the build shall stop.
    """

    def __init__(
        self,
        source: Source,
        sizing: Sizing,
        reasons: Sequence[Reason],
        check: Callable[[], None],
    ) -> None:
        self._source, self._sizing, self._reasons = source, sizing, reasons
        self._check = check
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mav-load")

    def load(self, ref: ClipRef, times: StageTimes) -> Loading:
        """Begins to read a clip; close what it returns.

        While its frames wait to be taken, no other clip is read: load the next one when the
        frames of this one are about to be.
        """
        self._check()
        loading = Loading(ref, self._thread.submit(self._read, ref, times))
        self._thread.submit(loading.pump)
        return loading

    def close(self) -> None:
        """Ends the thread; every clip that was begun must be closed."""
        self._thread.shutdown(cancel_futures=True)

    def _read(self, ref: ClipRef, times: StageTimes) -> _Read:
        if ref.problem is not None:
            return listed(ref.problem, self._reasons), None
        try:
            self._check()
            with times.stage("decode"):
                loaded = self._source.load(ref, self._sizing)
        except Exception as error:  # noqa: BLE001 what may pass is raised again
            return reading_problem(error, ref.video_id, self._reasons), None
        for masklet in loaded.clip.masklets:
            if masklet.problem is not None:
                problem = listed(masklet.problem, self._reasons)
                if problem != masklet.problem:
                    return problem, None
        if not loaded.clip.masklets:
            cause = "masks of the clip: there is no object"
            return Problem("skipped", "no_masklets", cause), None
        queue = FrameQueue(loaded.frames, times)
        return replace(loaded, frames=queue), queue


def _with_queue(done: Future[_Read], act: Callable[[FrameQueue], None]) -> None:
    if done.cancelled() or done.exception() is not None:
        return
    queue = done.result()[1]
    if queue is not None:
        act(queue)
