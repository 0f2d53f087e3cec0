"""Strange input is a row, whose text is the same wherever and whenever it is read."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.planning.plan import make_plan
from mav_pipeline.sources.registry import open_source
from tests.fakes import STAMP, config, open_builder, write_clip

Change = Callable[[bytes], bytes]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars | st.sampled_from([10**30, -1, "\ud800", "a/b\x00", 1e300, float("nan")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def bytes_changed(draw: st.DrawFn) -> Change:
    """Cuts, overwrites or inserts bytes anywhere."""
    at, kind = draw(st.floats(0, 1)), draw(st.sampled_from(["cut", "write", "insert", "all"]))
    data = draw(st.binary(min_size=1, max_size=30))

    def change(before: bytes) -> bytes:
        place = int(at * len(before))
        after = {"cut": b"", "write": data + before[place + len(data) :], "insert": data}
        if kind == "all":
            return data
        return before[:place] + after[kind] + (before[place:] if kind == "insert" else b"")

    return change


@st.composite
def json_changed(draw: st.DrawFn) -> Change:
    """Puts any value in the place of any value of a json."""
    path = draw(st.lists(st.integers(0, 20), max_size=6))
    value = draw(values)

    def put(node: Any, left: list[int]) -> Any:
        if not left or not isinstance(node, dict | list) or not node:
            return value
        at = left[0] % len(node)
        key = [*node][at] if isinstance(node, dict) else at
        node[key] = put(node[key], left[1:])
        return node

    return lambda before: json.dumps(put(json.loads(before), path)).encode()


def rows_of(root: Path, change: Change, name: str) -> list[dict[str, Any]]:
    """The rows of a build of one clip, a file of which was changed."""
    video = write_clip(root / "in", "a")
    file = video.with_name(f"a{name}")
    file.write_bytes(change(file.read_bytes()))
    os.utime(file, (1, 1))
    run = config(
        {
            "source.root": str(root / "in"),
            "output.root": str(root / "out"),
            "matting.name": "binary",
        }
    )
    (shard,) = make_plan(open_source(run).discover().clips, 32, {}).shards
    with open_builder(run) as builder:
        receipt = builder.build(shard, STAMP)
    data = (root / "out" / layout.data(receipt.manifest.name)).read_bytes()
    return list(decode_rows(data).to_pylist())


def check(change: Change, name: str) -> None:
    found = []
    for prefix in ("one-", "another-"):
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            found.append(rows_of(Path(folder), change, name))
    assert repr(found[0]) == repr(found[1])  # as text: nan is not nan
    for row in found[0]:
        error = row["error"] or ""
        assert not re.search(r"0x[0-9a-f]{5,}", error), error
        assert tempfile.gettempdir() not in error, error
        assert len(error) < 1000
        assert row["status"] == "accepted" or row["reasons"]


strange = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.filterwarnings("ignore")  # libraries warn of what they meet
@strange
@given(bytes_changed())
def test_a_strange_video(change: Change) -> None:
    check(change, ".mp4")


@pytest.mark.filterwarnings("ignore")
@strange
@given(json_changed() | bytes_changed())
def test_a_strange_annotation(change: Change) -> None:
    check(change, "_manual.json")
