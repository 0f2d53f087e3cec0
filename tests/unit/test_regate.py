"""Other gates on a finished set: the same rule on the same scores, and never a pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mav_pipeline.config import QualityConfig, VerifyConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.gate_files import gates, read_gate
from mav_pipeline.dataset.regate import regate
from mav_pipeline.dataset.verify import verify
from mav_pipeline.schema import SCORE_NAMES
from mav_pipeline.schema.errors import ConfigError, OutputError
from mav_pipeline.storage import LocalStorage
from tests.fakes import FakeBackend, build_set, config, moving_box, write_clip

OFF = dict.fromkeys(
    ("max_outside_mass", "max_core_loss", "min_area_ratio", "max_area_ratio", "min_quality")
)


def gates_with(**values: Any) -> QualityConfig:
    return config({f"quality.{key}": value for key, value in values.items()}).quality


def finished(root: Path, overrides: Mapping[str, Any], **backend: Any) -> BuiltSet:
    """A set of 2 clips with masklets 0 and 2 each; the backend moves alpha off the mask."""
    for clip in ("sav_000001", "sav_000002"):
        masks = {0: moving_box(3), 2: moving_box(3, top=20, left=30, side=8)}
        write_clip(root / "in" / "sav_000", clip, masks)
    words = {"source.root": str(root / "in"), "output.root": str(root / "out"), **overrides}
    built = build_set(config(words), FakeBackend(**backend))
    finalize(built)
    return built


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> BuiltSet:
    """Rejected mattes are stored too."""
    words = {"quality.keep_rejected": True, "output.clips_per_shard": 1}
    return finished(tmp_path_factory.mktemp("kept"), words, shift=4)


def statuses(rows: pa.Table) -> dict[tuple[str, str], tuple[str, list[str]]]:
    return {(r["key"], r["masklet"]): (r["status"], r["reasons"]) for r in rows.to_pylist()}


def test_the_gates_a_set_was_built_with_change_nothing(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    result = regate(built, "same", gates_with())
    assert result.newly == {"accepted": 0, "rejected": 0}
    applied = read_gate(built.storage, "same").apply(built.rows())
    assert applied.to_pylist() == built.rows().to_pylist()
    assert applied.schema == built.rows().schema


@settings(max_examples=25)
@given(
    outside=st.none() | st.floats(0, 1),
    core=st.none() | st.floats(0, 1),
    least=st.none() | st.floats(0, 2),
    quality=st.none() | st.floats(0, 1),
    enabled=st.booleans(),
)
def test_any_gates_say_what_building_with_them_would_have(
    kept: BuiltSet,
    outside: float | None,
    core: float | None,
    least: float | None,
    quality: float | None,
    enabled: bool,
) -> None:
    wanted = gates_with(
        max_outside_mass=outside,
        max_core_loss=core,
        min_area_ratio=least,
        min_quality=quality,
        enabled=enabled,
    )
    regate(kept, "any", wanted)
    rows = kept.rows()
    found = statuses(read_gate(kept.storage, "any").apply(rows))
    for row in rows.to_pylist():
        scores = {score: row[score] for score in SCORE_NAMES}
        fails = enabled and any(
            (
                outside is not None and scores["outside_mass"] > outside,
                core is not None and scores["core_loss"] > core,
                least is not None and scores["area_ratio"] < least,
                scores["area_ratio"] > 1.5,
                quality is not None and scores["quality"] < quality,
            )
        )
        status, reasons = found[row["key"], row["masklet"]]
        assert (status, bool(reasons)) == (("rejected", True) if fails else ("accepted", False))


def test_a_stricter_gate_rejects_and_says_why_and_the_shards_stay(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    before = {path.name: path.read_bytes() for path in (small_set / "shards").iterdir()}
    result = regate(built, "strict", gates_with(min_area_ratio=1.4))
    was = statuses(built.rows())
    gate = read_gate(built.storage, "strict")
    now = statuses(gate.apply(built.rows()))
    accepted = [name for name, (status, _) in was.items() if status == "accepted"]
    assert len(accepted) == result.newly["rejected"] > 0
    assert all(now[name] == ("rejected", ["area_ratio_low"]) for name in accepted)
    assert {n: s for n, s in now.items() if n not in accepted} == {
        n: s for n, s in was.items() if n not in accepted
    }
    assert "accepted" not in {status for status, _ in now.values()}
    assert gate.quality["min_area_ratio"] == 1.4
    assert {path.name: path.read_bytes() for path in (small_set / "shards").iterdir()} == before
    verified = verify(built.storage, VerifyConfig(deep=True, clean=False))
    assert (verified.ok, verified.strays) == (True, [])


def test_loosening_brings_back_what_was_kept(kept: BuiltSet) -> None:
    was = statuses(kept.rows())
    assert Counter(status for status, _ in was.values()) == {"accepted": 2, "rejected": 2}
    result = regate(kept, "loose", gates_with(**OFF))
    assert result.newly == {"accepted": 2, "rejected": 0}
    now = statuses(read_gate(kept.storage, "loose").apply(kept.rows()))
    assert now == dict.fromkeys(was, ("accepted", []))


def test_loosening_needs_the_alpha_and_says_so(tmp_path: Path) -> None:
    built = finished(tmp_path, {}, shift=4)
    with pytest.raises(ConfigError, match=r"would accept 2 .*quality\.keep_rejected=true"):
        regate(built, "loose", gates_with(**OFF))
    assert gates(built.storage) == []


@pytest.mark.parametrize("name", [None, "", "a/b", "../x", "a.b", "x" * 65, "a b"])
def test_a_name_is_fit_for_a_file(small_set: Path, name: str | None) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    with pytest.raises(ConfigError, match="name must be"):
        regate(built, name, gates_with())


def test_an_unfinished_set_is_told_to_be_finished(small_set: Path) -> None:
    (small_set / layout.INDEX).unlink()
    with pytest.raises(OutputError, match="is not finished; `mav build"):
        regate(BuiltSet.open(LocalStorage(small_set)), "a", gates_with())


def test_basic_scores_cannot_be_gated_by_what_they_lack() -> None:
    with pytest.raises(ConfigError, match=r"quality\.min_quality must be null with .*basic"):
        gates_with(scores="basic", min_quality=0.5)


# reading


def test_a_gate_that_is_not_there_names_those_that_are(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    with pytest.raises(OutputError, match=r"no gates/b\.parquet \(there is: none\)"):
        read_gate(built.storage, "b")
    for name in ("a2", "a1"):
        regate(built, name, gates_with())
    with pytest.raises(OutputError, match=r"there is: a1, a2"):
        read_gate(built.storage, "b")
    with pytest.raises(OutputError, match="no name of a gate"):
        read_gate(built.storage, "../run")


def test_a_gate_of_shards_that_were_rebuilt_is_refused(small_set: Path) -> None:
    storage = LocalStorage(small_set)
    regate(BuiltSet.open(storage), "a", gates_with())
    storage.put(layout.INDEX, storage.read(layout.INDEX) + b" ")
    with pytest.raises(OutputError, match=r"built anew; `mav regate regate\.name=a"):
        read_gate(storage, "a")


@pytest.mark.parametrize("data", [b"", b"text", None])
def test_a_file_that_is_no_gate_is_named(small_set: Path, data: bytes | None) -> None:
    storage = LocalStorage(small_set)
    storage.put(layout.gate("a"), storage.read(layout.MANIFEST) if data is None else data)
    with pytest.raises(OutputError, match=r"gates/a\.parquet .*(cannot be read|file of a gate)"):
        read_gate(storage, "a")
