"""Plain dicts to typed dataclasses, with errors that name the key and the way out. Pure."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar

from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.schema.registry import nearest

T = TypeVar("T")


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def build(cls: type[T], data: Mapping[str, Any], prefix: str = "") -> T:
    """An instance of the dataclass ``cls`` from nested plain dicts, every value checked.

    Raises:
        ConfigError: an unknown key (naming the nearest), a missing one, or a value of another type.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise ConfigError(f"unknown key {prefix}{key}{nearest(key, known)}")
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        key = f"{prefix}{name}"
        if name not in data:
            if known[name].default is MISSING:
                raise ConfigError(f"{key} is missing from the configuration")
            continue
        value = data[name]
        if is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{key} is a group of keys, not {value!r}")
            values[name] = build(typing.cast(type[Any], hint), value, f"{key}.")
        else:
            values[name] = _convert(hint, value, key)
    return cls(**values)


def _convert(hint: Any, value: Any, key: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        for option in args:
            try:
                return _convert(option, value, key)
            except ConfigError:
                continue
        wanted = " or ".join(_name(option) for option in args)
    elif origin is Literal:
        if value in args and not (isinstance(value, bool) and True not in args):
            return value
        wanted = " or ".join(str(arg) for arg in args)
        if isinstance(value, str):
            wanted += nearest(value, [str(arg) for arg in args])
    elif origin is tuple:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list | tuple):
            return tuple(_convert(args[0], item, key) for item in items)
        wanted = "a list"
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    elif hint is str and isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    else:
        wanted = _name(hint)
    raise ConfigError(f"{key} must be {wanted}, not {value!r}")


def _name(hint: Any) -> str:
    if hint is type(None):
        return "null"
    if typing.get_origin(hint) is Literal:
        return " or ".join(str(arg) for arg in typing.get_args(hint))
    return {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(
        getattr(hint, "__name__", str(hint)), "a text"
    )
