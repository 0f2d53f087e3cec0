"""``plan.parquet``: which clips in which shards, with their input files; one row a clip."""

from __future__ import annotations

import json

import pyarrow as pa

from mav_pipeline.schema import ClipRef, FileRef, Plan, Problem, ShardSpec

_TARS = b"tars"

PLAN_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("video_id", pa.string()),
        (
            "files",
            pa.list_(
                pa.struct(
                    [
                        ("role", pa.string()),
                        ("uri", pa.string()),
                        ("offset", pa.int64()),
                        ("size", pa.int64()),
                        ("version", pa.string()),
                        ("name", pa.string()),
                    ]
                )
            ),
        ),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("name", pa.string()),  # null where it is the id; older plans have no such column
    ]
)


def to_table(plan: Plan) -> pa.Table:
    """One row a clip, of ``PLAN_SCHEMA``; the tars stand in the schema's metadata."""
    rows = [
        {
            "shard": shard.name,
            "video_id": clip.video_id,
            "files": [
                {name: getattr(ref, name) for name in FileRef.__slots__} for ref in clip.files
            ],
            "status": clip.problem.status if clip.problem else None,
            "reason": clip.problem.reason if clip.problem else None,
            "message": clip.problem.message if clip.problem else None,
            "name": clip.name,
        }
        for shard in plan.shards
        for clip in shard.clips
    ]
    tars = json.dumps(plan.tars, sort_keys=True)
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA.with_metadata({_TARS: tars}))


def from_table(table: pa.Table) -> Plan:
    """The plan that ``to_table`` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is no plan.
    """
    grouped: dict[str, list[ClipRef]] = {}
    for row in table.to_pylist():
        files = tuple(FileRef(**ref) for ref in row["files"])
        problem = None
        if row["status"] is not None:
            problem = Problem(row["status"], row["reason"], row["message"])
        clip = ClipRef(row["video_id"], files, problem, row.get("name"))
        grouped.setdefault(row["shard"], []).append(clip)
    shards = (
        ShardSpec(int(name.removeprefix("mav-")), tuple(clips)) for name, clips in grouped.items()
    )
    return Plan(tuple(shards), json.loads((table.schema.metadata or {})[_TARS]))
