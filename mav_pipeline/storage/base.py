"""What the pipeline asks of a place where files lie, be it a folder or a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from mav_pipeline.schema import Content, FileRef
from mav_pipeline.schema.errors import ChangedError, InputError
from mav_pipeline.storage.names import Entry, NoFile, Upload


class Storage(Protocol):
    """Files by names relative to a root, with ``/``. Whatever appears, appears whole.

    Every method raises OSError where the place fails or refuses; such an error may pass.
    """

    #: Requests worth having under way at once.
    parallel: int
    #: Whether ``temporary`` gives paths in the place itself, rather than in TMPDIR.
    holds_temporaries: bool

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """All files below ``folder``; the same order each time."""
        ...

    def inputs(self) -> Iterator[Entry | NoFile]:
        """All files below the root, and what is no file; the same order each time.

        Follows links, to folders too; each folder is gone through once. For reading only: what
        writes here keeps to ``entries``, which no link leads out of the root.
        """
        ...

    def exists(self, name: str) -> bool: ...

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where there is none."""
        ...

    def read(self, name: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        ...

    def open(self, name: str) -> BufferedReader:
        """A file as a seekable stream. Raises FileNotFoundError."""
        ...

    def read_range(self, name: str, offset: int, count: int, version: str) -> bytes:
        """Up to ``count`` bytes from ``offset``, fewer at the end of the file.

        Raises:
            FileNotFoundError: it is gone.
            ChangedError: it is another version.
        """
        ...

    def temporary(self, name: str) -> Path:
        """A local path to write what shall be published as ``name``."""
        ...

    def publish(self, file: BufferedReader, name: str) -> None:
        """Makes a finished local file appear as ``name``; it stays where it is, too.

        ``name`` is taken to describe the content: where the same lies there already (on S3: of the
        same size), nothing is done, and what is damaged is replaced. An open file it is because
        another builder's sweep may take its path for a dead builder's.
        """
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Creates ``name`` whole unless it exists; False where somebody else was first."""
        ...

    def swap(self, name: str, old: bytes, new: bytes) -> bool:
        """Replaces a file that still holds ``old``; False where it holds something else by now."""
        ...

    def put(self, name: str, data: Content) -> None:
        """Creates or replaces ``name`` whole; what is no ``bytes`` goes there piece by piece."""
        ...

    def delete(self, name: str) -> None:
        """Removes a file; one that is gone already is fine."""
        ...

    def uploads(self) -> Sequence[Upload]:
        """Uploads that were begun and never finished; a builder at work has some too."""
        ...

    def abort(self, upload: Upload) -> None:
        """Removes an unfinished upload; one that is gone already is fine."""
        ...

    def probe(self) -> None:
        """Checks that this place can keep our promises: whole files, created and swapped once.

        Raises:
            OutputError: it cannot be written, or would let two builders both win.
        """
        ...


def read_ref(storage: Storage, ref: FileRef) -> bytes:
    """The bytes of an input file, if it is still the one that was planned.

    Raises:
        InputError: it is gone, unreadable, shorter, or another version.
        OSError: the storage failed; may pass.
    """
    return b"".join(read_pieces(storage, ref, ref.size))


def read_pieces(storage: Storage, ref: FileRef, most: int) -> Iterator[bytes]:
    """As ``read_ref``, in pieces of ``most`` bytes."""

    def wrong(reason: str, cause: str) -> InputError:
        return InputError(reason, f"{ref.label} {cause}", role=ref.role, stage="read")

    for done in range(0, max(ref.size, 1), max(most, 1)):
        count = min(most, ref.size - done)
        try:
            data = storage.read_range(ref.uri, ref.offset + done, count, ref.version)
        except ChangedError as error:
            raise wrong("changed", "changed since the plan was made") from error
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise wrong("missing", "is gone since the plan was made") from error
        except PermissionError as error:
            raise wrong("unreadable", "may not be read") from error
        if len(data) != count:
            raise wrong("truncated", f"ends after {done + len(data)} of {ref.size} bytes")
        yield data
