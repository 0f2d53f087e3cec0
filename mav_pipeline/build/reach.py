"""How far the masklets of a clip are matted, so that its frames can be let go. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mav_pipeline.schema import Masklet


class Reach:
    """The next frame of each masklet whose alpha is still to come.

    Args:
        masklets: those that are matted.
        frames: annotated frames of the clip.
        tracks: whether those after an object's first mask are matted without a mask too.
    """

    def __init__(self, masklets: Sequence[Masklet], frames: int, *, tracks: bool = False) -> None:
        self._frames, self._tracks = frames, tracks
        self._next = {masklet.name: _visible(masklet, 0) for masklet in masklets}

    def advance(self, masklet: Masklet, stop: int) -> bool:
        """Alpha has come up to ``stop``; whether none is to come any more."""
        self._next[masklet.name] = stop if self._tracks else _visible(masklet, stop)
        return self._next[masklet.name] == self._frames

    def end(self, masklet: Masklet) -> None:
        """No alpha of this masklet comes."""
        self._next[masklet.name] = self._frames

    @property
    def low(self) -> int:
        """No alpha of any frame before this one comes."""
        return min(self._next.values(), default=self._frames)


def _visible(masklet: Masklet, start: int) -> int:
    """The first visible frame from ``start`` on, or how many frames there are."""
    rles = masklet.rles
    return next((n for n in range(start, len(rles)) if rles[n] is not None), len(rles))
