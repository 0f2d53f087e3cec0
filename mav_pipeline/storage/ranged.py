"""A file that is read by ranges, as a seekable stream."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class RangedFile(io.RawIOBase):
    """``size`` bytes behind ``read(offset, count)``; wrap it in a BufferedReader to read ahead.

    Args:
        end: called when the stream is closed.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        end: Callable[[], None] | None = None,
    ) -> None:
        self._read, self._size, self._at, self._end = read, size, 0, end

    def close(self) -> None:
        if not self.closed and self._end is not None:
            self._end()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readall(self) -> bytes:
        """The rest, in one read: the default would ask for 8 KB at a time."""
        count = max(0, self._size - self._at)
        data = self._read(self._at, count) if count else b""
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        data = self._read(self._at, count) if count > 0 else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
