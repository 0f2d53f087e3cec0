"""Batches: neighbours together, no item taken early, none lost where the device has no room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mav_pipeline.matting.videomama.batches import Batches
from mav_pipeline.schema.errors import BackendError


class Device:
    """Takes ``room`` items at once, and notes the batches that it was given."""

    def __init__(self, room: int = 100) -> None:
        self.room, self.seen = room, list[list[int]]()

    def run(self, group: list[int]) -> list[int]:
        if len(group) > self.room:
            raise torch.OutOfMemoryError("no room")
        self.seen.append(group)
        return [-item for item in group]


def test_neighbours_of_equal_key_go_together() -> None:
    device = Device()
    items = [1, 2, 3, 14, 15, 6]
    found = Batches(2).run(items, device.run, key=lambda item: item // 10)
    assert [*found] == [-item for item in items]
    assert device.seen == [[1, 2], [3], [14, 15], [6]]


def test_items_are_taken_a_batch_at_a_time() -> None:
    def items() -> Iterator[int]:
        for item in range(9):
            taken.append(item)
            yield item

    taken: list[int] = []
    results = Batches(3).run(items(), Device().run)
    assert taken == []
    assert [next(results) for _ in range(3)] == [0, -1, -2]
    assert taken == [0, 1, 2]
    assert [*results] == [-item for item in range(3, 9)]


def test_what_was_taken_for_a_batch_that_does_not_fit_goes_in_halves() -> None:
    device, batches = Device(room=3), Batches(8)
    assert [*batches.run(iter(range(9)), device.run)] == [-item for item in range(9)]
    assert device.seen == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert batches.limit == 2


def test_one_item_that_does_not_fit_is_a_reasoned_failure() -> None:
    with pytest.raises(BackendError, match=r"batch of one; lower matting\.max_pixels"):
        next(Batches(4).run([1], Device(room=0).run))
