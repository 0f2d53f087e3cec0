"""Manifest rows: one a masklet of every planned clip, whatever became of it (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mav_pipeline.media.parquet import decode_table, encode_table
from mav_pipeline.schema import SCORES, Clip, Masklet, Problem

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("video_id", pa.string()),
        ("masklet", pa.string()),
        ("kind", pa.string()),
        ("status", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("error", pa.string()),
        ("shard", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("environment", pa.string()),
        ("size_bucket", pa.string()),
        ("frames", pa.int32()),
        ("visible_frames", pa.int32()),
        ("mean_area", pa.float64()),
        ("motion", pa.float64()),
        *((score, pa.float64()) for score in SCORES),
        ("windows", pa.int32()),
        ("alpha_bytes", pa.int64()),
        ("seed", pa.int64()),
    ]
)

Row = dict[str, Any]


def clip_row(video_id: str, shard: str, problem: Problem) -> Row:
    """The one row of a clip that failed or was skipped as a whole."""
    return {
        "key": video_id,
        "video_id": video_id,
        "status": problem.status,
        "reasons": [problem.reason],
        "error": problem.message,
        "shard": shard,
    }


def masklet_row(clip: Clip, masklet: Masklet, shard: str, values: Mapping[str, Any]) -> Row:
    """The row of one masklet; ``values`` holds what became of it."""
    return {
        "key": clip.video_id,
        "video_id": clip.video_id,
        "masklet": masklet.name,
        "kind": masklet.kind,
        "shard": shard,
        "width": clip.width,
        "height": clip.height,
        "fps": clip.fps,
        "environment": clip.environment,
        "size_bucket": masklet.size_bucket,
        "frames": len(clip.frame_indices),
        "visible_frames": sum(masklet.visible),
        **values,
    }


def problem_values(problem: Problem) -> dict[str, Any]:
    """What a masklet's problem says in its row."""
    return {"status": problem.status, "reasons": [problem.reason], "error": problem.message}


def encode_rows(rows: Iterable[Row]) -> bytes:
    """A parquet file of ``SCHEMA``; the same rows give the same bytes."""
    return encode_table(pa.Table.from_pylist(list(rows), schema=SCHEMA))


def decode_rows(data: bytes) -> pa.Table:
    """The table of a shard's or the whole set's manifest.

    Raises:
        pa.ArrowInvalid: it is no parquet file.
        ValueError: it has other columns.
    """
    table = decode_table(data)
    if table.schema.names != SCHEMA.names:
        raise ValueError(f"columns are {table.schema.names}")
    return table


def merge(parts: Iterable[bytes]) -> bytes:
    """One parquet file with the rows of all parts, in their order."""
    merged = pa.BufferOutputStream()
    with pq.ParquetWriter(merged, SCHEMA, compression="zstd") as writer:
        for part in parts:
            writer.write_table(decode_rows(part))
    return merged.getvalue().to_pybytes()  # type: ignore[no-any-return]
