"""Planning: every clip in one shard, the same plan from the same clips, differences by name."""

from __future__ import annotations

import random
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.dataset.plan_file import from_table, to_table
from mav_pipeline.media.parquet import decode_table, encode_table
from mav_pipeline.planning.plan import (
    changed_files,
    make_plan,
    renewed,
    select,
)
from mav_pipeline.schema import ClipRef, FileRef, Plan, Problem, ShardSpec

IDS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6)
TEXTS = st.text(max_size=8)
FILES = st.builds(
    FileRef,
    role=st.sampled_from(["video", "manual", "auto", "frame", "mask"]),
    uri=TEXTS,
    offset=st.integers(0, 2**40),
    size=st.integers(0, 2**40),
    version=TEXTS,
)
PROBLEMS = st.builds(Problem, st.sampled_from(["failed", "skipped"]), TEXTS, TEXTS)
CLIPS = st.builds(
    ClipRef,
    IDS,
    st.lists(FILES, max_size=3).map(tuple),
    st.none() | PROBLEMS,
    st.none() | TEXTS,
)
UNIQUE = st.lists(CLIPS, max_size=12, unique_by=lambda clip: clip.video_id)


def clip(video_id: str, folder: str = "", version: str = "1") -> ClipRef:
    refs = [
        FileRef(role, uri := f"{folder}{video_id}{suffix}", 0, 10, version, uri)
        for role, suffix in (("video", ".mp4"), ("manual", "_manual.json"))
    ]
    return ClipRef(video_id, tuple(refs))


def ids(clips: list[ClipRef]) -> list[str]:
    return [clip.video_id for clip in clips]


@given(UNIQUE, st.integers(1, 5))
def test_shards_partition_the_clips_in_order(clips: list[ClipRef], per_shard: int) -> None:
    shards = make_plan(clips, per_shard, {}).shards
    assert [clip for shard in shards for clip in shard.clips] == clips
    assert [shard.index for shard in shards] == list(range(len(shards)))
    sizes = [len(shard.clips) for shard in shards]
    assert sizes[:-1] == [per_shard] * (len(shards) - 1)
    assert not sizes or 1 <= sizes[-1] <= per_shard


def test_a_shard_is_named_by_its_number() -> None:
    assert ShardSpec(7, ()).name == "mav-000007"
    assert ShardSpec(1_234_567, ()).name == "mav-1234567"


@given(UNIQUE, st.randoms(use_true_random=False), st.none() | st.integers(1, 12))
def test_the_selection_does_not_depend_on_the_order_found(
    clips: list[ClipRef], rng: random.Random, limit: int | None
) -> None:
    shuffled = rng.sample(clips, len(clips))
    selected = select(shuffled, limit=limit)
    assert selected == select(clips, limit=limit)
    assert ids(selected) == sorted(ids(clips))[:limit]


def test_a_repeated_id_fails_after_the_first_whatever_the_order_found() -> None:
    first, second, third = (clip("a", folder) for folder in ("x/", "y/", "z/"))
    for found in ([first, second, third], [third, second, first], [second, third, first]):
        kept, *rest = select(found)
        assert kept == first
        assert [(c.problem.status, c.problem.reason) for c in rest if c.problem] == [
            ("failed", "duplicate_id")
        ] * 2
        assert rest[0].problem is not None
        assert "x/a.mp4" in rest[0].problem.message


@pytest.mark.parametrize("video_id", ["a.b", "a b", "../a", "é", "", "a\n", "a/b"])
def test_an_unsafe_id_is_a_failed_clip(video_id: str) -> None:
    (found,) = select([clip(video_id)])
    assert found.problem is not None
    assert (found.problem.status, found.problem.reason) == ("failed", "bad_id")
    assert repr(video_id) in found.problem.message


def test_globs_and_ids_are_taken_before_the_limit() -> None:
    clips = [clip(name) for name in ("sav_3", "sav_1", "sav_2", "dog", "sav_10")]
    assert ids(select(clips, ["sav_?", "dog"])) == ["dog", "sav_1", "sav_2", "sav_3"]
    assert ids(select(clips, ["sav_?"], 2)) == ["sav_1", "sav_2"]
    assert ids(select(clips, ["sav_1"])) == ["sav_1"]
    assert select(clips, ["cat"]) == []


def test_a_clip_is_named_by_its_id_or_by_its_own_name() -> None:
    named = [replace(clip("a_b-c8687a08"), name="a b"), replace(clip("a_b"), name=None)]
    for include, found in {
        ("a b",): ["a_b-c8687a08"],
        ("a_b-c8687a08",): ["a_b-c8687a08"],
        ("a_b",): ["a_b"],
        ("a b*", "a_b"): ["a_b", "a_b-c8687a08"],
        ("a?b",): ["a_b", "a_b-c8687a08"],
        ("b",): [],
    }.items():
        assert ids(select(named, include)) == found


def test_a_plan_from_before_names_has_none() -> None:
    plan = make_plan([replace(clip("a_b-c8687a08"), name="a b"), clip("c")], 1, {})
    table = to_table(plan)
    older = decode_table(encode_table(table.drop_columns(["name"])))
    assert [(ref.name, ref.own) for ref in from_table(older).clips()] == [
        (None, "a_b-c8687a08"),
        (None, "c"),
    ]
    assert from_table(decode_table(encode_table(table))) == plan


def test_selecting_keeps_what_discovery_found_wrong() -> None:
    problem = Problem("skipped", "no_annotation", "nothing there")
    assert select([replace(clip("a"), problem=problem)])[0].problem == problem


@given(UNIQUE, st.integers(1, 5), st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_a_plan_survives_its_table_and_its_file(
    clips: list[ClipRef], per_shard: int, tars: dict[str, str]
) -> None:
    plan = make_plan(clips, per_shard, tars)
    assert from_table(to_table(plan)) == plan
    assert from_table(decode_table(encode_table(to_table(plan)))) == plan


def test_the_same_plan_gives_the_same_bytes() -> None:
    tables = [to_table(make_plan([clip("a"), clip("b")], 1, {})) for _ in range(2)]
    assert encode_table(tables[0]) == encode_table(tables[1])


def test_the_order_in_which_tars_are_found_is_not_written() -> None:
    tars = {"b.tar": "2", "a.tar": "1"}
    tables = [to_table(make_plan([clip("a")], 1, dict(t))) for t in (tars, sorted(tars.items()))]
    assert encode_table(tables[0]) == encode_table(tables[1])


def test_a_table_that_does_not_say_which_tars_there_are_is_no_plan() -> None:
    table = to_table(make_plan([clip("a")], 1, {}))
    assert from_table(table).tars == {}
    with pytest.raises(KeyError):
        from_table(table.replace_schema_metadata(None))


@given(st.data())
def test_changed_files_are_named_and_no_others(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8))
    versions = {name: data.draw(st.sampled_from(["1", "2"])) for name in names}
    old = [clip(name) for name in data.draw(st.permutations(names)) if name < "f"]
    new = [clip(name, version=versions[name]) for name in names if name > "b"]
    expected = {}
    for name in names:
        if name >= "f":
            expected[name] = "is new"
        elif name <= "b":
            expected[name] = "is gone"
        elif versions[name] == "2":
            expected[name] = "has changed"
    changes = changed_files(make_plan(old, 2, {}), make_plan(new, 3, {}))
    assert changes == {
        f"{name}{suffix}": what
        for name, what in expected.items()
        for suffix in (".mp4", "_manual.json")
    }


@pytest.mark.parametrize("field", ["offset", "size", "version", "role"])
def test_every_field_of_a_file_counts_as_a_change(field: str) -> None:
    old = clip("a")
    value = "other" if field in ("version", "role") else 11
    new = replace(old, files=(replace(old.files[0], **{field: value}), old.files[1]))
    changes = changed_files(make_plan([old], 1, {}), make_plan([new], 1, {}))
    assert changes == {"a.mp4": "has changed"}


# repaired inputs


def packed(video_id: str, tar: str, version: str = "1", offset: int = 0) -> ClipRef:
    """A clip of ``clip`` as it lies in a tar."""
    loose = clip(video_id, version=version)
    files = (replace(ref, uri=tar, offset=offset + n) for n, ref in enumerate(loose.files))
    return ClipRef(video_id, tuple(files))


def uris(*clips: ClipRef) -> set[str]:
    return {ref.uri for found in clips for ref in found.files}


@st.composite
def sources(draw: st.DrawFn) -> tuple[Plan, Plan, set[str]]:
    """A plan, what its source is found to be later, and which clips have failed meanwhile."""
    tars = {tar: draw(st.sampled_from("12")) for tar in ("s.tar", "t.tar")}
    old, new = [], []
    for video_id in draw(st.lists(st.sampled_from("abcdefgh"), unique=True)):
        change = draw(st.sampled_from(["none", "none", "none", "changed", "is new", "is gone"]))
        place = draw(st.sampled_from(["", *tars]))
        if place:
            before, now = packed(video_id, place), packed(video_id, place, tars[place])
        else:
            before, now = (
                clip(video_id),
                clip(video_id, version="2" if change == "changed" else "1"),
            )
        old += [before] if change != "is new" else []
        new += [now] if change != "is gone" else []
    failed = {c.video_id for c in old if draw(st.booleans())}
    old_plan = make_plan(old, draw(st.integers(1, 4)), dict.fromkeys(tars, "1"))
    return old_plan, make_plan(new, 3, tars), failed


@given(sources())
def test_a_renewal_keeps_every_clip_in_its_place(found: tuple[Plan, Plan, set[str]]) -> None:
    old, new, failed = found
    plan, _ = renewed(old, new, failed)
    assert [s.index for s in plan.shards] == [s.index for s in old.shards]
    for shard, before in zip(plan.shards, old.shards, strict=True):
        assert [c.video_id for c in shard.clips] == [c.video_id for c in before.clips]
    assert set(plan.tars) == set(old.tars)


@given(sources())
def test_only_files_of_failed_clips_may_change_all_others_are_refused_by_name(
    found: tuple[Plan, Plan, set[str]],
) -> None:
    old, new, failed = found
    plan, refused = renewed(old, new, failed)
    allowed = uris(*(c for c in (*old.clips(), *new.clips()) if c.video_id in failed))
    changes = changed_files(old, new)
    assert refused == {uri: what for uri, what in changes.items() if uri not in allowed}
    after = {c.video_id: c for c in new.clips()}
    for now, before in zip(plan.clips(), old.clips(), strict=True):
        assert now in (before, after.get(before.video_id))
        assert now == before or uris(now, before) & allowed & set(changes)
    for tar, version in plan.tars.items():
        assert version == (new if tar in allowed else old).tars[tar]


@given(sources())
def test_after_a_renewal_that_is_accepted_the_source_is_the_planned_one(
    found: tuple[Plan, Plan, set[str]],
) -> None:
    old, new, failed = found
    plan, refused = renewed(old, new, failed)
    if not refused and {c.video_id for c in old.clips()} <= {c.video_id for c in new.clips()}:
        assert changed_files(plan, new) == {}
        assert renewed(plan, new, set()) == (plan, {})


@given(UNIQUE, st.integers(1, 5), st.sets(IDS))
def test_where_nothing_has_changed_the_plan_is_the_same(
    clips: list[ClipRef], per_shard: int, others: set[str]
) -> None:
    plan = make_plan(clips, per_shard, {"a.tar": "1"})
    for failed in (set(), others, set(ids(clips))):
        assert renewed(plan, make_plan(clips, 3, {"a.tar": "1"}), failed) == (plan, {})


def test_a_repaired_clip_is_taken_anew_with_the_problem_that_it_has_now() -> None:
    broken = replace(clip("b"), problem=Problem("failed", "no_video", "it lies without its mp4"))
    broken = replace(broken, files=broken.files[1:])
    old, new = make_plan([clip("a"), broken], 1, {}), make_plan([clip("a"), clip("b")], 2, {})
    assert renewed(old, new, {"b"}) == (make_plan([clip("a"), clip("b")], 1, {}), {})
    assert renewed(old, new, {"a"}) == (old, {"b.mp4": "is new"})


def test_a_failed_clip_that_is_gone_stays_in_the_plan() -> None:
    old, new = make_plan([clip("a"), clip("b")], 2, {}), make_plan([clip("a")], 2, {})
    assert renewed(old, new, {"b"}) == (old, {})


def test_a_changed_tar_renews_every_clip_in_it_and_leaves_new_ones_out() -> None:
    torn = Problem("failed", "torn_tar", "plan of tar: t.tar ends inside a member")
    before = [packed("a", "t.tar"), replace(packed("c", "t.tar"), problem=torn)]
    after = [packed(video_id, "t.tar", "2", offset=9) for video_id in "abc"]
    others = [packed("d", "s.tar"), clip("e")]
    old = make_plan([*before, *others], 2, {"t.tar": "1", "s.tar": "1"})
    new = make_plan([*after, *others], 2, {"t.tar": "2", "s.tar": "1"})
    plan, refused = renewed(old, new, {"c"})
    assert plan == make_plan([after[0], after[2], *others], 2, new.tars)
    assert refused == {}
    assert renewed(old, new, {"d", "e"}) == (old, {"t.tar": "has changed"})


def selected(*clips: ClipRef, tars: dict[str, str] | None = None) -> Plan:
    return make_plan(select(clips), 9, tars or {})


def test_removing_the_second_of_two_clips_of_one_id_makes_the_first_no_twin() -> None:
    old, new = selected(clip("a", "x/"), clip("a", "y/")), selected(clip("a", "x/"))
    plan, refused = renewed(old, new, {"a"})
    assert refused == {}
    first, second = plan.clips()
    assert first == clip("a", "x/")
    assert second.problem is not None, "or two samples have one key"


def test_repairing_the_first_of_two_clips_of_one_id_leaves_the_second_a_failed_one() -> None:
    old = selected(clip("a", "x/"), clip("a", "y/"))
    new = selected(clip("a", "x/", version="2"), clip("a", "y/"))
    assert renewed(old, new, {"a"}) == (new, {})


def test_a_failed_clips_tar_may_be_replaced_by_its_folder() -> None:
    old, new = selected(packed("a", "t.tar"), tars={"t.tar": "1"}), selected(clip("a"))
    plan, refused = renewed(old, new, {"a"})
    assert refused == {}
    assert changed_files(plan, new) == {}


def test_what_discovery_found_wrong_outweighs_that_an_id_stands_twice() -> None:
    problem = Problem("failed", "torn_tar", "cut")
    first, second = select([clip("a", "x/"), replace(clip("a", "y/"), problem=problem)])
    assert (first.problem, second.problem) == (None, problem)
