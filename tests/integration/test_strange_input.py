"""Strange input is a row, whose text is the same wherever and whenever it is read."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.manifest import decode_rows
from mav_pipeline.planning.plan import make_plan
from mav_pipeline.sources.registry import open_source
from tests.fakes import (
    STAMP,
    config,
    encode_mp4,
    jpeg,
    moving_box,
    open_builder,
    pictures,
    png,
    write,
    write_clip,
)

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


def sav_train(root: Path) -> None:
    write_clip(root, "a")


def sav_eval(root: Path) -> None:
    for number, (picture, mask) in enumerate(zip(pictures(3), moving_box(3), strict=True)):
        write(root / "JPEGImages" / "a" / f"{number:05d}.jpg", jpeg(picture))
        write(root / "Annotations" / "a" / f"{number:05d}.png", png(mask.view(np.uint8)))


def footage(root: Path) -> None:
    write(root / "a.mp4", encode_mp4(pictures(3)))
    for number, mask in enumerate(moving_box(3)):
        write(root / "a" / f"{number}.png", png(mask.view(np.uint8) * np.uint8(255)))


LAYOUTS = {"sav_train": sav_train, "sav_eval": sav_eval, "footage": footage}
KINDS = {"sav_train": "manual", "sav_eval": "gt", "footage": "user"}


def rows_of(root: Path, source: str, change: Change, name: str) -> list[dict[str, Any]]:
    """The rows of a build of one clip, a file of which was changed."""
    LAYOUTS[source](root / "in")
    file = root / "in" / name
    file.write_bytes(change(file.read_bytes()))
    for path in (root / "in").rglob("*"):
        os.utime(path, (1, 1))
    run = config(
        {
            "source.name": source,
            "source.masklets": KINDS[source],
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


def check(source: str, change: Change, name: str) -> None:
    found = []
    for prefix in ("one-", "another-"):
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            found.append(rows_of(Path(folder), source, change, name))
    assert repr(found[0]) == repr(found[1])  # as text: nan is not nan
    for row in found[0]:
        error = row["error"] or ""
        assert not re.search(r"0x[0-9a-f]{5,}", error), error
        assert tempfile.gettempdir() not in error, error
        assert len(error) < 1000
        assert row["status"] == "accepted" or row["reasons"]


strange = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.filterwarnings("ignore")  # libraries warn of what they meet
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("sav_train", "a.mp4"),
        ("sav_train", "a_manual.json"),
        ("sav_eval", "JPEGImages/a/00001.jpg"),
        ("sav_eval", "Annotations/a/00001.png"),
        ("footage", "a.mp4"),
        ("footage", "a/1.png"),
    ],
)
@strange
@given(bytes_changed())
def test_strange_bytes(source: str, name: str, change: Change) -> None:
    check(source, change, name)


@pytest.mark.filterwarnings("ignore")
@strange
@given(json_changed())
def test_a_strange_annotation(change: Change) -> None:
    check("sav_train", change, "a_manual.json")
