"""A folder: files appear under their final name whole and synced, or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

from mav_pipeline.schema import Content, open_content
from mav_pipeline.schema.errors import ChangedError, OutputError
from mav_pipeline.storage.names import Entry, NoFile, Upload, temporary_name
from mav_pipeline.storage.walk import walk

_PLACE_ATTEMPTS = 3


class LocalStorage:
    """See ``Storage``.

    Args:
        besides: a folder into which ``inputs`` does not look.
    """

    parallel = 4
    holds_temporaries = True

    def __init__(self, root: str | Path, besides: str | Path | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        self._besides = None if besides is None else Path(besides).expanduser().absolute()

    def __repr__(self) -> str:
        return str(self.root)

    # reading

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """All files below ``folder``, depth first in name order; follows no links to folders.

        Raises:
            OSError: the folder cannot be listed.
        """
        with os.scandir(self.root / folder) as scan:
            found = sorted(scan, key=lambda entry: entry.name)
        prefix = f"{folder}/" if folder else ""
        for entry in found:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self.entries(name)
            else:
                with contextlib.suppress(
                    FileNotFoundError
                ):  # gone since the listing, or a dangling link
                    stat = entry.stat()
                    yield Entry(name, stat.st_size, str(stat.st_mtime_ns))

    def inputs(self) -> Iterator[Entry | NoFile]:
        return walk(self.root, self._besides)

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where there is none."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, name: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        return (self.root / name).read_bytes()

    def open(self, name: str) -> BufferedReader:
        """A file as a seekable stream. Raises FileNotFoundError."""
        return (self.root / name).open("rb")

    def read_range(self, name: str, offset: int, count: int, version: str) -> bytes:
        with self.open(name) as file:
            if str(os.fstat(file.fileno()).st_mtime_ns) != version:
                raise ChangedError(errno.ESTALE, "another version", name)
            file.seek(offset)
            return file.read(count)

    # writing

    def temporary(self, name: str) -> Path:
        """A path to write what shall be published as ``name``: same folder, a name of our form."""
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        return final.parent / temporary_name(final.name)

    def publish(self, file: BufferedReader, name: str) -> None:
        os.fsync(file.fileno())
        try:
            try:
                os.link(Path(file.name), self.root / name)
            except FileNotFoundError:  # another builder's sweep took it for a dead one's
                self._place(name, file, os.link)
        except FileExistsError:
            if not self._holds(name, file):
                self._place(name, file, os.replace)
        _sync_folder((self.root / name).parent)

    def _holds(self, name: str, file: BufferedReader) -> bool:
        """Whether ``name`` is what ``file`` holds."""
        file.seek(0)
        try:
            with self.open(name) as there:
                digests = [hashlib.file_digest(one, "sha256").digest() for one in (there, file)]
        except FileNotFoundError:  # swept just now
            return False
        return digests[0] == digests[1]

    def create(self, name: str, data: bytes) -> bool:
        try:
            self._place(name, BytesIO(data), os.link)
        except FileExistsError:
            return False
        return True

    def swap(self, name: str, old: bytes, new: bytes) -> bool:
        path = self.root / name
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            # Who swaps holds the lock of the file that lies there: the next one that gets the lock
            # finds that another file does.
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                is_there = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                is_there = False
            if not is_there or file.read() != old:
                return False
            self._place(name, BytesIO(new), os.replace)
            return True

    def put(self, name: str, data: Content) -> None:
        """Creates or replaces ``name`` whole."""
        with open_content(data) as stream:
            self._place(name, stream, os.replace)

    def delete(self, name: str) -> None:
        """Removes a file; one that is gone already is fine."""
        (self.root / name).unlink(missing_ok=True)

    def uploads(self) -> Sequence[Upload]:
        return ()

    def abort(self, upload: Upload) -> None:
        raise AssertionError("a folder has no uploads")

    def probe(self) -> None:
        """Checks that this folder can keep our promises: whole files, created once.

        Raises:
            OutputError: it cannot be written, or its file system has no hard links.
        """
        name = temporary_name("probe")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                if not self.create(name, b"") or self.create(name, b""):
                    raise OutputError(
                        f"output.root={self} lies on a file system whose hard links overwrite, so "
                        "receipts could be written twice; choose another file system"
                    )
            finally:
                self.delete(name)
        except OSError as error:
            what = os.strerror(error.errno or errno.EIO)
            raise OutputError(
                f"output.root={self} must be a writable folder with hard links: {what}"
            ) from error

    def _place(self, name: str, data: BinaryIO, place: Callable[[Path, Path], None]) -> None:
        for attempt in range(_PLACE_ATTEMPTS):
            path = self.temporary(name)
            try:
                data.seek(0)
                with path.open("xb") as file:
                    shutil.copyfileobj(data, file)
                    file.flush()
                    os.fsync(file.fileno())
                place(path, self.root / name)
            except FileNotFoundError:  # another builder's sweep took it for a dead one's
                if attempt == _PLACE_ATTEMPTS - 1:
                    raise
            else:
                break
            finally:
                path.unlink(missing_ok=True)
        _sync_folder((self.root / name).parent)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
