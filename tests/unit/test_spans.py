"""Spans, windows and chunks of a temporal model: every frame covered, none twice, none in vain."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.matting.videomama.spans import SpanPlan, covered
from mav_pipeline.media.masks import encode_rle
from mav_pipeline.schema import Masklet
from tests.fakes import moving_box

RLE = encode_rle(moving_box(1)[0])
PLAN = SpanPlan(window=6, overlap=2, chunk=4, context=0)


def masklet(visible: list[bool]) -> Masklet:
    return Masklet("manual_000", 0, "manual", tuple(RLE if shown else None for shown in visible))


@given(
    st.lists(st.booleans(), max_size=60), st.integers(1, 9), st.integers(0, 8), st.integers(1, 9)
)
def test_spans_windows_and_chunks_cover_the_visible_frames(
    visible: list[bool], window: int, overlap: int, chunk: int
) -> None:
    plan = SpanPlan(window=window, overlap=min(overlap, window - 1), chunk=chunk, context=1)
    spans = plan.spans(masklet(visible))
    inside = [i for span in spans for i in range(span.first, span.last)]
    assert {i for i, shown in enumerate(visible) if shown} <= set(inside)
    assert len(inside) == len(set(inside))
    for span in spans:
        assert visible[span.first]
        assert visible[span.last - 1]
        windows = [*plan.windows(span)]
        inside_windows = {i for w in windows for i in range(w.first, w.last)}
        assert inside_windows == set(range(span.first, span.last))
        assert {w.frames for w in windows} == {min(window, span.frames)}
        assert {w.weights.shape for w in windows} == {(min(window, span.frames),)}
        assert [w.settled for w in windows] == [*(w.first for w in windows[1:]), span.last]
        chunks = [*plan.chunks(span)]
        frames = [i for c in chunks for i in range(c.first, c.last)]
        assert frames == list(range(span.first, span.last))
        for c in chunks:
            assert span.first <= c.context_first <= c.first
            assert c.last <= c.context_last <= span.last


@given(
    st.lists(st.lists(st.booleans(), max_size=60), max_size=4),
    st.integers(1, 9),
    st.integers(0, 8),
)
def test_rounds_go_through_time_and_leave_out_no_window(
    clip: list[list[bool]], window: int, overlap: int
) -> None:
    plan = SpanPlan(window=window, overlap=min(overlap, window - 1), chunk=4, context=0)
    spans = [span for visible in clip for span in plan.spans(masklet(visible))]
    rounds = [*plan.rounds(spans)]
    assert [first for first, _ in rounds] == sorted({first for first, _ in rounds})
    found = [(w.span, w.first) for _, windows in rounds for w in windows]
    expected = [(span, w.first) for span in spans for w in plan.windows(span)]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    for first, windows in rounds:
        assert all(first <= w.first < first + window for w in windows)
        lengths = [w.frames for w in windows]
        assert lengths == sorted(lengths, reverse=True)
    for span in spans:  # what is faded into a frame comes in the order of the span's windows
        firsts = [w.first for _, windows in rounds for w in windows if w.span is span]
        assert firsts == sorted(firsts)


@given(st.lists(st.lists(st.booleans(), max_size=30), max_size=4))
def test_runs_of_frames_cover_what_some_span_has_and_nothing_else(clip: list[list[bool]]) -> None:
    spans = [span for visible in clip for span in PLAN.spans(masklet(visible))]
    runs = covered(spans)
    frames = [i for first, last in runs for i in range(first, last)]
    assert frames == sorted({i for span in spans for i in range(span.first, span.last)})
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(runs))


def test_a_gap_up_to_the_overlap_is_bridged_and_a_longer_one_is_not() -> None:
    shown = [True] * 3 + [False] * 2 + [True] * 3
    assert [(s.first, s.last) for s in PLAN.spans(masklet(shown))] == [(0, 8)]
    shown = [True] * 3 + [False] * 3 + [True] * 3
    assert [(s.first, s.last) for s in PLAN.spans(masklet(shown))] == [(0, 3), (6, 9)]


def test_a_short_span_runs_as_one_short_window() -> None:
    (span,) = PLAN.spans(masklet([True] * 4))
    (window,) = PLAN.windows(span)
    assert (window.first, window.last, window.settled) == (0, 4, 4)


def test_seams_lie_where_pieces_meet() -> None:
    seams = PLAN.seams(masklet([True] * 10 + [False] * 5 + [True] * 5))
    assert seams.windows == (5,)  # windows 0-5 and 4-9 share frames 4 and 5
    assert seams.chunks == (4, 8, 19)  # chunks start anew with the second span, at 15
    assert seams.count == 3
