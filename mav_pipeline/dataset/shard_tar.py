"""Shard tars: the same bytes whenever, wherever and by whomever they are written.

The standard library's tarfile rather than webdataset's TarWriter: that one stamps the time of day
as a float, and closes a torn archive cleanly when its caller fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mav_pipeline.schema import Content, Sample, open_content, size_of
from mav_pipeline.schema.errors import WriteError
from mav_pipeline.storage import Storage
from mav_pipeline.storage.ranged import RangedFile

#: Bytes of a sample that are held as it is read; what comes beyond is read when it is asked for.
HELD = 64 * 2**20
_COPY = 2**20  # bytes at a time from a spool into the tar


@contextlib.contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Raises WriteError, with the folder's name, where a temporary file cannot be written."""
    try:
        yield
    except FileExistsError:  # somebody's mistake, not the disk's
        raise
    except OSError as error:
        where = f"{Path(path).parent} on {socket.gethostname()}"
        raise WriteError(error.errno, f"{where} cannot be written: {error.strerror}") from error


class _HashingFile(io.RawIOBase):
    """Passes writes on and hashes them, so that a tar is read no second time."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file, self.sha256, self.bytes = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        with writing(self._file.name):
            self._file.write(data)
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes


class ShardTar:
    """Writes samples in the order given; a context manager that finishes the archive on success.

    Integer ``mtime`` 0, owner 0, mode 644: nothing of the machine gets in. On an exception the
    archive is left torn and must not be published. Raises WriteError where its file cannot be
    written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        with writing(self._path):
            self._file = self._path.open("xb")
        self._hashing = _HashingFile(self._file)
        self._tar = tarfile.TarFile(
            fileobj=self._hashing, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_COPY
        )
        return self

    def add(self, sample: Sample) -> None:
        """Appends a whole sample."""
        for extension, data in sample.members:
            info = tarfile.TarInfo(f"{sample.key}.{extension}")
            info.size, info.mode, info.mtime = size_of(data), 0o644, 0
            with open_content(data) as stream:
                self._tar.addfile(info, stream)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._tar.close()
        with writing(self._path):
            self._file.close()

    @property
    def bytes(self) -> int:
        return self._hashing.bytes

    @property
    def sha256(self) -> str:
        return self._hashing.sha256.hexdigest()


@dataclass(frozen=True, slots=True)
class _Stored:
    """A ``Blob``: a member of a tar, read from there each time."""

    reopen: Callable[[], BinaryIO]
    offset: int
    size: int

    def open(self) -> BinaryIO:
        tar = self.reopen()

        def read(offset: int, count: int) -> bytes:
            tar.seek(self.offset + offset)
            return tar.read(count)

        return BufferedReader(RangedFile(read, self.size, tar.close))


def stored_samples(
    storage: Storage, name: str, wanted: Callable[[str, str], bool] = lambda key, extension: True
) -> Iterator[tuple[str, dict[str, Content]]]:
    """The samples of a shard where it is stored; see ``read_samples``.

    Of a sample of more than ``HELD`` bytes the rest is read when it is asked for: then, and only
    then, memory is flat however long the clip is.

    Raises:
        FileNotFoundError: it is gone.
        ValueError: as ``read_samples``.
    """
    with storage.open(name) as file:
        yield from read_samples(file, wanted, lambda: storage.open(name))


def read_samples(
    file: BinaryIO,
    wanted: Callable[[str, str], bool] = lambda key, extension: True,
    reopen: Callable[[], BinaryIO] | None = None,
) -> Iterator[tuple[str, dict[str, Content]]]:
    """(key, members by extension) of a shard, in order; keys split at the first dot.

    Members that are not ``wanted`` are passed over unread, samples without a wanted one left out.

    An archive cut at a member's header reads as if it ended there (tarfile's rule); its receipt's
    size and hash, and a sample's own json, tell.

    Args:
        reopen: opens the same archive again; without it all bytes of a sample are held.

    Raises:
        ValueError: the archive is torn inside a member, or a sample's members do not lie together.
    """
    seen: set[str] = set()
    current, held = "", 0
    members: dict[str, Content] = {}
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
                    current, members, held = key, {}, 0
                if not wanted(key, extension):
                    continue
                if not info.isfile() or extension in members:
                    raise ValueError(f"member {info.name} is no file, or stands twice")
                held += info.size
                if reopen is not None and held > HELD:
                    members[extension] = _Stored(reopen, info.offset_data, info.size)
                    continue
                stream = tar.extractfile(info)
                assert stream is not None
                members[extension] = stream.read()
    except tarfile.TarError as error:
        raise ValueError(f"not a whole tar: {error}") from error
    if members:
        yield current, members
