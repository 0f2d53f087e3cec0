"""The last step of a build: sweep, then the files that describe the set as a whole.

All of them follow from run, plan and receipts, so making them again makes the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.card import about, card
from mav_pipeline.dataset.croissant import croissant
from mav_pipeline.dataset.manifest import decode_rows, merge
from mav_pipeline.dataset.receipts import sweep
from mav_pipeline.schema import ShardReceipt
from mav_pipeline.storage import read_many


def is_final(built: BuiltSet) -> bool:
    """Whether the final files are there and speak of just the shards published now."""
    names = (layout.MANIFEST, layout.SHARD_LIST, layout.CARD, layout.CROISSANT)
    there = all(built.storage.exists(name) for name in (*names, f"{layout.REPORT}/index.html"))
    return there and is_indexed(built)


def is_indexed(built: BuiltSet) -> bool:
    """Whether there is an index and it names just the shards published now."""
    try:
        return built.storage.read(layout.INDEX) == _index(built, built.receipts())
    except FileNotFoundError:
        return False


def finalize(built: BuiltSet) -> None:
    """Sweeps strays and writes the rows, the list of shards, the card, Croissant and the index.

    The index comes last: ``is_final`` goes by it.
    """
    storage, receipts = built.storage, built.receipts()
    manifests = [layout.data(receipt.manifest.name) for receipt in receipts.values()]
    tars = [layout.data(receipt.tar.name) for receipt in receipts.values()]
    sweep(storage, {*manifests, *tars})
    manifest = merge(read_many(storage, manifests), built.format)
    index = _index(built, receipts)
    report = built.report(wall_s=0.0)
    samples = sum(receipt.clips["samples"] for receipt in receipts.values())
    storage.put(layout.MANIFEST, manifest)
    storage.put(layout.SHARD_LIST, "".join(f"{tar}\n" for tar in tars).encode())
    storage.put(layout.CARD, card(built.run, report, samples, decode_rows(manifest)))
    storage.put(layout.CROISSANT, croissant(about(built.run, report), manifest, index))
    storage.put(layout.INDEX, index)


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
