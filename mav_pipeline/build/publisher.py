"""Finished shards into the output: waited for while it fails, kept in TMPDIR meanwhile."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mav_pipeline.build.kept import Kept, KeptShard
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.receipts import commit, read_receipt
from mav_pipeline.schema import ShardReceipt
from mav_pipeline.storage import Output, Storage, temporary_name

_log = logging.getLogger(__name__)


class Publisher:
    """Every request that a worker makes of the output goes through here.

    Each method raises OutageError where the output fails for too long or refuses, and Interrupted.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def held(self, shard: str) -> bytes | None:
        """The receipt of a shard as its file is; None where it is not published."""

        def read(storage: Storage) -> bytes | None:
            try:
                return storage.read(layout.receipt(shard))
            except FileNotFoundError:
                return None

        return self._output.call(read)

    def publish(
        self,
        receipt: ShardReceipt,
        tar: Path,
        rows: Path,
        *,
        kept: KeptShard,
        replaces: bytes | None,
    ) -> ShardReceipt:
        """Publishes finished files; the receipt that counts, another builder's if that was first.

        Args:
            kept: where they are kept from the first failure on, until they are published.
            replaces: the receipt file of the shard that this one is a rebuild of.
        """
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context(path.open("rb")) for path in (tar, rows)]

            def put(storage: Storage) -> bool:
                return commit(storage, receipt, files[0], files[1], replaces=replaces)

            def keep() -> None:
                kept.keep(receipt, tar, rows)

            published = self._output.call(put, finished=True, on_failure=keep)
        kept.drop()
        if published:
            return receipt
        _log.warning("%s was published by another builder meanwhile", receipt.shard)
        return self._output.call(lambda storage: read_receipt(storage, receipt.shard)) or receipt

    def publish_kept(
        self, found: Kept, *, kept: KeptShard, attempt: int, replaces: bytes | None
    ) -> ShardReceipt:
        """As ``publish``, of a shard that an earlier process has finished."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        receipt = replace(found.receipt, attempts=attempt, published_at=now)
        _log.info("%s was finished before, and is published without matting", receipt.shard)
        return self.publish(receipt, found.tar, found.rows, kept=kept, replaces=replaces)

    def was_out(self) -> bool:
        """Whether the output fails now; returns once it does not.

        After an error of a temporary file; where those do not lie in the output, that is no news
        of it.
        """
        failed = []

        def write(storage: Storage) -> None:
            name = temporary_name("probe")
            storage.put(name, b"")
            storage.delete(name)

        if self._output.storage.holds_temporaries:
            self._output.call(write, on_failure=lambda: failed.append(True))
        return bool(failed)
