"""Reads a set back: receipts, sizes, hashes, rows; with ``deep`` every sample; what is stray."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.manifest import column_names, decode_rows
from mav_pipeline.dataset.receipts import read_receipt
from mav_pipeline.dataset.sample import check_sample, read_document
from mav_pipeline.dataset.shard_tar import stored_samples
from mav_pipeline.schema import CLIP_STATUSES, DataFile, ShardReceipt, ShardSpec
from mav_pipeline.schema.errors import InputError
from mav_pipeline.storage import Storage, is_temporary

_SHARDS = ("planned", "published", "whole")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: where, and what."""

    path: str
    what: str


@dataclass(slots=True)
class Verification:
    """What ``mav verify`` found.

    Attributes:
        shards: planned, published, and how many of those are whole.
        is_finished: every shard is published and the last step of a build has been done.
        samples, alphas: decoded, with ``deep``.
        strays: unreferenced files of our form, unfinished uploads, files no build ever writes.
        removed: strays that ``clean`` removed.
    """

    shards: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SHARDS, 0))
    is_finished: bool = False
    samples: int = 0
    alphas: int = 0
    findings: list[Finding] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings and set(self.strays) <= set(self.removed)

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        state = "complete" if values.pop("is_finished") else "incomplete"
        return {"ok": self.ok, "state": state, **values}


def verify(storage: Storage, config: VerifyConfig) -> Verification:
    """Checks a set; one that is being built is not wrong, only unfinished.

    ``clean`` removes unreferenced files of our form, so not while a build runs.

    Raises:
        OutputError: there is no build here, or its plan cannot be read.
    """
    built = BuiltSet.open(storage)
    result = Verification()
    result.shards["planned"] = len(built.shards)
    named: set[str] = set()
    for shard in built.shards:
        path = layout.receipt(shard.name)
        try:
            receipt = read_receipt(storage, shard.name)
        except ValueError as error:
            result.findings.append(Finding(path, str(error)))
            continue
        if receipt is None:
            continue
        result.shards["published"] += 1
        named |= {layout.data(receipt.tar.name), layout.data(receipt.manifest.name)}
        found = list(_shard(built, shard, receipt, config.deep, result))
        result.findings += found
        result.shards["whole"] += not found
    result.findings += _final(built)
    whole = result.shards["published"] == result.shards["planned"]
    result.is_finished = whole and storage.exists(layout.INDEX)
    _strays(storage, named, config.clean, result)
    return result


def _shard(
    built: BuiltSet, shard: ShardSpec, receipt: ShardReceipt, deep: bool, result: Verification
) -> Iterator[Finding]:
    if receipt.fingerprint != built.run["fingerprint"]:
        yield Finding(layout.receipt(shard.name), f"its fingerprint is {receipt.fingerprint}")
    if receipt.format != built.format:
        yield Finding(layout.receipt(shard.name), f"its format is {receipt.format}")
    broken = False
    for file in (receipt.tar, receipt.manifest):
        if (what := _damage(built.storage, file)) is not None:
            broken = True
            cure = f"remove it and {layout.receipt(receipt.shard)}, and mav build makes it anew"
            yield Finding(layout.data(file.name), f"{what}; {cure}")
    if broken:
        return
    path = layout.data(receipt.manifest.name)
    try:
        data = built.storage.read(path)
        rows = decode_rows(data).to_pylist()
    except (pa.ArrowInvalid, ValueError) as error:
        yield Finding(path, f"cannot be read: {error}")
        return
    if column_names(data) != built.columns:
        yield Finding(path, "its columns are not those of the set: another version wrote it")
    for what in _rows(shard, receipt, rows):
        yield Finding(path, what)
    if deep:
        yield from _samples(built.storage, receipt, rows, result)


def _damage(storage: Storage, file: DataFile) -> str | None:
    """What is wrong with a data file's size or hash; None where nothing is."""
    try:
        with storage.open(layout.data(file.name)) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except FileNotFoundError:
        return "is missing, though a receipt names it"
    if size != file.bytes:
        return f"has {size} bytes, its receipt says {file.bytes}"
    return None if digest == file.sha256 else "has another sha256 than its receipt says"


def _rows(shard: ShardSpec, receipt: ShardReceipt, rows: list[dict[str, Any]]) -> Iterator[str]:
    planned = [clip.video_id for clip in shard.clips]
    seen = list(dict.fromkeys(row["video_id"] for row in rows))
    if seen != list(dict.fromkeys(planned)):
        yield f"has rows of {len(seen)} clips, the plan names {len(planned)}, or in another order"
    statuses = Counter(row["status"] for row in rows if row["masklet"] is not None)
    if any(statuses[key] != receipt.masklets[key] for key in receipt.masklets):
        yield f"has masklets {dict(statuses)}, its receipt says {dict(receipt.masklets)}"
    whole = sum(receipt.clips[key] for key in CLIP_STATUSES)
    if whole != len(planned):
        yield f"accounts for {whole} clips, the plan names {len(planned)}"
    if any(row["status"] != "accepted" and not row["reasons"] for row in rows):
        yield "has a row that is not accepted and gives no reason"


def _samples(
    storage: Storage,
    receipt: ShardReceipt,
    rows: list[dict[str, Any]],
    result: Verification,
) -> Iterator[Finding]:
    accepted = {(row["key"], row["masklet"]) for row in rows if row["status"] == "accepted"}
    path = layout.data(receipt.tar.name)
    stored: set[tuple[str, str]] = set()
    samples = 0
    try:
        for key, members in stored_samples(storage, path):
            samples += 1
            try:
                document = read_document(members)
                check_sample(document, members)
            except (ValueError, InputError) as error:
                yield Finding(path, f"sample {key}: {error}")
                continue
            if document.key != key:
                yield Finding(path, f"sample {key} says that it is {document.key}")
            if document.format != receipt.format:
                yield Finding(path, f"sample {key} is of format {document.format}")
            stored |= {(key, m.name) for m in document.masklets if m.status == "accepted"}
            result.alphas += len(document.masklets)
    except ValueError as error:
        yield Finding(path, str(error))
    result.samples += samples
    if samples != receipt.clips["samples"]:
        yield Finding(path, f"has {samples} samples, its receipt says {receipt.clips['samples']}")
    for key, masklet in sorted(accepted ^ stored):
        where = "the rows" if (key, masklet) in accepted else "the tar"
        yield Finding(path, f"{key} {masklet} is accepted in {where} only")


def _final(built: BuiltSet) -> Iterator[Finding]:
    """Checks the files of the last step against the receipts, where that step has been reached."""
    storage = built.storage
    if not storage.exists(layout.INDEX):
        return
    try:
        index = json.loads(storage.read(layout.INDEX))
        listed = [entry["url"] for entry in index["shardlist"]]
        empty = [entry["url"] for entry in index.get("empty", ())]
        lines = storage.read(layout.SHARD_LIST).decode().split()
        rows = decode_rows(storage.read(layout.MANIFEST)).num_rows
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        yield Finding(layout.INDEX, f"the final files cannot be read: {error!r}")
        return
    receipts = _readable(built)
    samples = {layout.data(r.tar.name): r.clips["samples"] for r in receipts.values()}
    for path in sorted(samples.keys() ^ {*listed, *empty}):
        yield Finding(layout.INDEX, f"{path} is not in both the index and the receipts")
    if lines != listed:
        yield Finding(layout.SHARD_LIST, f"differs from {layout.INDEX}")
    for path in empty:
        if samples.get(path):
            yield Finding(layout.INDEX, f"{path} holds samples and stands among the empty shards")
    for path in listed if built.format > 1 else ():
        if samples.get(path) == 0:
            what = "holds no sample, so that readers of the list end at it"
            yield Finding(layout.INDEX, f"{path} {what}; remove the index, and mav build makes it")
    if rows < sum(sum(receipt.masklets.values()) for receipt in receipts.values()):
        yield Finding(layout.MANIFEST, f"has only {rows} rows")


def _readable(built: BuiltSet) -> Mapping[str, ShardReceipt]:
    found = {}
    for shard in built.shards:
        try:
            receipt = read_receipt(built.storage, shard.name)
        except ValueError:
            continue  # a finding already
        if receipt is not None:
            found[shard.name] = receipt
    return found


def _strays(storage: Storage, named: set[str], clean: bool, result: Verification) -> None:
    for upload in storage.uploads():
        path = f"{upload.name} (upload {upload.id}, never finished)"
        result.strays.append(path)
        if clean:
            storage.abort(upload)
            result.removed.append(path)
    for entry in list(storage.entries()):
        path = entry.name
        unreferenced = layout.shard_of_data(path) is not None and path not in named
        if unreferenced or is_temporary(path):
            result.strays.append(path)
            if clean:
                storage.delete(path)
                result.removed.append(path)
        elif not layout.is_of_set(path):
            result.strays.append(path)
