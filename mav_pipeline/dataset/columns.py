"""The columns of ``manifest.parquet``: their types, what they mean, and which format has them.

``croissant.json`` and the docs are made from this table; scores come from ``schema.scores``.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from mav_pipeline.schema import FORMAT, SCORES


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``since`` is the format that first had it."""

    name: str
    type: pa.DataType
    meaning: str
    since: int = 1


_TEXT, _WHOLE, _LONG, _NUMBER = pa.string(), pa.int32(), pa.int64(), pa.float64()

COLUMNS = (
    Column("key", _TEXT, "key of the clip's sample in its shard; the same as video_id"),
    Column("video_id", _TEXT, "id of the clip in its source"),
    Column(
        "name",
        _TEXT,
        "what its source calls the clip; its id is made of that, and mostly the same",
        since=2,
    ),
    Column(
        "masklet",
        _TEXT,
        "kind and object id, such as manual_003; null in the one row of a clip that failed "
        "or was skipped as a whole",
    ),
    Column(
        "kind",
        _TEXT,
        "who made the mask: manual, auto, gt for image sources, user for your own footage",
    ),
    Column(
        "status",
        _TEXT,
        "accepted, rejected (by a gate), skipped (by a guard or a choice), or failed",
    ),
    Column(
        "reasons",
        pa.list_(_TEXT),
        "why it is not accepted, as stable slugs; of accepted masklets, fallbacks used",
    ),
    Column("error", _TEXT, "what was wrong with the input, in words; null where nothing was"),
    Column("shard", _TEXT, "name of the shard that answers for the clip, such as mav-000000"),
    Column("width", _WHOLE, "pixels of the source frame as displayed, and of its alpha"),
    Column("height", _WHOLE, "pixels of the source frame as displayed, and of its alpha"),
    Column("fps", _NUMBER, "frame rate of the source video, not of the annotated frames"),
    Column("environment", _TEXT, "the annotators' Indoor or Outdoor, where they gave one"),
    Column("size_bucket", _TEXT, "the annotators' small, medium or large, where they gave one"),
    Column("frames", _WHOLE, "frames of the clip that an alpha stream has"),
    Column(
        "visible_frames",
        _WHOLE,
        "of these, frames on which the masklet has a mask; elsewhere alpha is 0",
    ),
    Column(
        "annotated_frames",
        _WHOLE,
        "frames on which somebody looked for the object; on the others it may be there unseen",
        since=2,
    ),
    Column("annotated_run", _WHOLE, "how many of these follow one another at the most", since=2),
    Column(
        "lost_frames",
        _WHOLE,
        "frames that show the object and have no mask, a crumb of one, or no alpha under it: it "
        "was lost; null without full scores",
        since=2,
    ),
    Column(
        "void_pixels",
        _LONG,
        "pixels of its mask images that were left out as void; null where masks are no images",
        since=2,
    ),
    Column(
        "mean_area", _NUMBER, "share of the frame that the mask covers, mean over visible frames"
    ),
    Column(
        "motion",
        _NUMBER,
        "path of the mask's centre from frame to frame in units of sqrt(area), mean",
    ),
    *(Column(score.name, _NUMBER, score.meaning, score.since) for score in SCORES),
    Column("windows", _WHOLE, "windows the backend ran; 0 where it looks at frames one by one"),
    Column("alpha_bytes", _LONG, "bytes of the encoded alpha"),
    Column("seed", _LONG, "of the noise of a diffusion backend"),
)

MEANINGS = {column.name: column.meaning for column in COLUMNS}


def schema(format_: int = FORMAT) -> pa.Schema:
    """The columns of rows in a format, in their order."""
    return pa.schema([(c.name, c.type) for c in COLUMNS if c.since <= format_])
