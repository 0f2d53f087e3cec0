"""What is too much to hold: written to a file without a name, and read back from there.

In TMPDIR. Nothing is left behind, however the process ends: no folder ever names the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tempfile
import weakref
from io import BufferedReader
from typing import Any, BinaryIO

from mav_pipeline.schema import Blob, Content, FileRef
from mav_pipeline.schema.errors import WriteError
from mav_pipeline.storage.base import Storage, read_pieces, read_ref
from mav_pipeline.storage.ranged import RangedFile

#: Bytes of one input file that are held in memory; more are spooled. Most videos of SA-V are less.
HELD = 32 * 2**20


class _Part:
    """A ``Blob``: a range of a spool, which is kept while one of its parts is."""

    def __init__(self, spool: Spool, offset: int, size: int) -> None:
        self._spool, self._offset, self._size = spool, offset, size

    @property
    def size(self) -> int:
        return self._size

    def open(self) -> BinaryIO:
        def read(offset: int, count: int) -> bytes:
            return os.pread(self._spool.file.fileno(), count, self._offset + offset)

        return BufferedReader(RangedFile(read, self._size))


def _close(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):  # what is still to be flushed nobody wants any more
        file.close()


class _SpoolFile(io.FileIO):
    """Says whose disk it is that fails."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise WriteError(
                error.errno,
                f"TMPDIR={tempfile.gettempdir()} on {socket.gethostname()} cannot be written: "
                f"{error.strerror}; free room there, or set TMPDIR to another disk",
            ) from error


class Spool:
    """A seekable file to write to; what is in it is read through ``blob``.

    Attributes:
        file: write to it; it is closed when nobody has the spool or a blob of it any more.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="mav-spool-", buffering=0) as nameless:
            self.file: BinaryIO = io.BufferedRandom(_SpoolFile(os.dup(nameless.fileno()), "r+b"))
        weakref.finalize(self, _close, self.file)

    def blob(self, start: int = 0) -> Blob:
        """The bytes from ``start`` to where the file ends. Raises WriteError: the disk is full."""
        self.file.flush()
        return _Part(self, start, self.file.seek(0, os.SEEK_END) - start)

    def add(self, data: bytes) -> Blob:
        """Appends ``data``, and gives it back to be read. Raises WriteError: the disk is full."""
        start = self.file.seek(0, os.SEEK_END)
        self.file.write(data)
        return self.blob(start)


def fetch_ref(storage: Storage, ref: FileRef) -> Content:
    """As ``read_ref``, but what is large goes to disk, piece by piece."""
    if ref.size <= HELD:
        return read_ref(storage, ref)
    spool = Spool()
    for piece in read_pieces(storage, ref, HELD):
        spool.file.write(piece)
    return spool.blob()
