"""One row a masklet, whatever became of it; equal rows are equal bytes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mav_pipeline.dataset.manifest import (
    SCHEMA,
    Row,
    clip_row,
    decode_rows,
    encode_rows,
    masklet_row,
    merge,
    problem_values,
)
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.schema import FORMAT, SCORE_NAMES, Problem
from tests.fakes import memory_clip

CONTRACT = (
    "key video_id name masklet kind status reasons error shard width height fps environment "
    "size_bucket frames visible_frames annotated_frames annotated_run lost_frames void_pixels "
    "mean_area motion {} windows alpha_bytes seed"
)
PROBLEM = Problem("failed", "corrupt", "decode of video: it is")


def rows() -> list[Row]:
    clip = memory_clip()
    values = {"status": "accepted", "reasons": [], "outside_mass": 0.25, "seed": 42}
    return [
        masklet_row(clip, clip.masklets[0], "mav-000000", values),
        clip_row("sav_000002", "mav-000000", PROBLEM),
    ]


def test_the_columns_are_the_contracts() -> None:
    assert SCHEMA.names == CONTRACT.format(" ".join(SCORE_NAMES)).split()


def test_a_masklets_row_says_what_is_known_of_it() -> None:
    first, _ = decode_rows(encode_rows(rows(), FORMAT)).to_pylist()
    known = {key: value for key, value in first.items() if value is not None}
    assert known == {
        "key": "sav_000001",
        "video_id": "sav_000001",
        "masklet": "manual_000",
        "kind": "manual",
        "status": "accepted",
        "reasons": [],
        "shard": "mav-000000",
        "width": 64,
        "height": 48,
        "fps": 24.0,
        "environment": "Indoor",
        "frames": 3,
        "visible_frames": 3,
        "outside_mass": 0.25,
        "seed": 42,
        "annotated_frames": 3,
        "annotated_run": 3,
    }


def test_a_failed_clip_has_one_row_without_masklet() -> None:
    _, second = decode_rows(encode_rows(rows(), FORMAT)).to_pylist()
    assert second["masklet"] is None
    assert (second["status"], second["reasons"]) == ("failed", ["corrupt"])
    assert second["error"] == "decode of video: it is"
    assert problem_values(PROBLEM) == {key: second[key] for key in ("status", "reasons", "error")}


def test_every_value_of_a_row_has_a_column() -> None:
    assert all(set(row) <= set(SCHEMA.names) for row in rows())


def test_the_same_rows_give_the_same_bytes() -> None:
    assert encode_rows(rows(), FORMAT) == encode_rows(rows(), FORMAT)
    assert encode_rows(rows()[::-1], FORMAT) != encode_rows(rows(), FORMAT)


def test_no_rows_are_a_table_too() -> None:
    assert decode_rows(encode_rows([], FORMAT)).num_rows == 0


def test_what_is_no_manifest_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        decode_rows(b"text")
    with pytest.raises(ValueError, match="no columns"):
        decode_rows(encode_table(pa.table({"key": ["a"]})))


def test_merging_keeps_rows_and_their_order() -> None:
    first, second = rows()
    merged = decode_rows(
        merge((encode_rows(part, FORMAT) for part in ([second], [], [first])), FORMAT)
    )
    assert merged["key"].to_pylist() == ["sav_000002", "sav_000001"]
    assert merged.schema == SCHEMA
