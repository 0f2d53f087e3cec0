"""The frames of one clip while it is matted: handed to the backend, and kept for the scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mav_pipeline.schema import Frame


class FrameTee:
    """Goes through a clip's frames once, for the backend and for whoever looks under its alpha."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._coming, self._held = iter(frames), list[Frame]()

    def __iter__(self) -> Iterator[Frame]:
        """The frames in time order, for the backend."""
        number = 0
        while self._fetch(number + 1):
            yield self._held[number]
            number += 1

    def under(self, start: int, stop: int) -> Sequence[Frame]:
        """The frames [start, stop)."""
        self._fetch(stop)
        return self._held[start:stop]

    def _fetch(self, count: int) -> bool:
        """Takes frames until there are ``count``; whether there are."""
        while len(self._held) < count:
            frame = next(self._coming, None)
            if frame is None:
                return False
            self._held.append(frame)
        return True
