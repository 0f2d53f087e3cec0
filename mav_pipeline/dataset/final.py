"""The last step of a build: sweep, then the files that describe the set as a whole.

All of them follow from run, plan and receipts, so making them again makes the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.manifest import merge
from mav_pipeline.dataset.receipts import sweep
from mav_pipeline.schema import ShardReceipt
from mav_pipeline.storage import read_many


def is_final(built: BuiltSet) -> bool:
    """Whether the final files are there and speak of just the shards published now."""
    names = (layout.MANIFEST, layout.SHARD_LIST, layout.CARD, f"{layout.REPORT}/index.html")
    return all(built.storage.exists(name) for name in names) and is_indexed(built)


def is_indexed(built: BuiltSet) -> bool:
    """Whether there is an index and it names just the shards published now."""
    try:
        return built.storage.read(layout.INDEX) == _index(built, built.receipts())
    except FileNotFoundError:
        return False


def finalize(built: BuiltSet) -> None:
    """Sweeps strays and writes ``manifest.parquet``, ``shards.txt``, ``README.md``, ``index.json``.

    The index comes last: ``is_final`` goes by it.
    """
    storage, receipts = built.storage, built.receipts()
    manifests = [layout.data(receipt.manifest.name) for receipt in receipts.values()]
    tars = [layout.data(receipt.tar.name) for receipt in receipts.values()]
    sweep(storage, {*manifests, *tars})
    storage.put(layout.MANIFEST, merge(read_many(storage, manifests)))
    storage.put(layout.SHARD_LIST, "".join(f"{tar}\n" for tar in tars).encode())
    storage.put(layout.CARD, _card(built).encode())
    storage.put(layout.INDEX, _index(built, receipts))


def _index(built: BuiltSet, receipts: Mapping[str, ShardReceipt]) -> bytes:
    """wids' index form: relative urls with their sample counts."""
    index: dict[str, Any] = {
        "wids_version": 1,
        "name": "mav",
        "fingerprint": built.run["fingerprint"],
        "shardlist": [
            {
                "url": layout.data(receipt.tar.name),
                "nsamples": receipt.clips["samples"],
                "filesize": receipt.tar.bytes,
                "sha256": receipt.tar.sha256,
                "manifest": layout.data(receipt.manifest.name),
            }
            for receipt in receipts.values()
        ],
    }
    return json.dumps(index, sort_keys=True, indent=1).encode()


def _card(built: BuiltSet) -> str:
    template = resources.files("mav_pipeline.dataset").joinpath("card.md.j2").read_text()
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 markdown, not HTML
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    report = built.report(wall_s=0.0)
    return environment.from_string(template).render(run=built.run, report=report)
