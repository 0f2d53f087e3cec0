"""Names and what they stand for: one table a family, which other packages may add to.

    a table of this package + entry points of others -> Registry.get(name) -> entry

An entry point of the table's group names an object that is an entry. Nothing of another package is
imported before its name is asked for. A name that is nowhere is an error that
names the nearest.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from mav_pipeline.schema.errors import ConfigError


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str: ...


E = TypeVar("E", bound=Named)


def nearest(key: str, known: Collection[str]) -> str:
    """A hint for a misspelt key: ``; did you mean 'x'?``, or the empty string."""
    match = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""


class Registry(Generic[E]):
    """The entries of one family.

    Args:
        key: the setting that names an entry, such as ``matting``; for messages.
        entries: those of this package, in the order in which docs list them.
        group: of the entry points by which other packages add theirs; None where they cannot.
    """

    def __init__(self, key: str, entries: Sequence[E], group: str | None = None) -> None:
        self.key, self._group = key, group
        self._own = {entry.name: entry for entry in entries}
        assert len(self._own) == len(entries), "an entry stands twice"

    def names(self) -> list[str]:
        """All names, those of this package first."""
        return [*self._own, *self._others()]

    def get(self, name: str) -> E:
        """The entry of a name.

        Raises:
            ConfigError: there is none, or the package that adds it cannot be imported.
        """
        if name in self._own:
            return self._own[name]
        others = self._others()
        if name not in others:
            choices = f"(there is {', '.join(sorted(self.names()))})"
            raise ConfigError(
                f"there is no {self.key}={name} {choices}{nearest(name, self.names())}"
            )
        return self._load(others[name])

    def __iter__(self) -> Iterator[E]:
        """The entries of this package."""
        return iter(self._own.values())

    def _others(self) -> Mapping[str, EntryPoint]:
        if self._group is None:
            return {}
        found = {point.name: point for point in entry_points(group=self._group)}
        return {name: found[name] for name in sorted(found) if name not in self._own}

    def _load(self, point: EntryPoint) -> E:
        try:
            entry: E = point.load()
        except Exception as error:  # whatever another package raises as it is imported
            cause = f"{self.key}={point.name}: {point.value} cannot be imported: {error!r}"
            raise ConfigError(f"{cause}; mend or remove that package") from error
        if entry.name != point.name:
            raise ConfigError(
                f"{self.key}={point.name}: {point.value} calls itself {entry.name!r}; its entry "
                "point must have the same name"
            )
        return entry
