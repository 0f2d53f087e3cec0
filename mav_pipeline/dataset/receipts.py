"""Commit and sweep: how a shard comes to exist exactly once, and what may be removed afterwards.

    tar -> parquet -> receipt

Both data files carry their content's hash in their name, so a late or double writer puts the same
bytes again or writes beside. The receipt is created only where there is none, and is the one
pointer: whoever created it has published the shard.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from io import BufferedReader

from mav_pipeline.dataset import layout
from mav_pipeline.schema import ShardFailure, ShardReceipt
from mav_pipeline.schema.errors import TransientError
from mav_pipeline.storage import Entry, Storage, is_temporary

_SEEN_LATE_S = (0.0, 0.3, 1.0, 3.0)  # a network file system may show a file some seconds late


def commit(
    storage: Storage,
    receipt: ShardReceipt,
    tar: BufferedReader,
    manifest: BufferedReader,
    *,
    replaces: bytes | None = None,
) -> bool:
    """Publishes a finished shard; False where another builder published it first.

    It may be called again after an error.

    Args:
        tar, manifest: finished local files; they stay where they are. Open files they are because
            another builder's sweep may take their paths for a dead builder's.
        replaces: the receipt file of the shard that this one is a rebuild of.

    Raises:
        OSError: the storage failed; nothing half-written is visible.
        TransientError: a published file was removed twice in a row while we looked.
    """
    path = layout.receipt(receipt.shard)
    data = json.dumps(receipt.to_json(), sort_keys=True, indent=1).encode()
    files = ((tar, receipt.tar.name), (manifest, receipt.manifest.name))
    for file, name in files:
        storage.publish(file, layout.data(name))
    there = storage.create(path, data) if replaces is None else storage.swap(path, replaces, data)
    is_ours = there or _holds(storage, path, data)
    if is_ours:
        # Another builder's sweep may have removed our files before the receipt named them.
        for file, name in files:
            if not storage.exists(layout.data(name)):
                storage.publish(file, layout.data(name))
            if not storage.exists(layout.data(name)):
                raise TransientError(f"{name} disappears from {storage}")
    forget_failure(storage, receipt.shard)
    return is_ours


def read_receipt(storage: Storage, shard: str) -> ShardReceipt | None:
    """The receipt of a shard, or None where it is not published.

    Raises:
        ValueError: the file is no receipt, or one of a later format.
    """
    try:
        return decode_receipt(shard, storage.read(layout.receipt(shard)))
    except FileNotFoundError:
        return None


def confirm(
    storage: Storage, receipt: ShardReceipt, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Looks whether a receipt that a worker has told of is to be seen from here.

    Raises:
        TransientError: it is not, nor after some seconds: the worker writes to another place.
        OSError: the storage failed.
    """
    for wait_s in _SEEN_LATE_S:
        sleep(wait_s)
        try:
            found = read_receipt(storage, receipt.shard)
        except ValueError:  # its answer is the same as that of none
            continue
        if found is not None and found.fingerprint == receipt.fingerprint:
            return
    host = receipt.worker.get("host", "a worker")
    raise TransientError(
        f"{host} has published {receipt.shard}, but {layout.receipt(receipt.shard)} cannot be read "
        f"back from {storage} here: that is not one place for both; mount one file system at this "
        "path on every node, or name s3://bucket/prefix"
    )


def decode_receipt(shard: str, data: bytes) -> ShardReceipt:
    """The receipt of a shard from its file. Raises ValueError where it is none, or a later one."""
    path = layout.receipt(shard)
    try:
        receipt = ShardReceipt.from_json(json.loads(data))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a receipt: {error!r}") from error
    if receipt.shard != shard:
        raise ValueError(f"{path} is the receipt of {receipt.shard}")
    return receipt


def record_failure(storage: Storage, failure: ShardFailure) -> None:
    """Writes the last error of a shard that could not be published."""
    data = json.dumps(asdict(failure), sort_keys=True, indent=1).encode()
    storage.put(layout.failure(failure.shard), data)


def forget_failure(storage: Storage, shard: str) -> None:
    """Removes the record of a shard that is published, or about to be tried again."""
    storage.delete(layout.failure(shard))


def sweep(storage: Storage, named: Collection[str] = ()) -> None:
    """Removes what a published set has no use for; asks each receipt again just before a delete.

    That is: files of our form that belong to a published shard and that its receipt does not name,
    and temporaries of the final files. So a finished ``shards/*.tar`` is exactly the set, while a
    shard that another builder is about to publish keeps its files: it has no receipt yet. On S3
    uploads of such files that were never finished go too.

    Args:
        named: paths that receipts named a moment ago; they stay, and nobody is asked about them.
    """
    for upload in storage.uploads():
        shard = layout.shard_of_data(upload.name)
        if shard is not None and read_receipt(storage, shard) is not None:
            storage.abort(upload)
    for entry in list(storage.entries()):
        if entry.name in named:
            continue
        shard = layout.shard_of_data(entry.name)
        if shard is None:
            stray = is_temporary(entry.name) and not entry.name.startswith(f"{layout.SHARDS}/")
        else:
            stray = _is_stray(entry.name, read_receipt(storage, shard))
        if stray:
            storage.delete(entry.name)


def published(storage: Storage) -> list[str]:
    """The shards that have a receipt, in order; reads none."""
    return [*receipt_entries(storage)]


def receipt_entries(storage: Storage) -> dict[str, Entry]:
    """The receipts as they are listed, by shard, in order; reads none."""
    try:
        found = [(layout.shard_of_receipt(e.name), e) for e in storage.entries(layout.SHARDS)]
    except FileNotFoundError:  # before the first shard
        return {}
    return {shard: entry for shard, entry in found if shard is not None}


def _is_stray(path: str, receipt: ShardReceipt | None) -> bool:
    if receipt is None:
        return False
    return path.rpartition("/")[2] not in (receipt.tar.name, receipt.manifest.name)


def _holds(storage: Storage, path: str, data: bytes) -> bool:
    """Whether an earlier call wrote this receipt, and failed later."""
    try:
        return storage.read(path) == data
    except FileNotFoundError:  # removed by hand meanwhile
        return False
