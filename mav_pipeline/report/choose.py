"""Which masklets a report pictures: the same ones each time, from every corner of a set. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mav_pipeline.report.bounds import Limit
from mav_pipeline.schema import SCORE_NAMES

_COLUMNS = ("key", "masklet", "shard", "status", "reasons", *SCORE_NAMES)


@dataclass(frozen=True, slots=True)
class Choice:
    """A masklet to picture.

    Attributes:
        groups: why it was chosen: of ``worst``, ``best``, ``borderline`` and ``random``.
        strain: how far it has gone towards the limit that it is closest to: 1 is at the limit.
    """

    groups: tuple[str, ...]
    key: str
    masklet: str
    shard: str
    status: str
    reasons: tuple[str, ...]
    strain: float
    scores: Mapping[str, float | None]

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from all other masklets of the set."""
        return self.key, self.masklet


def choose(
    rows: pa.Table, limits: Sequence[Limit], count: int, *, stored: NDArray[np.bool_]
) -> list[Choice]:
    """At most ``count`` masklets of the manifest, a part of them each

    - the worst and the best by quality, where there is none by their strain,
    - the closest to a limit, on either side of it,
    - any, in the order of a hash of their names; these fill the places that are left.

    Args:
        stored: of each row, whether a shard holds its alpha.
    """
    table = rows.select(_COLUMNS)
    scores = {score: table[score].to_numpy().astype(np.float64) for score in SCORE_NAMES}
    strain = _strain(scores, limits, len(stored))
    there = np.flatnonzero(stored)
    quality = scores["quality"] if not np.isnan(scores["quality"][there]).all() else -strain
    # A masklet without a quality, in a set that has some, is neither the best nor the worst.
    ranked = there[~np.isnan(quality[there])]
    ranked = ranked[np.argsort(quality[ranked], kind="stable")]
    groups = {"worst": ranked, "best": ranked[::-1]}
    if limits:
        distance = np.abs(np.log(np.maximum(strain[there], np.finfo(float).tiny)))
        groups["borderline"] = there[np.argsort(distance, kind="stable")]
    each, chosen = count // (len(groups) + 1), dict[int, list[str]]()
    for group, ordered in groups.items():
        for index in ordered[:each]:
            chosen.setdefault(int(index), []).append(group)
    for place, index in enumerate(_shuffled(table, there)):
        if place < each or len(chosen) < count:
            chosen.setdefault(index, []).append("random")
    return [_choice(table, index, names, float(strain[index])) for index, names in chosen.items()]


def _strain(
    scores: Mapping[str, NDArray[np.float64]], limits: Sequence[Limit], count: int
) -> NDArray[np.float64]:
    """Of each row, how far it has gone towards the limit that it is closest to."""
    strain = np.zeros(count)
    for limit in limits:
        strain = np.fmax(strain, limit.strain(scores[limit.score]))
    return strain


def _shuffled(table: pa.Table, indices: NDArray[np.intp]) -> list[int]:
    picked = table.select(("key", "masklet")).take(pa.array(indices))
    names = zip(picked["key"].to_pylist(), picked["masklet"].to_pylist(), strict=True)
    hashes = [hashlib.sha256(f"{key}/{masklet}".encode()).digest() for key, masklet in names]
    return [int(indices[i]) for i in sorted(range(len(hashes)), key=hashes.__getitem__)]


def _choice(table: pa.Table, index: int, groups: Sequence[str], strain: float) -> Choice:
    row = table.slice(index, 1).to_pylist()[0]
    return Choice(
        groups=tuple(groups),
        key=row["key"],
        masklet=row["masklet"],
        shard=row["shard"],
        status=row["status"],
        reasons=tuple(row["reasons"] or ()),
        strain=strain,
        scores={score: row[score] for score in SCORE_NAMES},
    )
