"""What is too much to hold: written to a file without a name, and read back from there.

In TMPDIR. Nothing is left behind, however the process ends: no folder ever names the file.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from io import BufferedReader
from typing import BinaryIO

from mav_pipeline.schema import Blob, Content, FileRef
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


class Spool:
    """A seekable file to write to; what is in it is read through ``blob``.

    Attributes:
        file: write to it; it is closed when nobody has the spool or a blob of it any more.
    """

    def __init__(self) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile(prefix="mav-spool-")  # noqa: SIM115
        weakref.finalize(self, self.file.close)

    def blob(self, start: int = 0) -> Blob:
        """The bytes from ``start`` to where the file ends now. Raises OSError: the disk is full."""
        self.file.flush()
        return _Part(self, start, self.file.seek(0, os.SEEK_END) - start)

    def add(self, data: bytes) -> Blob:
        """Appends ``data``, and gives it back to be read. Raises OSError: the disk is full."""
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
