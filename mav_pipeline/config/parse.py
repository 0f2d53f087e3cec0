"""Plain dicts to the dataclass of a group, by pydantic; errors name key, rule and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mav_pipeline.config.types import UNHASHED
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.registry import nearest

T = TypeVar("T")

#: Rules by pydantic's names of what breaks them; ``{ge}`` and the like are its own values.
_RULES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "none_required": "null",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
}


def parse(cls: type[T], data: Any, group: str) -> T:
    """An instance of a group's dataclass from a plain dict, every value checked.

    Raises:
        ConfigError: an unknown key (naming the nearest), a missing one, or a bad value.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{group} is a group of keys, not {data!r}")
    try:
        return cls(**data)
    except ValidationError as error:
        raise ConfigError(_message(error.errors(), cls, group)) from error


def names(cls: type[Any]) -> list[str]:
    """The keys of a group."""
    return [field.name for field in fields(cls)]


def unhashed(cls: type[Any]) -> set[str]:
    """The keys of a group that are marked as reaching no byte of a shard."""
    hints = get_type_hints(cls, include_extras=True)
    return {name for name, hint in hints.items() if UNHASHED in getattr(hint, "__metadata__", ())}


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _message(errors: Sequence[ErrorDetails], cls: type[Any], group: str) -> str:
    """Says what is wrong with the first key that is; of a choice of types, all its rules."""
    first = errors[0]
    name = str(first["loc"][0])
    key = f"{group}.{name}"
    if first["type"] == "unexpected_keyword_argument":
        return f"unknown key {key}{nearest(name, names(cls))}"
    if first["type"] in ("missing", "missing_argument"):
        return f"{key} is missing from the configuration"
    rules = [_rule(error) for error in errors if error["loc"][0] == name]
    if NoneType in get_args(get_type_hints(cls)[name]):
        rules.append("null")
    return f"{key} must be {' or '.join(dict.fromkeys(rules))}, not {first['input']!r}"


def _rule(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] != "literal_error":
        return _RULES.get(error["type"], error["msg"]).format(**context)
    choices = [choice.strip("'") for choice in _choices(context["expected"])]
    hint = nearest(error["input"], choices) if isinstance(error["input"], str) else ""
    return " or ".join(choices) + hint


def _choices(expected: str) -> Iterable[str]:
    """Of pydantic's ``'a', 'b' or 'c'``."""
    return expected.replace(" or ", ", ").split(", ")
