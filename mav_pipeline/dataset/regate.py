"""Judges a finished set anew, by the scores in its rows: no pixel is read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from mav_pipeline.config import AUTO, BOUNDS, QualityConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import is_indexed
from mav_pipeline.dataset.gate_files import SCHEMA, Gate, is_name, write_gate
from mav_pipeline.quality import judge
from mav_pipeline.schema import JUDGED, MASKLET_STATUSES, SCORE_NAMES
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.schema.scores import SCORER_REVISION
from mav_pipeline.schema.version import FIRST_REVISION

_log = logging.getLogger(__name__)

_OF_GATES = {bound.reason for bound in BOUNDS}


@dataclass(frozen=True, slots=True)
class Regated:
    """What became of the masklets under the gate, and how many of them changed."""

    path: str
    masklets: dict[str, int]
    reasons: dict[str, int]
    newly: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def regate(built: BuiltSet, name: str | None, quality: QualityConfig) -> Regated:
    """Writes ``gates/<name>.parquet``: the statuses of all rows under ``quality``'s thresholds.

    Raises:
        ConfigError: there is no name, or it is unfit for a file; or masklets would be accepted
            whose alpha the shards do not hold.
        OutputError: the set is not finished, or cannot be read.
    """
    if name is None or not is_name(name):
        raise ConfigError(f"regate.name must be up to 64 letters, digits, _ and -, not {name!r}")
    if not is_indexed(built):
        raise OutputError(
            f"output.root={built.storage} is not finished; `mav build output.root=...` ends it"
        )
    revision = built.run["keys"].get("revision.scores", FIRST_REVISION)
    _warn_of_revision(built, revision, quality)
    quality = quality.resolved(revision)
    rows = built.rows().select(("key", "masklet", "shard", "status", "reasons", *SCORE_NAMES))
    before = rows.to_pylist()
    judged = [_judged(row, quality) for row in before]
    pairs = [*zip(before, judged, strict=True)]
    newly = Counter(new["status"] for old, new in pairs if new["status"] != old["status"])
    if newly["accepted"] and not built.keep_rejected:
        lost = Counter(
            reason
            for old, new in pairs
            if new["status"] == "accepted" != old["status"]
            for reason in old["reasons"]
        )
        raise ConfigError(
            f"these bounds would accept {newly['accepted']} masklets that were rejected when the "
            f"set was built ({', '.join(lost)}), and their alpha was not stored; keep to bounds at "
            "least as strict, or build with quality.keep_rejected=true"
        )
    gate = Gate(name, asdict(quality), pa.Table.from_pylist(judged, schema=SCHEMA))
    masklets = [row for row in judged if row["masklet"] is not None]
    statuses = Counter(row["status"] for row in masklets)
    return Regated(
        path=write_gate(built.storage, gate),
        masklets={key: statuses[key] for key in MASKLET_STATUSES},
        reasons=dict(Counter(reason for row in masklets for reason in row["reasons"])),
        newly={key: newly[key] for key in JUDGED},
    )


def _judged(row: Mapping[str, Any], quality: QualityConfig) -> dict[str, Any]:
    """What becomes of a row; fallbacks that its reasons note stay."""
    found = {column: row[column] for column in SCHEMA.names}
    if row["status"] in JUDGED:
        verdict = judge({score: row[score] for score in SCORE_NAMES}, quality)
        notes = [reason for reason in row["reasons"] if reason not in _OF_GATES]
        found |= {"status": verdict.status, "reasons": [*verdict.reasons, *notes]}
    return found


def _warn_of_revision(built: BuiltSet, revision: int, quality: QualityConfig) -> None:
    if revision != SCORER_REVISION:
        _log.warning(
            "the scores of %s are of revision %s, those of this version of %s: bounds that suit "
            "the one may not suit the other",
            *(built.storage, revision, SCORER_REVISION),
        )
    for bound in BOUNDS:
        if getattr(quality, bound.key) == AUTO and quality.limit(bound, revision) is None:
            _log.warning(
                "quality.%s=auto is off: its limit was not fitted to scores of revision %s",
                *(bound.key, revision),
            )
