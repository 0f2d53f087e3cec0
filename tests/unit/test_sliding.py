"""Latents are made when they are asked for, and gone once nothing to come can need them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mav_pipeline.matting.videomama.sliding import Latents, SpanLatents
from mav_pipeline.matting.videomama.spans import Span, SpanPlan
from mav_pipeline.schema import Masklet


class Coming:
    """Latents of the value of their frame, without end; ``made`` says how many there were."""

    def __init__(self, first: int = 0) -> None:
        self._first, self.made = first, 0

    def __iter__(self) -> Iterator[tuple[int, torch.Tensor]]:
        while True:
            frame = self._first + self.made
            self.made += 1
            yield frame, torch.full((4, 1, 1), float(frame))


def values(latents: torch.Tensor) -> list[float]:
    return latents[:, 0, 0, 0].tolist()


def test_latents_are_made_as_far_as_frames_are_asked_for() -> None:
    coming = Coming(first=10)
    latents = Latents(coming)
    assert coming.made == 0
    assert values(latents.cut(12, 15)) == [12, 13, 14]
    assert values(latents.cut(10, 13)) == [10, 11, 12]
    assert coming.made == 5


def test_what_was_dropped_is_gone_and_what_comes_later_is_not() -> None:
    latents = Latents(Coming())
    latents.cut(0, 4)
    latents.drop(6)
    assert values(latents.cut(6, 8)) == [6, 7]
    with pytest.raises(KeyError):
        latents.cut(3, 8)


def test_chunks_settle_once_no_later_window_reaches_them() -> None:
    plan = SpanPlan(window=6, overlap=2, chunk=3, context=1)
    span = Span(Masklet("manual_000", 0, "manual", ()), 10, 20)
    noise, masks = Coming(10), Coming(10)
    latents = SpanLatents(noise, masks, plan.chunks(span))
    first, second = plan.windows(span)  # frames 10 to 15 and 14 to 19
    assert [values(part) for part in latents.inputs(first)] == [[10, 11, 12, 13, 14, 15]] * 2
    (settled,) = latents.add(first, torch.zeros(6, 4, 1, 1))
    assert (settled.chunk.first, settled.chunk.last) == (10, 13)
    assert values(settled.latents) == [0] * 4  # with one frame of context
    assert noise.made == masks.made == 6
    assert [values(part) for part in latents.inputs(second)] == [[14, 15, 16, 17, 18, 19]] * 2
    settled, *others = latents.add(second, torch.ones(6, 4, 1, 1))
    assert [values(settled.latents), *(len(other.latents) for other in others)] == [
        pytest.approx([0, 0, 1 / 3, 2 / 3, 1]),  # frames 12 to 16
        5,  # 15 to 19
        2,  # 18 and 19
    ]
