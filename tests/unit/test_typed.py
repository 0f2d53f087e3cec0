"""Plain dicts become typed dataclasses, or an error that names the key and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from mav_pipeline.config.values import build, flatten
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.registry import nearest


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: Literal["fit", "native"]
    count: int


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    rate: float
    name: str | None
    on: bool
    workers: int | Literal["auto"]
    globs: tuple[str, ...]
    spare: int = 7


GOOD: dict[str, Any] = {
    "inner": {"size": "fit", "count": 3},
    "rate": 2,
    "name": None,
    "on": False,
    "workers": "auto",
    "globs": ["a", 5],
}


def test_values_take_the_types_of_their_fields() -> None:
    built = build(Outer, GOOD)
    assert built == Outer(
        inner=Inner(size="fit", count=3),
        rate=2.0,
        name=None,
        on=False,
        workers="auto",
        globs=("a", "5"),
    )
    assert isinstance(built.rate, float)
    assert build(Outer, {**GOOD, "workers": 4, "name": "x"}).workers == 4


def test_one_text_is_a_list_of_one() -> None:
    assert build(Outer, {**GOOD, "globs": "sav_*"}).globs == ("sav_*",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": 1}, r"unknown key rates; did you mean 'rate'\?"),
        ({"inner": {"size": "fit", "cuont": 3}}, r"unknown key inner.cuont; did you mean 'count'"),
        ({"zzz": 1}, r"^unknown key zzz$"),
        ({"inner": 3}, "inner is a group of keys, not 3"),
        ({"inner": {"size": "fit"}}, "inner.count is missing"),
        ({"inner": {"size": "fti", "count": 3}}, "fit or native; did you mean 'fit'.*not 'fti'"),
        ({"inner": {"size": "fit", "count": 3.5}}, "inner.count must be a whole number, not 3.5"),
        ({"inner": {"size": "fit", "count": True}}, "inner.count must be a whole number, not True"),
        ({"rate": "fast"}, "rate must be a number, not 'fast'"),
        ({"rate": True}, "rate must be a number, not True"),
        ({"on": 1}, "on must be true or false, not 1"),
        ({"on": "yes"}, "on must be true or false, not 'yes'"),
        ({"name": 2.5}, "name must be a text or null, not 2.5"),
        ({"name": True}, "name must be a text or null, not True"),
        ({"workers": "many"}, "workers must be a whole number or auto, not 'many'"),
        ({"globs": 3}, "globs must be a list, not 3"),
        ({"globs": [None]}, "globs must be a text, not None"),
    ],
)
def test_an_error_names_the_key_the_rule_and_the_value(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Outer, {**GOOD, **change})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="rate is missing"):
        build(Outer, {key: value for key, value in GOOD.items() if key != "rate"})


def test_flattening_joins_keys_with_dots() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": None,
    }


def test_a_hint_is_given_only_where_something_is_near() -> None:
    assert nearest("matting.windw", ["matting.window", "matting.seed"]).endswith("matting.window'?")
    assert nearest("banana", ["matting.window"]) == ""
