"""Batches: neighbours together, no item taken early; a full device is freed and tried again."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest
import torch

from mav_pipeline.matting.videomama.batches import Batches, Room
from mav_pipeline.schema.errors import BackendError


class Device:
    """Takes ``room`` items at once, and notes the batches that it was given."""

    def __init__(self, room: int = 100) -> None:
        self.room, self.seen = room, list[list[int]]()

    def run(self, group: list[int]) -> list[int]:
        if len(group) > self.room:
            raise torch.OutOfMemoryError("full. GPU 0")
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


def test_a_call_that_finds_the_device_full_is_freed_of_what_it_held_and_tried_once_more() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    seen = list[bool]()

    def free() -> None:
        seen.append(held[-1]() is None)

    def run() -> int:
        tensor = torch.zeros(4)
        held.append(weakref.ref(tensor))
        if len(held) == 1:
            raise torch.OutOfMemoryError("no room")
        return len(held)

    room = Room(free)
    assert room.call(run) == 2
    assert seen == [True]
    assert room.retried == 1


def test_a_call_that_finds_no_room_twice_is_a_reasoned_failure() -> None:
    room, freed = Room(lambda: freed.append(1)), list[int]()
    with pytest.raises(
        BackendError, match=r"no room, twice: full; lower matting\.max_pixels"
    ) as it:
        room.call(lambda: Device(room=0).run([1]))
    assert it.value.reason == "device_memory"
    assert freed == [1, 1]


def test_other_errors_pass_through() -> None:
    def run() -> None:
        raise RuntimeError("a launch failed")

    room = Room(lambda: None)
    with pytest.raises(RuntimeError, match="a launch failed"):
        room.call(run)
    assert room.retried == 0
