"""Shard tars: the same bytes whenever, wherever and by whomever they are written.

The standard library's tarfile rather than webdataset's TarWriter: that one stamps the time of day
as a float, and closes a torn archive cleanly when its caller fails.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mav_pipeline.schema import Sample


class _HashingFile(io.RawIOBase):
    """Passes writes on and hashes them, so that a tar is read no second time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha256, self.bytes = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._file.write(data)
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes


class ShardTar:
    """Writes samples in the order given; a context manager that finishes the archive on success.

    Integer ``mtime`` 0, owner 0, mode 644: nothing of the machine gets in. On an exception the
    archive is left torn and must not be published.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._file = self._path.open("xb")
        self._hashing = _HashingFile(self._file)
        self._tar = tarfile.open(fileobj=self._hashing, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def add(self, sample: Sample) -> None:
        """Appends a whole sample."""
        for extension, data in sample.members:
            info = tarfile.TarInfo(f"{sample.key}.{extension}")
            info.size, info.mode, info.mtime = len(data), 0o644, 0
            self._tar.addfile(info, io.BytesIO(data))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._tar.close()
        self._file.close()

    @property
    def bytes(self) -> int:
        return self._hashing.bytes

    @property
    def sha256(self) -> str:
        return self._hashing.sha256.hexdigest()


def read_samples(
    file: BinaryIO, wanted: Callable[[str, str], bool] = lambda key, extension: True
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members by extension) of a shard, in order; keys split at the first dot.

    Members that are not ``wanted`` are passed over unread, samples without a wanted one left out.

    An archive cut at a member's header reads as if it ended there (tarfile's rule); its receipt's
    size and hash, and a sample's own json, tell.

    Raises:
        ValueError: the archive is torn inside a member, or a sample's members do not lie together.
    """
    seen: set[str] = set()
    current = ""
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                key, _, extension = info.name.partition(".")
                if key != current:
                    if members:
                        yield current, members
                    if key in seen:
                        raise ValueError(f"sample {key} does not lie together")
                    seen.add(key)
                    current, members = key, {}
                if not wanted(key, extension):
                    continue
                stream = tar.extractfile(info)
                if stream is None or extension in members:
                    raise ValueError(f"member {info.name} is no file, or stands twice")
                members[extension] = stream.read()
    except tarfile.TarError as error:
        raise ValueError(f"not a whole tar: {error}") from error
    if members:
        yield current, members
