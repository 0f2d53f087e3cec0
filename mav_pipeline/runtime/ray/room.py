"""How many workers each node has room for, as deaths for lack of memory have shown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class Room:
    """Limits of nodes, by Ray's ids of them; one that none died on has no limit.

    Attributes:
        kept: the node that is kept for one task alone, None without one.
    """

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._most: Counter[str] = Counter()
        self.kept: str | None = None

    def look(self, nodes: Iterable[str]) -> None:
        """Takes in where workers are: the node of each."""
        for node, count in Counter(nodes).items():
            self._most[node] = max(self._most[node], count)

    def was_short(self, node: str, workers: int) -> None:
        """One of so many workers on a node was killed for lack of memory."""
        self._limits[node] = max(1, min(self._limits.get(node, workers), workers) - 1)

    def limit(self, node: str) -> int | None:
        """The most workers that a node may have; None where nothing limits them."""
        return self._all().get(node)

    def full(self, nodes: Iterable[str]) -> list[str]:
        """The nodes that have all the workers they may have, in order."""
        counts = Counter(nodes)
        return sorted(node for node, limit in self._all().items() if counts[node] >= limit)

    @property
    def withheld(self) -> int:
        """Slots of the cluster that are not to be used."""
        return sum(max(0, self._most[node] - limit) for node, limit in self._all().items())

    def _all(self) -> dict[str, int]:
        kept = {} if self.kept is None else {self.kept: 1}
        return {**self._limits, **kept}
