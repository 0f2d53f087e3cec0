"""What makes two builds the same, what a set from before is taken to say, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.dataset.columns import schema
from mav_pipeline.planning import fingerprint
from mav_pipeline.schema import FORMAT
from mav_pipeline.schema.errors import OutputError
from tests.fakes import config

KEYS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2) | st.none(), max_size=6)


@given(KEYS, KEYS)
def test_changed_keys_are_named_and_no_others(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = fingerprint.changes(old, new)
    same = {key for key in old if key in new and old[key] == new[key]}
    assert [change.key for change in found] == sorted({*old, *new} - same)
    assert fingerprint.changes(old, new, besides={*old, *new}) == []


def test_a_changed_key_says_what_it_was_and_is() -> None:
    old, new = {"a": 1, "b": None, "c": "x"}, {"a": 1, "b": 2, "d": ["y"]}
    assert [str(change) for change in fingerprint.changes(old, new)] == [
        "b: was null, now 2",
        'c: was "x", now unset',
        'd: was unset, now ["y"]',
    ]


def test_the_fingerprint_follows_values_and_the_format_not_the_order_of_keys() -> None:
    one = fingerprint.digest(2, {"a": 1, "b": [2, 3]})
    assert one == fingerprint.digest(2, {"b": [2, 3], "a": 1})
    assert len(one) == 64
    others = [
        fingerprint.digest(2, {"a": 2, "b": [2, 3]}),
        fingerprint.digest(3, {"a": 1, "b": [2, 3]}),
        fingerprint.digest(2, {"a": 1, "b": [2, 3], "c": None}),
    ]
    assert len({one, *others}) == 4


def test_a_backend_hashes_its_own_keys_and_no_others() -> None:
    mine = fingerprint.keys_of(config({"matting.name": "closed_form"}), {})
    model = {f"matting.{name}" for name in ("device", "dtype", "decode_chunk", "max_batch")}
    assert "matting.band" in mine
    assert not model & set(mine)
    assert model <= set(fingerprint.keys_of(config({"matting.name": "videomama"}), {}))


def test_a_source_hashes_its_own_keys_and_no_others() -> None:
    video = fingerprint.keys_of(config(), {})
    images = fingerprint.keys_of(config({"source.name": "sav_eval"}), {})
    assert ("source.frame_step" in video, "source.fps" in video) == (True, False)
    assert ("source.frame_step" in images, "source.fps" in images) == (False, True)


def test_weights_and_revisions_are_keys_too() -> None:
    keys = fingerprint.keys_of(config(), {"unet": "ab"})
    assert keys["weights.unet"] == "ab"
    assert {key for key in keys if key.startswith("revision.")} == {
        "revision.source",
        "revision.matting",
        "revision.scores",
    }


def run_of(run: Any, format_: int, **keys: Any) -> dict[str, Any]:
    """The parts of a ``run.json`` that say which build it is, by code of today's revisions."""
    keys = {**fingerprint.keys_of(run, {}), **keys}
    about = {"config": run.to_mapping(), "versions": {}, "keys": json.loads(json.dumps(keys))}
    return about if format_ == 1 else {"format": format_, **about}


def test_format_1_asked_every_backend_for_keys_that_are_not_held_against_it() -> None:
    run = config({"matting.name": "closed_form"})
    held = run_of(run, 1, **{"matting.device": "auto", "matting.max_batch": 9, "source.fps": 24.0})
    assert fingerprint.changes(fingerprint.held_keys(held), fingerprint.keys_of(run, {})) == []


def test_an_unknown_key_is_held_against_a_set_of_any_format() -> None:
    run = config()
    for format_ in (1, 2):
        held = fingerprint.held_keys(run_of(run, format_, **{"matting.strange": 1}))
        (change,) = fingerprint.changes(held, fingerprint.keys_of(run, {}))
        assert str(change) == "matting.strange: was 1, now unset"


@pytest.mark.parametrize("former", [42, 7])
def test_a_key_that_came_later_has_a_former_default(
    former: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = config({"matting.name": "closed_form"})
    held = run_of(run, 2)
    del held["keys"]["matting.seed"], held["config"]["matting"]["seed"]
    assert fingerprint.changes(fingerprint.held_keys(held), fingerprint.keys_of(run, {}))
    monkeypatch.setattr(fingerprint, "FORMER_DEFAULTS", {"matting.seed": former, "source.fps": 9.0})
    found = fingerprint.changes(fingerprint.held_keys(held), fingerprint.keys_of(run, {}))
    assert [change.key for change in found] == (["matting.seed"] if former == 7 else [])
    assert fingerprint.held_config(held)["matting"]["seed"] == former
    assert "fps" not in fingerprint.held_config(held)["source"]  # of another source


def test_what_the_code_does_differently_is_told_from_what_the_configuration_says() -> None:
    run = config()
    held = run_of(run, 2, **{"revision.matting": 0, "matting.seed": 1})
    found = fingerprint.changes(fingerprint.held_keys(held), fingerprint.keys_of(run, {}))
    assert [(change.key, change.is_code) for change in found] == [
        ("matting.seed", False),
        ("revision.matting", True),
    ]


def test_columns_that_would_differ_are_named() -> None:
    held = run_of(config(), FORMAT)
    assert fingerprint.format_changes(held) == []
    names = schema().names
    held["columns"] = [*names[:-1], "older"]
    assert [str(change) for change in fingerprint.format_changes(held)] == [
        'columns.older: was "there", now unset',
        f'columns.{names[-1]}: was unset, now "there"',
    ]


def test_a_format_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "WRITABLE", (2,))
    (change,) = fingerprint.format_changes(run_of(config(), 1))
    assert str(change) == "format: was 1, now 2"


def test_auto_means_what_the_set_records() -> None:
    run = config({"matting.name": "videomama", "matting.dtype": "float16"})
    held = {"matting.device": "cuda", "matting.dtype": "x"}
    found: Any = fingerprint.as_recorded(run, held).matting
    assert (found.device, found.dtype) == ("cuda", "float16")


def test_an_automatic_gate_means_what_the_set_records_and_one_that_is_named_does_not() -> None:
    run = config({"quality.min_quality": 0.3})
    held = {
        "quality.scores": "full",
        "quality.max_lost_share": None,
        "quality.min_quality": None,
    }
    found = fingerprint.as_recorded(run, held).quality
    assert (found.max_lost_share, found.min_quality) == (None, 0.3)
    basic = config({"quality.scores": "basic"})  # a gate on the other scores is no reason to refuse
    assert fingerprint.as_recorded(basic, {**held, "quality.max_lost_share": 0.2}) == basic


def test_a_damaged_run_is_refused() -> None:
    with pytest.raises(OutputError, match=r"run\.json has no keys"):
        fingerprint.check_held({"config": {}, "versions": {}})
