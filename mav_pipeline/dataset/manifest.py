"""Manifest rows: one a masklet of every planned clip, whatever became of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mav_pipeline.dataset.columns import schema
from mav_pipeline.media.parquet import decode_table, encode_table
from mav_pipeline.schema import Clip, Masklet, Problem

#: What readers give: the columns of the newest format.
SCHEMA = schema()

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
        "annotated_frames": sum(masklet.looked_for),
        "annotated_run": longest_run(masklet.looked_for),
        "void_pixels": masklet.void_pixels,
        **values,
    }


def longest_run(flags: Iterable[bool]) -> int:
    """How many follow one another at the most."""
    return max((sum(1 for _ in run) for flag, run in itertools.groupby(flags) if flag), default=0)


def problem_values(problem: Problem) -> dict[str, Any]:
    """What a masklet's problem says in its row."""
    return {"status": problem.status, "reasons": [problem.reason], "error": problem.message}


def encode_rows(rows: Iterable[Row], format_: int) -> bytes:
    """A parquet file with the columns of a format; the same rows give the same bytes."""
    return encode_table(pa.Table.from_pylist(list(rows), schema=schema(format_)))


def decode_rows(data: bytes) -> pa.Table:
    """The rows of a shard's or the whole set's manifest, with the columns of the newest format.

    Columns that an older set lacks are null.

    Raises:
        pa.ArrowInvalid: it is no parquet file.
        ValueError: it has columns that no format has, or lacks some of format 1.
    """
    table = decode_table(data)
    found = set(table.schema.names)
    unknown, missing = found - set(SCHEMA.names), set(schema(1).names) - found
    if unknown or missing:
        what = f"unknown columns {sorted(unknown)}" if unknown else f"no columns {sorted(missing)}"
        raise ValueError(f"it has {what}: not the rows of a set that this version reads")
    for column in SCHEMA:
        if column.name not in found:
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
    return table.select(SCHEMA.names)


def column_names(data: bytes) -> list[str]:
    """The columns that a file of rows has itself. Raises pa.ArrowInvalid where it is no parquet."""
    return list(decode_table(data).schema.names)


def merge(parts: Iterable[bytes], format_: int) -> bytes:
    """One parquet file with the rows of all parts, in their order, with the columns of a format."""
    merged, columns = pa.BufferOutputStream(), schema(format_)
    with pq.ParquetWriter(merged, columns, compression="zstd") as writer:
        for part in parts:
            writer.write_table(decode_rows(part).select(columns.names))
    return merged.getvalue().to_pybytes()  # type: ignore[no-any-return]
