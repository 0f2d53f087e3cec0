"""The fingerprint of a build: the keys that reach bytes; and in what two builds differ. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mav_pipeline.config import CHOSEN, FINGERPRINTED, RunConfig
from mav_pipeline.config.parse import names
from mav_pipeline.dataset.columns import schema
from mav_pipeline.dataset.layout import RUN
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.schema.kinds import Kinds
from mav_pipeline.schema.scores import SCORER_REVISION
from mav_pipeline.schema.version import (
    FIRST_REVISION,
    FORMER_DEFAULTS,
    SHARED_IN_FORMAT_1,
    WRITABLE,
    format_of,
)
from mav_pipeline.sources.registry import SOURCES

_REVISION = "revision."
AUTO = "auto"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """A key that differs: ``None`` where one of the two does not have it."""

    key: str
    was: str | None
    now: str | None

    @property
    def is_code(self) -> bool:
        """Whether not the configuration differs but what the code does."""
        return self.key.startswith(_REVISION)

    @property
    def both(self) -> bool:
        """Whether both have the key."""
        return self.was is not None and self.now is not None

    def __str__(self) -> str:
        return f"{self.key}: was {self.was or 'unset'}, now {self.now or 'unset'}"


def keys_of(config: RunConfig, weights: Mapping[str, str]) -> dict[str, Any]:
    """The flat keys that reach pixels or rows: configuration, revisions, hashes of weights."""
    found: dict[str, Any] = {
        **config.fingerprinted(),
        f"{_REVISION}source": SOURCES.get(config.source.name).revision,
        f"{_REVISION}matting": BACKENDS.get(config.matting.name).revision,
        f"{_REVISION}scores": SCORER_REVISION,
        **{f"weights.{name}": sha256 for name, sha256 in weights.items()},
    }
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def digest(format_: int, keys: Mapping[str, Any]) -> str:
    """sha256 hex of everything but the inputs that reaches a byte of a shard.

    The inputs are held to ``plan.parquet`` file by file: hashed in here, their paths and times
    would make the same clips in a tar, or after a repair, another set.

    Args:
        keys: of configuration, revisions and weights; see ``keys_of``.
    """
    text = json.dumps({"format": format_, "keys": keys}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def held_keys(run: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a set that exists, as this version would name them.

    Raises:
        ConfigError: its source or backend is none that this version knows.
    """
    ignored = _ignored(run)
    return {
        **{f"{_REVISION}{what}": FIRST_REVISION for what in ("source", "matting", "scores")},
        **_defaults(run),
        **{key: value for key, value in run["keys"].items() if key not in ignored},
    }


def held_config(
    run: Mapping[str, Any], groups: Collection[str] = FINGERPRINTED
) -> dict[str, dict[str, Any]]:
    """Groups of the configuration that began a set, as this version's classes take them.

    Raises:
        ConfigError: source or backend are among them, and are none that this version knows.
    """
    asked = {group: dict(run["config"][group]) for group in groups}
    ignored = _ignored(run) if set(CHOSEN) & set(groups) else set()
    found: dict[str, dict[str, Any]] = {}
    for group, values in asked.items():
        former = {k: v for k, v in FORMER_DEFAULTS.items() if k.partition(".")[0] == group}
        if group in CHOSEN:
            former = {key: value for key, value in former.items() if key in _own(run)}
        found[group] = {key.partition(".")[2]: value for key, value in former.items()}
        found[group] |= {k: v for k, v in values.items() if f"{group}.{k}" not in ignored}
    return found


def _own(run: Mapping[str, Any]) -> set[str]:
    """The keys that the set's source and backend have."""
    config = run["config"]
    kinds: tuple[Kinds[Any], ...] = (SOURCES, BACKENDS)
    return {
        f"{group}.{name}"
        for group, kind in zip(CHOSEN, kinds, strict=True)
        for name in names(kind.config_of(config[group]["name"]))
    }


def _ignored(run: Mapping[str, Any]) -> set[str]:
    """Keys that format 1 asked every source and backend for, and that this one does not use."""
    return set(SHARED_IN_FORMAT_1 - _own(run)) if format_of(run) == 1 else set()


def _defaults(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a set was built with that is older than a key."""
    own = _own(run)
    return {
        key: value
        for key, value in FORMER_DEFAULTS.items()
        if key.partition(".")[0] not in CHOSEN or key in own
    }


def as_recorded(config: RunConfig, held: Mapping[str, Any]) -> RunConfig:
    """The configuration with what a set records in the place of ``auto``.

    Args:
        held: the set's keys.
    """
    matting = _recorded(config.matting, "matting", held)
    if (
        held.get("quality.scores") != config.quality.scores
    ):  # gates follow the scores: as for a new set
        return replace(config, matting=matting)
    return replace(config, matting=matting, quality=_recorded(config.quality, "quality", held))


def _recorded(values: T, group: str, held: Mapping[str, Any]) -> T:
    found = {
        name: held[f"{group}.{name}"]
        for name in names(type(values))
        if getattr(values, name) == AUTO and f"{group}.{name}" in held
    }
    return replace(values, **found)  # type: ignore[type-var]


def changes(
    old: Mapping[str, Any], new: Mapping[str, Any], besides: Collection[str] = ()
) -> list[Change]:
    """Each key that differs, but for those named."""
    missing = object()
    return [
        Change(key, _shown(old, key), _shown(new, key))
        for key in sorted({*old, *new} - set(besides))
        if old.get(key, missing) != new.get(key, missing)
    ]


def format_changes(run: Mapping[str, Any]) -> list[Change]:
    """What this version cannot write as the set has it: its format, or columns of its rows."""
    format_ = format_of(run)
    if format_ not in WRITABLE:
        return [Change("format", str(format_), " or ".join(map(str, WRITABLE)))]
    now = schema(format_).names
    held = run.get("columns", now)  # those of format 1 are fixed
    there = dict.fromkeys(held, "there"), dict.fromkeys(now, "there")
    return [replace(change, key=f"columns.{change.key}") for change in changes(*there)]


def check_held(run: Mapping[str, Any]) -> None:
    """Raises OutputError where ``run.json`` lacks what every set has."""
    for key in ("keys", "config", "versions"):
        if not isinstance(run.get(key), Mapping):
            raise OutputError(f"{RUN} has no {key}: it is damaged, or not that of a set")


def _shown(values: Mapping[str, Any], key: str) -> str | None:
    return json.dumps(values[key]) if key in values else None
