"""Who moves a pixel, a member, a score or a status must raise a revision: a table holds them all.

The table, ``tests/data/revisions.json``, says of each source, each backend and the scorer what
small sets held when it had its revision. After a change that is meant, raise it and write the
table anew: ``python -m tests.integration.test_revisions``. Videomama's pixels are held to the
reference's, within 1/255, in ``tests/unit/test_videomama.py``, sam2_matte's logits to those of
transformers in ``tests/unit/test_sam2_model.py``.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.cli import load_config
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.shard_tar import read_samples
from mav_pipeline.matting.registry import BACKENDS, open_backend
from mav_pipeline.schema import SCORE_NAMES
from mav_pipeline.schema.scores import SCORER_REVISION
from mav_pipeline.sources.registry import SOURCES
from tests.fakes import build_set, decode_sample

DATA = Path(__file__).resolve().parent.parent / "data"
TABLE = DATA / "revisions.json"
CLIPS = DATA / "format_1" / "source"
#: Backends whose decoded alpha is the same on every kind of CPU.
EXACT = ("binary", "closed_form")


def revisions() -> dict[str, int]:
    """Every revision that there is, by what it is of."""
    found = {f"source {kind.name}": kind.revision for kind in SOURCES}
    found |= {f"matting {kind.name}": kind.revision for kind in BACKENDS}
    return {**found, "scores": SCORER_REVISION}


def contents(folder: Path) -> dict[str, str]:
    """A digest of what each source, backend and the scorer makes of the same clips."""
    places = {name: (f"source.root={CLIPS}", f"output.root={folder / name}") for name in EXACT}
    sets = {name: built_by((f"matting={name}", *words)) for name, words in places.items()}
    found = {f"matting {name}": digest(alphas(built)) for name, built in sets.items()}
    built = sets["binary"]  # so that scores and facts do not move with a backend
    found["source sav_train"] = digest(facts(built))
    columns = ("status", "reasons", *SCORE_NAMES)
    found["scores"] = digest(built.rows().select(columns).to_pylist())
    images = folder / "images"
    export(built, images)
    for name in ("sav_eval", "footage"):
        again = (f"source={name}", f"source.root={images}", f"output.root={folder / name}")
        found[f"source {name}"] = digest(facts(built_by(("matting=binary", *again))))
    return found


def built_by(words: tuple[str, ...]) -> BuiltSet:
    run = load_config(words)
    backend = open_backend(run.matting)
    backend.setup()
    return build_set(run, backend)


def export(built: BuiltSet, folder: Path) -> None:
    """The first clip as PNG frames and masks, as SA-V val has them and as footage lies."""
    import cv2
    import numpy as np

    from mav_pipeline.export.clip import StoredClip

    key, members = next(samples(built))
    names = [masklet.name for masklet in decode_sample(members)[1]]
    clip = StoredClip.open(members, names)
    for number, frame in zip(clip.indices, clip.frames(), strict=True):
        for place in ("JPEGImages", "own"):
            path = folder / place / key / f"{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.ascontiguousarray(frame[..., ::-1]))
    for name in names:
        for number, mask in zip(clip.indices, clip.mask_images(name), strict=True):
            for place in (f"Annotations/{key}", f"own/{key}_mask"):
                path = folder / place / f"{clip.object_of(name):03d}/{number:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), mask)


def samples(built: BuiltSet) -> Iterator[tuple[str, dict[str, bytes]]]:
    for receipt in built.receipts().values():
        with built.storage.open(layout.data(receipt.tar.name)) as stream:
            yield from read_samples(stream)


def alphas(built: BuiltSet) -> list[Any]:
    """Names and decoded alpha of every masklet."""
    return [
        [key, masklet.name, masklet.status, masklet.alpha.tobytes().hex()]
        for key, members in samples(built)
        for masklet in decode_sample(members)[1]
    ]


def facts(built: BuiltSet) -> list[Any]:
    """What a source says of its clips: members that it stores, sizes, frames, masks."""
    found: list[Any] = []
    for _, members in samples(built):
        document = json.loads(members["json"])
        for key in ("format", "provenance"):
            document.pop(key, None)
        for masklet in document["masklets"]:
            del masklet["scores"]
        stored = {n: hashlib.sha256(d).hexdigest() for n, d in members.items() if n[:4] == "rgb."}
        found.append([document, stored])
    columns = ("key", "masklet", "status", "reasons", "error", "environment", "size_bucket")
    return [*found, built.rows().select(columns).to_pylist()]


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return contents(tmp_path_factory.mktemp("revisions"))


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TABLE.read_text())
    return found


def test_the_table_has_every_revision_that_there_is() -> None:
    assert {name: entry["revision"] for name, entry in table().items()} == revisions()


@pytest.mark.parametrize("name", [n for n, entry in table().items() if "holds" in entry])
def test_nothing_moved_under_an_unchanged_revision(name: str, made: dict[str, str]) -> None:
    assert made[name] == table()[name]["holds"], f"raise the revision of {name}, or undo the change"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        holds = contents(Path(folder))
    entries = {
        name: {"revision": revision, **({"holds": holds[name]} if name in holds else {})}
        for name, revision in revisions().items()
    }
    TABLE.write_text(json.dumps(entries, indent=1) + "\n")
