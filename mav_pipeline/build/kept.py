"""Finished shards that wait for their output: kept in TMPDIR, whatever becomes of the process.

The next build of the same set on this machine publishes them without matting. A shard is the same
where fingerprint and plan are, down to each file's version and each clip in quarantine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from mav_pipeline.dataset.receipts import decode_receipt
from mav_pipeline.schema import DataFile, ShardReceipt, ShardSpec, Stamp

_log = logging.getLogger(__name__)

_TAR, _ROWS, _RECEIPT = "tar", "parquet", "receipt.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished shard in a folder that nobody else can write to."""

    receipt: ShardReceipt
    tar: Path
    rows: Path


class KeptShard:
    """The place for one shard of a set.

    Args:
        spec: what it is made of.
        stamp: of the set.
    """

    def __init__(self, spec: ShardSpec, stamp: Stamp) -> None:
        about = json.dumps([asdict(stamp), asdict(spec)], sort_keys=True)
        key = hashlib.sha256(about.encode()).hexdigest()[:16]
        self._name, self._all = spec.name, _all_kept()
        self._folder = self._all / f"{stamp.fingerprint[:16]}-{key}"

    def keep(self, receipt: ShardReceipt, tar: Path, rows: Path) -> None:
        """Keeps finished files; where there is no room that is said, and no more."""
        if self._folder.exists():
            return
        try:
            self._all.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(self._all):
                _log.warning("%s is open to others, so no shard is kept there", self._all)
                return
            fresh = self._all / f".{uuid.uuid4().hex}"
            fresh.mkdir(mode=0o700)
            try:
                for name, path in ((_TAR, tar), (_ROWS, rows)):
                    _copy(path, fresh / name)
                (fresh / _RECEIPT).write_text(json.dumps(receipt.to_json()))
                fresh.rename(self._folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            _log.warning("%s is not kept in %s: %s", self._name, self._all, error)
        else:
            _log.warning("%s is kept in %s until it is published", self._name, self._folder)

    def find(self) -> Kept | None:
        """The shard if it is here, whole and nobody else's."""
        tar, rows, about = (self._folder / name for name in (_TAR, _ROWS, _RECEIPT))
        try:
            if not (_is_private(self._all) and _is_private(self._folder)):
                return None
            receipt = decode_receipt(self._name, about.read_bytes())
            if _is(tar, receipt.tar) and _is(rows, receipt.manifest):
                return Kept(receipt, tar, rows)
            self.drop()
        except (OSError, ValueError):
            return None
        return None

    def drop(self) -> None:
        """It is published, or of no use."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others are there
            self._all.rmdir()


def drop_all(stamp: Stamp) -> None:
    """Removes what is kept here of a set that is complete."""
    for folder in _all_kept().glob(f"{stamp.fingerprint[:16]}-*"):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are there, or none ever were
        _all_kept().rmdir()


def _all_kept() -> Path:
    return Path(tempfile.gettempdir()) / f"mav-kept-{os.geteuid()}"


def _copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _is_private(folder: Path) -> bool:
    about = folder.lstat()
    mine = about.st_uid == os.geteuid() and not about.st_mode & 0o077
    return mine and stat.S_ISDIR(about.st_mode)


def _is(path: Path, file: DataFile) -> bool:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
