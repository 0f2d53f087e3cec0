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
from mav_pipeline.dataset.receipts import record_failure
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.schema import ShardFailure
from mav_pipeline.storage import LocalStorage
from tests.fakes import build_set, config

WEIGHTS = {"unet": "a" * 64, "vae": "b" * 64}
FORMAT_1 = Path(__file__).resolve().parents[1] / "data" / "format_1" / "complete"
CREDITS = {
    "licence": "https://example.org/terms",
    "sentence": "The clips are the work of the village's film club.",
    "weights_licence": "MIT License",
    "cites": ["Doe: A Village in Mattes, 2024"],
    "tags": ["village", "webdataset"],
}
SILENT = {"licence": None, "sentence": "", "weights_licence": None, "cites": [], "tags": []}


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


def spoken_of(root: Path, **run: Any) -> dict[str, Any]:
    """What Croissant says of a set, with some of its ``run.json`` replaced."""
    built = BuiltSet.open(LocalStorage(root))
    return about({**built.run, **run}, built.report(wall_s=0.0))


def of_backend(root: Path, name: str) -> dict[str, Any]:
    """The ``run.json`` of a set from before credits were recorded, made with weights."""
    run = {**BuiltSet.open(LocalStorage(root)).run, "weights": WEIGHTS}
    run["config"] = {**run["config"], "matting": {**run["config"]["matting"], "name": name}}
    return {key: value for key, value in run.items() if key != "credits"}


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


def test_weights_and_versions_are_named(small_set: Path) -> None:
    versions = {"mav_pipeline": "9", "diffusers": "0.42.1", "torch": "2.13.0"}
    text = described(small_set, weights=WEIGHTS, versions=versions)
    assert f"| unet | `{'a' * 64}` |" in text
    assert "versions mav_pipeline 9, diffusers 0.42.1, torch 2.13.0, with" in text


def test_credits_are_those_of_source_and_backend(small_set: Path) -> None:
    text = described(small_set, credits=CREDITS, weights=WEIGHTS)
    header = front_matter(text)
    assert (header["license"], header["license_link"]) == ("other", CREDITS["licence"])
    assert header["tags"][-2:] == ["webdataset", "village"], "none stands there twice"
    assert "The clips are the work of the village's film club; credit them." in text
    assert "The models that made the mattes are under the MIT License." in text
    assert text.endswith("To cite:\n\n- Doe: A Village in Mattes, 2024\n")
    said = spoken_of(small_set, credits=CREDITS, weights=WEIGHTS)
    assert said["license"] == CREDITS["licence"]
    assert said["citeAs"] == "Doe: A Village in Mattes, 2024"
    assert said["keywords"] == header["tags"]
    assert "film club. The models that made the mattes are under the MIT License." in str(said)
    for word in ("SA-V", "sa-v", "CC BY", "Stability", "VideoMaMa"):
        assert word not in text + str(said), word


def test_nothing_is_claimed_where_source_and_backend_say_nothing(small_set: Path) -> None:
    text = described(small_set, credits=SILENT, weights=WEIGHTS)
    assert front_matter(text)["license"] == "unknown"
    assert "which its source does not name" in text
    said = spoken_of(small_set, credits=SILENT, weights=WEIGHTS)
    assert not {"license", "citeAs"} & said.keys()
    assert said["description"].endswith("nobody drew them.")
    for word in ("SA-V", "To cite", "None", "Stability", "VideoMaMa"):
        assert word not in text + str(said), word


@pytest.mark.parametrize(
    ("licence", "known"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "cc-by-4.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0", "cc-by-nc-sa-4.0"),
        ("https://creativecommons.org/licenses/by/2.0/", "other"),
    ],
)
def test_a_licence_has_hugging_faces_name(small_set: Path, licence: str, known: str) -> None:
    text = described(small_set, credits={**SILENT, "licence": licence})
    assert front_matter(text)["license"] == known
    assert f"The footage is under <{licence}>." in text


@pytest.mark.parametrize("name", ["videomama", "theirs"])
def test_of_earlier_sets_those_of_the_model_credit_it(small_set: Path, name: str) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    run, report = of_backend(small_set, name), built.report(wall_s=0.0)
    said = about(run, report)
    text = card(run, report, 3, built.rows()).decode() + str(said)
    assert "2408.00714" in said["citeAs"]
    for word in ("2601.14255", "Stability AI Community License", "Stable Video Diffusion"):
        assert (word in text) == (name == "videomama"), word


def test_new_and_earlier_sets_of_the_model_say_the_same(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    earlier, report = of_backend(small_set, "videomama"), built.report(wall_s=0.0)
    model = BACKENDS.get("videomama")
    new = {
        **earlier,
        "credits": {
            **built.run["credits"],
            "weights_licence": model.licence,
            "cites": [*built.run["credits"]["cites"], *model.cites],
        },
    }
    assert about(new, report) == about(earlier, report)
    assert card(new, report, 3, built.rows()) == card(earlier, report, 3, built.rows())


def test_an_earlier_set_says_what_it_said() -> None:
    """Croissant to the letter, the card up to its header's layout and the words for a score."""
    was = (FORMAT_1 / layout.CARD).read_text().replace("dataset.loader", "train.loader")
    former = "intersection over union of alpha >= .5 with the mask, in [0, 1]"
    was = was.replace(former, MEANINGS["mask_iou"])
    text = described(FORMAT_1, samples=2)
    assert front_matter(text) == front_matter(was)
    assert text.split("---\n", 2)[2] == was.split("---\n", 2)[2]
    document = json.loads((FORMAT_1 / layout.CROISSANT).read_text())
    assert spoken_of(FORMAT_1).items() <= document.items()


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
    assert not [line for line in ended.stderr.splitlines() if " - " in line], ended.stderr
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


def test_croissant_is_dated_by_the_last_receipt(small_set: Path) -> None:
    """So that making it again makes the same, and a rebuilt shard makes a later version."""

    def dated(*times: str) -> tuple[str, str]:
        for number, time in enumerate(times):
            path = small_set / layout.receipt(f"mav-{number:06d}")
            path.write_text(json.dumps({**json.loads(path.read_text()), "published_at": time}))
        finalize(BuiltSet.open(LocalStorage(small_set)))
        document = json.loads((small_set / layout.CROISSANT).read_text())
        return document["version"], document["datePublished"]

    first = dated(
        "2026-11-28T00:00:05+00:00", "2026-11-28T02:00:00+01:00", "2026-11-27T23:59:59+00:00"
    )
    assert first == ("2.20261128.3600", "2026-11-28T01:00:00+00:00")
    assert dated("2026-11-28T01:00:01+00:00")[0] == "2.20261128.3601"


def test_nothing_published_has_no_version_and_no_date(small_set: Path) -> None:
    for path in (small_set / layout.SHARDS).glob("*.json"):
        path.unlink()
        failure = ShardFailure(path.stem, "matting", "ValueError", "a bug", 3)
        record_failure(LocalStorage(small_set), failure)
    finalize(BuiltSet.open(LocalStorage(small_set)))
    document = json.loads((small_set / layout.CROISSANT).read_text())
    assert not {"version", "datePublished"} & document.keys()


def test_croissant_is_as_small_for_many_shards(small_set: Path) -> None:
    built = BuiltSet.open(LocalStorage(small_set))
    report = dataclasses.replace(built.report(), clips={"published": 50_541})
    assert len(croissant(about(built.run, report), b"rows", b"index")) < 32_000
    assert ".tar" not in (small_set / layout.CROISSANT).read_text().replace("shards/*.tar", "")
