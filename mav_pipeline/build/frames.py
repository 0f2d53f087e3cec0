"""The frames of one clip while it is matted: decoded ahead, handed to the backend, kept for scores.

    source -> FrameQueue (another thread decodes) -> FrameTee -> backend
                                                             -> scores, under the alpha that comes

Both hold a few frames, however long the clip is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from mav_pipeline.build.timing import StageTimes
from mav_pipeline.schema import Frame

#: What may wait decoded: enough that a backend finds its next block there, of any size of frame.
AHEAD_BYTES = 96 * 2**20
AHEAD_FRAMES = 16  # at the least


class FrameQueue:
    """Frames on their way from the thread that decodes to the one that mattes. Goes through once.

    Args:
        frames: decoded as ``pump`` takes them.
        times: seconds of decoding are counted there.
    """

    def __init__(self, frames: Iterable[Frame], times: StageTimes) -> None:
        self._frames, self._times = frames, times
        self._waiting: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._ended = self._closed = False

    def pump(self) -> None:
        """Decodes until the frames end, fail or are no longer wanted; never raises."""
        error = None
        try:
            frames = iter(self._frames)
            while True:
                with self._times.stage("decode"):
                    frame = next(frames, None)
                if frame is None or not self._put(frame):
                    break
        except Exception as failure:  # noqa: BLE001 it is raised where the frames are taken
            error = failure
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def close(self) -> None:
        """The frames are no longer wanted."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        """The frames in time order; raises what decoding them raised, behind the last good one."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended or self._closed)
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                frame = self._waiting.popleft()
                self._changed.notify_all()
            yield frame

    def _put(self, frame: Frame) -> bool:
        """Waits for room; whether the frame is still wanted."""
        room = max(AHEAD_FRAMES, AHEAD_BYTES // max(1, frame.nbytes))
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < room)
            if not self._closed:
                self._waiting.append(frame)
                self._changed.notify_all()
            return not self._closed


class FrameTee:
    """Goes through a clip's frames once, for the backend and for whoever looks under its alpha.

    Args:
        keep: whether anybody looks; a frame is then held until it is released.
        watch: is given each frame with its number, once, in time order.

    Attributes:
        error: what the frames raised; a backend may have made something else of it.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        *,
        keep: bool,
        watch: Callable[[int, Frame], None] | None = None,
    ) -> None:
        self._coming, self._keep, self._watch = iter(frames), keep, watch
        self._held: deque[Frame] = deque()
        self._first = self._taken = 0  # number of the first frame held; of the backend's next one
        self._released = 0
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[Frame]:
        """The frames in time order, for the backend."""
        while self._fetch(self._taken + 1):
            frame = self._held[self._taken - self._first]
            self._taken += 1
            self._drop()
            yield frame

    def under(self, start: int, stop: int) -> Sequence[Frame]:
        """The frames [start, stop), none of which was released."""
        assert start >= self._first, "a block of alpha came after its frames were released"
        self._fetch(stop)
        return [self._held[n - self._first] for n in range(start, min(stop, self._stop))]

    def release(self, below: int) -> None:
        """Nobody will look under the alpha of frames before this one any more."""
        self._released = max(self._released, below)
        self._drop()

    def finish(self) -> None:
        """Takes the frames that are left: only then is the clip known to be whole."""
        self._keep = False
        while self._fetch(self._stop + 1):
            self._taken = self._stop
            self._drop()

    @property
    def _stop(self) -> int:
        return self._first + len(self._held)

    def _drop(self) -> None:
        until = min(self._taken, self._released) if self._keep else self._taken
        while self._held and self._first < until:
            self._held.popleft()
            self._first += 1

    def _fetch(self, count: int) -> bool:
        """Takes frames until there have been ``count``; whether there were."""
        while self._stop < count:
            try:
                frame = next(self._coming, None)
            except Exception as error:
                self.error = error
                raise
            if frame is None:
                return False
            if self._watch is not None:
                self._watch(self._stop, frame)
            self._held.append(frame)
        return True
