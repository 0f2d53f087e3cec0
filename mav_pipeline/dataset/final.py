"""The last step of a build: sweep, then the files that describe the set as a whole.

All of them follow from run, plan and receipts, so making them again makes the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.card import about, card
from mav_pipeline.dataset.croissant import croissant
from mav_pipeline.dataset.manifest import decode_rows, merge
from mav_pipeline.dataset.receipts import sweep
from mav_pipeline.schema import ShardReceipt
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import read_many


def is_final(built: BuiltSet, *, report: bool) -> bool:
    """Whether the final files are there and speak of just the shards published now.

    Args:
        report: whether there shall be a report among them.
    """
    names = [layout.MANIFEST, layout.SHARD_LIST, layout.CARD, layout.CROISSANT]
    if report:
        names.append(layout.REPORT_PAGE)
    return all(built.storage.exists(name) for name in names) and is_indexed(built)


def is_indexed(built: BuiltSet) -> bool:
    """Whether there is an index and it names just the shards published now."""
    try:
        found = built.storage.read(layout.INDEX)
    except FileNotFoundError:
        return False
    receipts = built.receipts()
    if built.format == 1 and found == _index(built, receipts, apart=False):
        return True  # its version listed shards without a sample among the others
    return found == _index(built, receipts)


def listed_tars(receipts: Iterable[ShardReceipt]) -> list[str]:
    """What ``shards.txt`` names: the tars that hold a sample.

    A reader that is given a tar without one ends with an error, and its siblings with it.
    """
    return [layout.data(r.tar.name) for r in receipts if r.clips["samples"]]


def finalize(built: BuiltSet) -> None:
    """Sweeps strays and writes the rows, the list of shards, the card, Croissant and the index.

    The index comes last: ``is_final`` goes by it.

    Raises:
        OutputError: shards are pending: neither published nor given up.
    """
    storage, receipts = built.storage, built.receipts()
    report = built.report(wall_s=0.0)
    if pending := report.shards["pending"]:
        raise OutputError(
            f"{pending} of {report.shards['planned']} shards in {storage} are pending, so nothing "
            "that describes the whole set is written; `mav build` builds them"
        )
    manifests = [layout.data(receipt.manifest.name) for receipt in receipts.values()]
    tars = [layout.data(receipt.tar.name) for receipt in receipts.values()]
    sweep(storage, {*manifests, *tars})
    manifest = merge(read_many(storage, manifests), built.format)
    index = _index(built, receipts)
    samples = sum(receipt.clips["samples"] for receipt in receipts.values())
    storage.put(layout.MANIFEST, manifest)
    listed = "".join(f"{tar}\n" for tar in listed_tars(receipts.values()))
    storage.put(layout.SHARD_LIST, listed.encode())
    storage.put(layout.CARD, card(built.run, report, samples, decode_rows(manifest)))
    described = {**about(built.run, report), **_dated(built, receipts.values())}
    storage.put(layout.CROISSANT, croissant(described, manifest, index))
    storage.put(layout.INDEX, index)


def _dated(built: BuiltSet, receipts: Iterable[ShardReceipt]) -> dict[str, str]:
    """Croissant's version and date, both of the last receipt; a set without shards has neither.

    The version is format.day.second of that day: it grows with each shard that is published or
    rebuilt, and is one of semantic versioning, as Croissant wants it.
    """
    times = [datetime.fromisoformat(r.published_at).astimezone(UTC) for r in receipts]
    if not times:
        return {}
    last = max(times)
    second = (last.hour * 60 + last.minute) * 60 + last.second
    return {
        "version": f"{built.format}.{last:%Y%m%d}.{second}",
        "datePublished": last.isoformat(timespec="seconds"),
    }


def _index(built: BuiltSet, receipts: Mapping[str, ShardReceipt], *, apart: bool = True) -> bytes:
    """wids' index form: relative urls with their sample counts.

    Args:
        apart: shards without a sample stand apart, where no reader of shards finds them.
    """
    listed, empty = list[dict[str, Any]](), list[dict[str, Any]]()
    for receipt in receipts.values():
        entry = {
            "url": layout.data(receipt.tar.name),
            "nsamples": receipt.clips["samples"],
            "filesize": receipt.tar.bytes,
            "sha256": receipt.tar.sha256,
            "manifest": layout.data(receipt.manifest.name),
        }
        (empty if apart and not entry["nsamples"] else listed).append(entry)
    index: dict[str, Any] = {
        "wids_version": 1,
        "name": "mav",
        "fingerprint": built.run["fingerprint"],
        "shardlist": listed,
    }
    if empty:
        index["empty"] = empty
    return json.dumps(index, sort_keys=True, indent=1).encode()
