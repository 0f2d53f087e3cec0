"""Bytes that may be too many to hold: in memory, or somewhere from where they can be read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import BinaryIO, Protocol


class Blob(Protocol):
    """Immutable bytes that lie elsewhere: spooled to disk, or a member of a stored shard.

    May be read by several threads at once, each by a stream of its own.
    """

    @property
    def size(self) -> int:
        """How many."""
        ...

    def open(self) -> BinaryIO:
        """A seekable stream of them, from their first on. Raises OSError."""
        ...


Content = bytes | Blob
#: The files of a sample, by extension.
Members = Mapping[str, Content]


def open_content(content: Content) -> BinaryIO:
    """A seekable stream of the bytes, from their first on. Raises OSError."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open()


def read_content(content: Content) -> bytes:
    """All of the bytes, in memory. Raises OSError."""
    if isinstance(content, bytes):
        return content
    with content.open() as stream:
        return stream.read()


def size_of(content: Content) -> int:
    """How many bytes there are."""
    return len(content) if isinstance(content, bytes) else content.size
