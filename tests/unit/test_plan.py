"""Planning: every clip in one shard, the same plan from the same clips, differences by name."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.plan import (
    changed_files,
    changed_keys,
    fingerprint,
    from_table,
    make_plan,
    select,
    to_table,
)
from mav_pipeline.schema import ClipRef, FileRef, Problem, ShardSpec
from mav_pipeline.tables import decode_table, encode_table

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
CLIPS = st.builds(ClipRef, IDS, st.lists(FILES, max_size=3).map(tuple), st.none() | PROBLEMS)
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


def test_selecting_keeps_what_discovery_found_wrong() -> None:
    problem = Problem("skipped", "no_annotation", "nothing there")
    assert select([replace(clip("a"), problem=problem)])[0].problem == problem


@given(UNIQUE, st.integers(1, 5))
def test_a_plan_survives_its_table_and_its_file(clips: list[ClipRef], per_shard: int) -> None:
    plan = make_plan(clips, per_shard, {"a.tar": "1"})
    assert from_table(to_table(plan)) == plan
    assert from_table(decode_table(encode_table(to_table(plan)))) == plan


def test_the_same_plan_gives_the_same_bytes() -> None:
    tables = [to_table(make_plan([clip("a"), clip("b")], 1, {})) for _ in range(2)]
    assert encode_table(tables[0]) == encode_table(tables[1])


KEYS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2) | st.none(), max_size=6)


@given(KEYS, KEYS)
def test_changed_keys_are_named_and_no_others(old: dict[str, Any], new: dict[str, Any]) -> None:
    lines = changed_keys(old, new)
    same = {key for key in old if key in new and old[key] == new[key]}
    assert [line.split(":")[0] for line in lines] == sorted({*old, *new} - same)


def test_a_changed_key_says_what_it_was_and_is() -> None:
    old, new = {"a": 1, "b": None, "c": "x"}, {"a": 1, "b": 2, "d": ["y"]}
    assert changed_keys(old, new) == [
        "b: was null, now 2",
        'c: was "x", now unset',
        'd: was unset, now ["y"]',
    ]


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


def test_the_fingerprint_follows_values_not_their_order() -> None:
    one = fingerprint({"a": 1, "b": (2, 3)}, {"unet": "x"})
    assert one == fingerprint({"b": (2, 3), "a": 1}, {"unet": "x"})
    assert len(one) == 64
    others = [
        fingerprint({"a": 2, "b": (2, 3)}, {"unet": "x"}),
        fingerprint({"a": 1, "b": (2, 3)}, {"unet": "y"}),
        fingerprint({"a": 1, "b": (2, 3), "c": None}, {"unet": "x"}),
    ]
    assert len({one, *others}) == 4
