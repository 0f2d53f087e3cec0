"""Plain dicts become typed dataclasses, or an error that names the key and the way out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic.dataclasses import dataclass

from mav_pipeline.config.parse import flatten, parse, unhashed
from mav_pipeline.config.types import STRICT, UNHASHED, Count, Positive, Text, Texts
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.registry import nearest


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Group:
    size: Literal["fit", "native"]
    count: int
    rate: Positive
    name: Text | None
    on: bool
    workers: Count | Literal["auto"]
    globs: Texts
    place: Annotated[Text | None, UNHASHED]
    spare: int = 7


GOOD: dict[str, Any] = {
    "size": "fit",
    "count": 3,
    "rate": 2,
    "name": None,
    "on": False,
    "workers": "auto",
    "globs": ["a", 5],
    "place": "here",
}


def test_values_take_the_types_of_their_fields() -> None:
    built = parse(Group, GOOD, "group")
    assert built == Group(**{**GOOD, "rate": 2.0, "globs": ("a", "5")})
    assert isinstance(built.rate, float)
    assert built.spare == 7
    found = parse(Group, {**GOOD, "workers": 4, "name": 12}, "group")
    assert (found.workers, found.name) == (4, "12")


def test_one_text_is_a_list_of_one() -> None:
    assert parse(Group, {**GOOD, "globs": "sav_*"}, "group").globs == ("sav_*",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": 1}, r"^unknown key group.rates; did you mean 'rate'\?$"),
        ({"zzz": 1}, r"^unknown key group.zzz$"),
        ({"size": "fti"}, "group.size must be fit or native; did you mean 'fit'.*not 'fti'"),
        ({"size": 3}, "group.size must be fit or native, not 3"),
        ({"count": 3.5}, "group.count must be a whole number, not 3.5"),
        ({"count": True}, "group.count must be a whole number, not True"),
        ({"count": "3"}, "group.count must be a whole number, not '3'"),
        ({"count": None}, "group.count must be a whole number, not None"),
        ({"rate": "fast"}, "group.rate must be a number, not 'fast'"),
        ({"rate": True}, "group.rate must be a number, not True"),
        ({"rate": 0}, "group.rate must be above 0, not 0"),
        ({"rate": float("nan")}, "group.rate must be a finite number, not nan"),
        ({"on": 1}, "group.on must be true or false, not 1"),
        ({"on": "yes"}, "group.on must be true or false, not 'yes'"),
        ({"name": 2.5}, "group.name must be a text or null, not 2.5"),
        ({"name": True}, "group.name must be a text or null, not True"),
        ({"workers": "many"}, "group.workers must be a whole number or auto, not 'many'"),
        ({"workers": 0}, "group.workers must be at least 1 or auto, not 0"),
        ({"globs": 3}, "group.globs must be a list, not 3"),
        ({"globs": [None]}, "group.globs must be a text, not None"),
    ],
)
def test_an_error_names_the_key_the_rule_and_the_value(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Group, {**GOOD, **change}, "group")


def test_a_missing_key_is_named() -> None:
    rest = {key: value for key, value in GOOD.items() if key != "rate"}
    with pytest.raises(ConfigError, match=r"group\.rate is missing"):
        parse(Group, rest, "group")


def test_a_group_is_no_value() -> None:
    with pytest.raises(ConfigError, match="group is a group of keys, not 3"):
        parse(Group, 3, "group")


def test_keys_that_reach_no_byte_are_marked() -> None:
    assert unhashed(Group) == {"place"}


def test_flattening_joins_keys_with_dots() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": None,
    }


def test_a_hint_is_given_only_where_something_is_near() -> None:
    assert nearest("matting.windw", ["matting.window", "matting.seed"]).endswith("matting.window'?")
    assert nearest("banana", ["matting.window"]) == ""
