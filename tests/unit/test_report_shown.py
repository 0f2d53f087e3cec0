"""Which frames a report shows: over the whole clip, and never dear to decode."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.report.shown import Places, costs, limit, shown

NUMBERS = range(0, 240, 4)


def decoded(places: list[int], cost: Places) -> int:
    """Video frames that a decoder goes through: of each stretch as far as the last one shown."""
    farthest: dict[int, int] = {}
    for place in places:
        key = NUMBERS[place] - int(cost[place])
        farthest[key] = max(farthest.get(key, 0), int(cost[place]) + 1)
    return sum(farthest.values())


def test_a_frame_costs_what_lies_between_it_and_its_key_frame() -> None:
    assert costs([0, 4, 8, 12, 16], [0, 10, 12]).tolist() == [0, 4, 8, 0, 4]
    assert costs([0, 4, 8], [0, 4, 8]).tolist() == [0, 0, 0], "pictures are all key frames"


def test_a_clip_that_is_cheap_is_shown_from_end_to_end() -> None:
    cost = costs(NUMBERS, [0])
    most = limit([range(60)], NUMBERS, cost, 6, 240)
    assert shown(range(60), cost, 6, most) == [5, 15, 25, 35, 45, 55]


def test_what_is_behind_one_key_frame_is_shown_as_far_as_it_may_be_decoded() -> None:
    cost = costs(NUMBERS, [0])
    most = limit([range(60)], NUMBERS, cost, 6, 100)
    found = shown(range(60), cost, 6, most)
    assert found == [2, 6, 10, 15, 19, 23]
    assert decoded(found, cost) <= 101


def test_with_many_key_frames_the_whole_clip_is_shown_near_them() -> None:
    cost = costs(NUMBERS, range(0, 240, 24))
    most = limit([range(60)], NUMBERS, cost, 6, 40)
    found = shown(range(60), cost, 6, most)
    assert [NUMBERS[place] for place in found] == [4, 52, 96, 124, 172, 216]
    assert decoded(found, cost) <= 46


def test_masklets_of_a_clip_share_what_is_decoded() -> None:
    cost = costs(NUMBERS, [0, 120])
    assert limit([range(60)] * 3, NUMBERS, cost, 6, 120) == 60
    assert limit([range(60)], NUMBERS, cost, 1, 120) == 120, "one frame lies in one stretch"


def test_where_nothing_is_near_the_cheapest_frames_are_shown() -> None:
    cost = costs(NUMBERS, [0])
    assert shown(range(30, 60), cost, 3, 10) == [30, 31, 32]
    assert shown([59], cost, 3, 10) == [59]
    assert shown([], cost, 3, 10) == []


@given(
    st.sets(st.integers(0, 59), min_size=1),
    st.sets(st.integers(1, 239), max_size=20),
    st.integers(1, 12),
    st.integers(0, 300),
)
def test_frames_shown_are_seen_and_few_are_decoded(
    seen: set[int], keys: set[int], count: int, frames: int
) -> None:
    cost, visible = costs(NUMBERS, sorted({0, *keys})), sorted(seen)
    found = shown(visible, cost, count, limit([visible], NUMBERS, cost, count, frames))
    assert len(found) == min(count, len(visible))
    assert found == sorted({*found})
    assert {*found} <= seen
    dearest = np.sort(cost[visible])[: len(found)]
    assert decoded(found, cost) <= max(frames + len(found), len(found) * (int(dearest[-1]) + 1))
