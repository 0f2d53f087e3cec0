"""Latents of a clip while time passes: made when first asked for, let go once nothing needs them.

    RGB latents, of the clip -------\\
    mask latents, noise, of a span ---> windows -> model -> cross-fade -> chunks, once settled

So what is held is a few windows' worth, however long the clip is. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from mav_pipeline.matting.videomama.spans import Chunk, Window

Numbered = Iterable[tuple[int, Any]]  # (frame, its latents (4, h, w)), in time order


class Latents:
    """Latents by frame, as far as something to come may need them.

    Args:
        coming: taken as far as frames are asked for.
    """

    def __init__(self, coming: Numbered = ()) -> None:
        self._coming, self._held = iter(coming), dict[int, Any]()
        self._end = 0

    def add(self, frame: int, latents: Any) -> None:
        """Adds to what is held of a frame; frames ascend, but for those held already."""
        held = self._held.get(frame)
        self._held[frame] = latents if held is None else held + latents
        self._end = max(self._end, frame + 1)

    def cut(self, first: int, last: int) -> Any:
        """(last - first, 4, h, w) of the frames [first, last), none of them dropped before."""
        import torch

        while self._end < last:
            self.add(*next(self._coming))
        return torch.stack([self._held[frame] for frame in range(first, last)])

    def drop(self, before: int) -> None:
        """No frame before this one is asked for any more."""
        for frame in [*takewhile(lambda frame: frame < before, self._held)]:
            del self._held[frame]


@dataclass(frozen=True, slots=True)
class SettledChunk:
    """A chunk and its faded latents, context included: (frames, 4, h, w) float32."""

    chunk: Chunk
    latents: Any


class SpanLatents:
    """What goes into the model for one span, and what has come out of it.

    Args:
        noise, masks: of each frame of the span.
        chunks: of the span, in order.
    """

    def __init__(self, noise: Numbered, masks: Numbered, chunks: Iterator[Chunk]) -> None:
        self._noise, self._masks, self._faded = Latents(noise), Latents(masks), Latents()
        self._chunks, self._next = chunks, next(chunks, None)

    def inputs(self, window: Window) -> tuple[Any, Any]:
        """(noise, mask latents) of a window, each (frames, 4, h, w)."""
        first, last = window.first, window.last
        return self._noise.cut(first, last), self._masks.cut(first, last)

    def add(self, window: Window, output: Any) -> list[SettledChunk]:
        """Fades in what the model made of the next window, (frames, 4, h, w); what that settles."""
        import torch

        shares = torch.from_numpy(window.weights).to(output)[:, None, None, None]
        for frame, latents in enumerate(output * shares, window.first):
            self._faded.add(frame, latents)
        self._noise.drop(window.settled)
        self._masks.drop(window.settled)
        settled = []
        while self._next is not None and self._next.context_last <= window.settled:
            cut = self._faded.cut(self._next.context_first, self._next.context_last)
            settled.append(SettledChunk(self._next, cut))
            self._next = next(self._chunks, None)
        if self._next is not None:
            self._faded.drop(self._next.context_first)
        return settled
