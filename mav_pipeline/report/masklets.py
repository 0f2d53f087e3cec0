"""All rows of a set as the page's script reads them: packed columns. Pure.

One JSON of columns, deflated: equal strings beside each other cost next to nothing, and a score
about three bytes. 10,000 masklets with all scores weigh a megabyte at most.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mav_pipeline.report.bounds import Limit
from mav_pipeline.schema import SCORE_NAMES

#: Values of scores that a page holds at most, 6 MB of it: 90,000 masklets have all scores, the
#: 190,000 of SA-V the quality, those with limits and six more; the manifest has them all.
_VALUES = 2_000_000
_PLAIN = ("key", "masklet", "status", "error", "shard", "width", "height", "fps")
_COUNTS = ("frames", "visible_frames")


def in_order(limits: Sequence[Limit]) -> list[str]:
    """All scores: quality, those with limits, the others."""
    return list(dict.fromkeys(("quality", *(limit.score for limit in limits), *SCORE_NAMES)))


def pack(rows: pa.Table, limits: Sequence[Limit]) -> str:
    """Base64 of a zlib stream of JSON: ``rows``, ``limits``, ``columns`` and ``scores`` by name."""
    scores = [score for score in in_order(limits) if rows[score].null_count < rows.num_rows]
    room = max(1 + len(limits), _VALUES // max(1, rows.num_rows))
    document = {
        "rows": rows.num_rows,
        "limits": [{"score": one.score, "limit": one.value, "upper": one.upper} for one in limits],
        "columns": {
            **{name: rows[name].to_pylist() for name in (*_PLAIN, *_COUNTS)},
            "reasons": pc.binary_join(pc.fill_null(rows["reasons"], []), ", ").to_pylist(),
            "area": _rounded(rows["mean_area"]),
        },
        "scores": {score: _rounded(rows[score]) for score in scores[:room]},
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _rounded(column: pa.ChunkedArray) -> list[Any]:
    """Four significant digits: one more than is shown."""
    values = column.to_pylist()
    return [None if v is None or not math.isfinite(v) else float(f"{v:.4g}") for v in values]
