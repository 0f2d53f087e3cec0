"""A node on which workers were killed for lack of memory gets fewer of them, and never none."""

from __future__ import annotations

from mav_pipeline.runtime.ray.room import Room


def test_nothing_is_limited_before_anything_happened() -> None:
    room = Room()
    room.look(["a", "a", "b"])
    assert (room.limit("a"), room.full(["a", "a"]), room.withheld) == (None, [], 0)


def test_a_node_that_was_short_gets_one_worker_less() -> None:
    room = Room()
    room.look(["a"] * 4 + ["b"] * 4)
    room.was_short("a", 4)
    assert (room.limit("a"), room.limit("b"), room.withheld) == (3, None, 1)
    assert room.full(["a", "a", "b", "b", "b", "b"]) == []
    assert room.full(["a", "a", "a", "b"]) == ["a"]
    room.was_short("a", 3)
    assert (room.limit("a"), room.withheld) == (2, 2)


def test_workers_killed_together_are_counted_down_to_one() -> None:
    room = Room()
    room.look(["a", "a"])
    for left in (2, 1, 1):
        room.was_short("a", left)
    assert (room.limit("a"), room.withheld) == (1, 1)


def test_a_node_that_is_kept_has_one_worker_for_that_time() -> None:
    room = Room()
    room.look(["a"] * 3)
    room.was_short("a", 3)
    room.kept = "a"
    assert (room.limit("a"), room.full(["a"]), room.withheld) == (1, ["a"], 2)
    room.kept = None
    assert (room.limit("a"), room.withheld) == (2, 1)
