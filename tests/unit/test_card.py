"""What a set says of itself: people and tools read it, it counts right, and it tells no places."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.card import about, card
from mav_pipeline.dataset.columns import MEANINGS
from mav_pipeline.dataset.croissant import croissant
from mav_pipeline.dataset.final import finalize
from mav_pipeline.dataset.manifest import SCHEMA, decode_rows
from mav_pipeline.storage import LocalStorage
from tests.fakes import build_set, config

WEIGHTS = {"unet": "a" * 64, "vae": "b" * 64}


def front_matter(text: str) -> dict[str, Any]:
    _, header, _ = text.split("---\n", 2)
    found = yaml.safe_load(header)
    assert isinstance(found, dict)
    return found


def described(root: Path, rows: pa.Table | None = None, samples: int = 3, **run: Any) -> str:
    """The card of a set, with some of its ``run.json`` or its rows replaced."""
    built = BuiltSet.open(LocalStorage(root))
    report = built.report(wall_s=0.0)
    found = card({**built.run, **run}, report, samples, built.rows() if rows is None else rows)
    return found.decode()


def test_the_card_counts_and_credits(small_set: Path) -> None:
    text = (small_set / layout.CARD).read_text()
    assert "3 published, 1 failed, 1 skipped, 0 pending of 5" in text
    assert "| corrupt | 1 |" in text
    assert "The videos and masklets of SA-V are CC BY 4.0 (Meta)" in text
    assert "Stability" not in text
    assert "    matting.name=binary\n" in text
    assert "    quality.enabled=true\n" in text


def test_the_front_matter_is_what_hugging_face_reads(small_set: Path) -> None:
    from huggingface_hub import DatasetCard

    text = (small_set / layout.CARD).read_text()
    assert front_matter(text) == DatasetCard(text).data.to_dict()
    header = front_matter(text)
    assert header["license"] == "cc-by-4.0"
    assert header["size_categories"] == ["n<1K"]
    for loaded in header["configs"]:
        assert (small_set / loaded["data_files"]).is_file()


@pytest.mark.parametrize(
    ("samples", "size"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (50_541, "10K<n<100K"), (2_000_000, "1M<n<10M")],
)
def test_the_size_category(small_set: Path, samples: int, size: str) -> None:
    assert front_matter(described(small_set, samples=samples))["size_categories"] == [size]


def test_a_models_weights_and_licence_are_named(small_set: Path) -> None:
    text = described(small_set, weights=WEIGHTS)
    assert f"| unet | `{'a' * 64}` |" in text
    assert "Stability AI Community License" in text
    assert "2601.14255" in text


def test_scores_are_those_of_accepted_masklets(small_set: Path) -> None:
    values = np.linspace(0, 1, 101)
    rows = {
        name: pa.nulls(202, kind) for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    }
    rows["status"] = pa.array(["accepted"] * 101 + ["rejected"] * 101)
    rows["core_loss"] = pa.array([*values, *np.full(101, 7.0)])
    text = described(small_set, pa.table(rows, schema=SCHEMA))
    assert "| core_loss | 0 | 0.05 | 0.25 | 0.5 | 0.75 | 0.95 | 1 | 101 |" in text
    assert "| flicker |" not in text


def test_a_set_without_rows_has_a_card(small_set: Path) -> None:
    assert "## Scores" not in described(small_set, SCHEMA.empty_table())


def test_every_column_has_a_meaning() -> None:
    assert list(MEANINGS) == SCHEMA.names


def test_no_place_gets_in(tmp_path: Path, small_source: Path) -> None:
    places = {"source.root": str(small_source), "output.root": str(tmp_path / "out")}
    built = build_set(config({**places, "source.include": ["sav_*"]}))
    finalize(built)
    for name in (layout.CARD, layout.CROISSANT):
        text = (tmp_path / "out" / name).read_text()
        for place in (*places.values(), str(Path.home()), "sav_*"):
            assert place not in text, name


def test_croissant_validates_and_reads_the_rows(small_set: Path) -> None:
    path = small_set / layout.CROISSANT
    script = Path(sys.executable).with_name("mlcroissant")
    ended = subprocess.run(
        [script, "validate", "--jsonld", path], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Done." in ended.stderr
    complaints = [line for line in ended.stderr.splitlines() if " - " in line]
    assert all("datePublished" in line or "version" in line for line in complaints), ended.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' and rdflib's own
        import mlcroissant

        records = [*mlcroissant.Dataset(str(path)).records("masklets")]
    rows = decode_rows((small_set / layout.MANIFEST).read_bytes())
    assert [plain(record) for record in records] == rows.to_pylist()


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record by column, with text for bytes and None for what pandas calls missing."""

    def value(found: Any) -> Any:
        if isinstance(found, list):
            return [value(item) for item in found]
        if isinstance(found, float) and np.isnan(found):
            return None
        return found.decode() if isinstance(found, bytes) else found

    return {name.removeprefix("masklets/"): value(found) for name, found in record.items()}


def test_croissant_names_what_it_describes_by_hash(small_set: Path) -> None:
    document = json.loads((small_set / layout.CROISSANT).read_text())
    files = {item["contentUrl"]: item for item in document["distribution"] if "sha256" in item}
    assert set(files) == {layout.MANIFEST, layout.INDEX}
    for name, item in files.items():
        data = (small_set / name).read_bytes()
        assert item["sha256"] == hashlib.sha256(data).hexdigest()
        assert item["contentSize"] == f"{len(data)} B"


def test_croissant_is_as_small_for_many_shards(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    report = dataclasses.replace(built.report(), clips={"published": 50_541})
    assert len(croissant(about(built.run, report), b"rows", b"index")) < 32_000
    assert ".tar" not in (small_set / layout.CROISSANT).read_text().replace("shards/*.tar", "")
