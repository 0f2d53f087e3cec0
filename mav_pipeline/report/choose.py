"""Which masklets a report pictures: the same ones each time, from every corner of a set. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mav_pipeline.report.gates import Gate
from mav_pipeline.schema import SCORES

#: Scores of which more is worse; of mask_iou less is, of area_ratio what is far from 1.
_MORE_IS_WORSE = ("outside_mass", "core_loss", "flicker", "seam_ratio", "chunk_seam_ratio")
_COLUMNS = ("key", "masklet", "shard", "status", *SCORES)


@dataclass(frozen=True, slots=True)
class Choice:
    """A masklet to picture.

    Attributes:
        group: why it was chosen: ``rejected``, ``borderline``, ``worst`` or ``random``.
    """

    group: str
    key: str
    masklet: str
    shard: str
    status: str
    scores: Mapping[str, float | None]

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from all other masklets of the set."""
        return self.key, self.masklet


def choose(
    rows: pa.Table, gates: Sequence[Gate], count: int, *, statuses: Collection[str]
) -> list[Choice]:
    """At most ``count`` masklets of the manifest: a quarter each, where there are as many, of

    - rejected ones, the farthest beyond a gate first,
    - accepted ones, the closest to a gate first,
    - accepted ones, the worst first by the mean of their ranks over all scores,
    - accepted ones in the order of a hash of their names.

    Args:
        statuses: of the masklets that the shards hold alpha of.
    """
    table = rows.select(_COLUMNS)
    status = np.asarray(table["status"].to_pylist(), dtype=object)
    there = np.asarray([name is not None for name in table["masklet"].to_pylist()], dtype=bool)
    scores = {score: table[score].to_numpy().astype(np.float64) for score in SCORES}
    strain = _strain(scores, gates, len(status))
    accepted = np.flatnonzero(there & (status == "accepted"))
    rejected = np.flatnonzero(there & (status == "rejected"))
    if "rejected" not in statuses:
        rejected = rejected[:0]
    rejected = rejected[np.argsort(-strain[rejected], kind="stable")]
    groups: dict[str, Iterable[int]] = {"rejected": rejected}
    if gates:
        distance = np.abs(np.log(np.maximum(strain[accepted], np.finfo(float).tiny)))
        groups["borderline"] = accepted[np.argsort(distance, kind="stable")]
    badness = _badness({score: values[accepted] for score, values in scores.items()})
    groups["worst"] = accepted[np.argsort(-badness, kind="stable")]
    groups["random"] = _shuffled(table, accepted)
    return [_choice(table, int(index), group) for index, group in _deal(groups, count)]


def _deal(groups: dict[str, Iterable[int]], count: int) -> list[tuple[int, str]]:
    """Hands out ``count`` places, to each group its part of what is left, no row twice."""
    taken: dict[int, str] = {}

    def take(group: str, places: int) -> None:
        for index in groups[group]:
            if places <= 0:
                return
            if index not in taken:
                taken[index] = group
                places -= 1

    for position, group in enumerate(groups):
        take(group, -(-(count - len(taken)) // (len(groups) - position)))
    take("rejected", count - len(taken))  # places that the accepted ones could not fill
    order = list(groups)
    return sorted(taken.items(), key=lambda item: order.index(item[1]))


def _strain(
    scores: dict[str, NDArray[np.float64]], gates: Sequence[Gate], count: int
) -> NDArray[np.float64]:
    """Of each row, how far it has gone towards the gate that it is closest to."""
    strain = np.zeros(count)
    for gate in gates:
        strain = np.fmax(strain, gate.strain(scores[gate.score]))
    return strain


def _badness(scores: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean rank over all scores, 0 for the best in each and 1 for the worst in each."""
    bad = [scores[score] for score in _MORE_IS_WORSE]
    bad += [-scores["mask_iou"], np.abs(np.log(np.maximum(scores["area_ratio"], 1e-6)))]
    ranks = np.stack([_rank(values) for values in bad])
    return np.asarray(ranks.mean(axis=0), np.float64)


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0 to 1; equal values share one, and a missing value is in the middle."""
    rank = np.full(values.shape, 0.5)
    known = ~np.isnan(values)
    distinct, place = np.unique(values[known], return_inverse=True)
    if distinct.size > 1:
        rank[known] = place / (distinct.size - 1)
    return rank


def _shuffled(table: pa.Table, indices: NDArray[np.intp]) -> list[int]:
    picked = table.select(("key", "masklet")).take(pa.array(indices))
    names = zip(picked["key"].to_pylist(), picked["masklet"].to_pylist(), strict=True)
    hashes = [hashlib.sha256(f"{key}/{masklet}".encode()).digest() for key, masklet in names]
    return [int(indices[i]) for i in sorted(range(len(hashes)), key=hashes.__getitem__)]


def _choice(table: pa.Table, index: int, group: str) -> Choice:
    row = table.slice(index, 1).to_pylist()[0]
    return Choice(
        group=group,
        key=row["key"],
        masklet=row["masklet"],
        shard=row["shard"],
        status=row["status"],
        scores={score: row[score] for score in SCORES},
    )
