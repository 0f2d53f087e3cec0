"""Commit and sweep: how a shard comes to exist exactly once, and what may be removed afterwards.

    tar -> parquet -> receipt

Both data files carry their content's hash in their name, so a late or double writer puts the same
bytes again or writes beside. The receipt is created only where there is none, and is the one
pointer: whoever created it has published the shard.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from mav_pipeline.dataset import layout
from mav_pipeline.errors import TransientError
from mav_pipeline.schema import ShardFailure, ShardReceipt
from mav_pipeline.storage import LocalStorage, is_temporary


def commit(storage: LocalStorage, receipt: ShardReceipt, tar: Path, manifest: Path) -> bool:
    """Publishes a finished shard; False where another builder published it first.

    Args:
        tar, manifest: finished local files; they stay, for the look back after the receipt.

    Raises:
        OSError: the storage failed; nothing half-written is visible.
        TransientError: a published file was removed twice in a row while we looked.
    """
    files = ((tar, receipt.tar.name), (manifest, receipt.manifest.name))
    for path, name in files:
        storage.publish(path, layout.data(name))
    data = json.dumps(receipt.to_json(), sort_keys=True, indent=1).encode()
    created = storage.create(layout.receipt(receipt.shard), data)
    if created:
        # Another builder's sweep may have removed our files before the receipt named them.
        for path, name in files:
            if not storage.exists(layout.data(name)):
                storage.publish(path, layout.data(name))
            if not storage.exists(layout.data(name)):
                raise TransientError(f"{name} disappears from {storage}")
    storage.delete(layout.failure(receipt.shard))
    return created


def read_receipt(storage: LocalStorage, shard: str) -> ShardReceipt | None:
    """The receipt of a shard, or None where it is not published.

    Raises:
        ValueError: there is one, and it is none of ours.
    """
    path = layout.receipt(shard)
    try:
        receipt = ShardReceipt.from_json(json.loads(storage.read(path)))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a receipt: {error!r}") from error
    if receipt.shard != shard:
        raise ValueError(f"{path} is the receipt of {receipt.shard}")
    return receipt


def record_failure(storage: LocalStorage, failure: ShardFailure) -> None:
    """Writes the last error of a shard that could not be published."""
    data = json.dumps(asdict(failure), sort_keys=True, indent=1).encode()
    storage.put(layout.failure(failure.shard), data)


def sweep(storage: LocalStorage) -> None:
    """Removes what a published set has no use for; asks each receipt again just before a delete.

    That is: files of our form that belong to a published shard and that its receipt does not name,
    and temporaries of the final files. So a finished ``shards/*.tar`` is exactly the set, while a
    shard that another builder is about to publish keeps its files: it has no receipt yet.
    """
    for entry in list(storage.entries()):
        shard = layout.shard_of_data(entry.name)
        if shard is None:
            stray = is_temporary(entry.name) and not entry.name.startswith(f"{layout.SHARDS}/")
        else:
            stray = _is_stray(entry.name, read_receipt(storage, shard))
        if stray:
            storage.delete(entry.name)


def shard_files(storage: LocalStorage) -> list[str]:
    """Every path in ``shards/``, in order; none before the first shard."""
    try:
        return [entry.name for entry in storage.entries(layout.SHARDS)]
    except FileNotFoundError:
        return []


def _is_stray(path: str, receipt: ShardReceipt | None) -> bool:
    if receipt is None:
        return False
    return path.rpartition("/")[2] not in (receipt.tar.name, receipt.manifest.name)
