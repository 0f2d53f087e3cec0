"""Where files lie: the one module that knows how a file is read, appears whole, or is created once.

Knows nothing of what the files mean. Names are relative to the root, with ``/``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from mav_pipeline.errors import ConfigError, InputError, OutputError
from mav_pipeline.schema import FileRef

_PLACE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a root: relative name, bytes, and what changes when it does (mtime in ns)."""

    name: str
    size: int
    version: str


class LocalStorage:
    """A folder. Files appear under their final name whole and synced, or not at all."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()

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

    def read_ref(self, ref: FileRef) -> bytes:
        """The bytes of an input file, if it is still the one that was planned.

        Raises:
            InputError: it is gone, unreadable, shorter, or another version.
            OSError: the disk failed; may pass.
        """
        try:
            with self.open(ref.uri) as file:
                if str(os.fstat(file.fileno()).st_mtime_ns) != ref.version:
                    raise _input("changed", f"{ref.uri} changed since the plan was made", ref)
                file.seek(ref.offset)
                data = file.read(ref.size)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise _input("missing", f"{ref.uri} is gone since the plan was made", ref) from error
        except PermissionError as error:
            raise _input("unreadable", f"{ref.uri} may not be read", ref) from error
        if len(data) != ref.size:
            raise _input("truncated", f"{ref.uri} ends after {len(data)} of {ref.size} bytes", ref)
        return data

    # writing

    def temporary(self, name: str) -> Path:
        """A path to write what shall be published as ``name``: same folder, a name of our form."""
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        return final.parent / temporary_name(final.name)

    def publish(self, path: Path, name: str) -> None:
        """Makes the finished file at ``path`` appear as ``name``; ``path`` itself stays.

        ``name`` is taken to describe the content: where it exists already, nothing is done.
        """
        with path.open("rb") as file:
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(path, self.root / name)
        _sync_folder((self.root / name).parent)

    def create(self, name: str, data: bytes) -> bool:
        """Creates ``name`` whole unless it exists; False where somebody else was first."""
        try:
            self._place(name, data, os.link)
        except FileExistsError:
            return False
        return True

    def put(self, name: str, data: bytes) -> None:
        """Creates or replaces ``name`` whole."""
        self._place(name, data, os.replace)

    def delete(self, name: str) -> None:
        """Removes a file; one that is gone already is fine."""
        (self.root / name).unlink(missing_ok=True)

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

    def _place(self, name: str, data: bytes, place: Callable[[Path, Path], None]) -> None:
        for attempt in range(_PLACE_ATTEMPTS):
            path = self.temporary(name)
            try:
                with path.open("xb") as file:
                    file.write(data)
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


class S3Folder:
    """A prefix in a bucket, to read from. Credentials come from the standard AWS chain alone.

    Args:
        uri: ``s3://bucket/prefix``.
        endpoint_url: of an S3-compatible server; None is AWS.
    """

    def __init__(self, uri: str, endpoint_url: str | None) -> None:
        import boto3
        from botocore.config import Config

        self.uri = uri.rstrip("/")
        self._bucket, _, self._prefix = self.uri.removeprefix("s3://").partition("/")
        retries = Config(retries={"mode": "adaptive", "max_attempts": 8})
        session = boto3.Session()  # its own: the default one keeps the first credentials it saw
        self._client: Any = session.client("s3", endpoint_url=endpoint_url, config=retries)

    def names(self, folder: str) -> dict[str, int]:
        """Bytes of each object below ``folder``, by name relative to it.

        Raises:
            OSError: the server cannot be reached, or refuses.
        """
        prefix = f"{self._prefix}/{folder}/".lstrip("/")
        with self._errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return {
                entry["Key"].removeprefix(prefix): entry["Size"]
                for page in pages
                for entry in page.get("Contents", ())
            }

    def download(self, name: str, size: int, path: Path) -> None:
        """Fetches an object of ``size`` bytes to ``path``, going on where an earlier try broke off.

        Raises:
            OSError: the server failed; what has come so far stays in ``<path>.part``.
        """
        part = path.with_name(f"{path.name}.part")
        with part.open("ab") as file, self._errors():
            if file.tell() > size:
                file.truncate(0)
            if file.tell() < size:
                key, start = f"{self._prefix}/{name}".lstrip("/"), file.tell()
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=key, Range=f"bytes={start}-"
                )
                for block in answer["Body"].iter_chunks(1 << 20):
                    file.write(block)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise OSError(errno.EIO, f"{self.uri}: {error}") from error


def open_storage(root: str | None, key: str) -> LocalStorage:
    """The storage at ``root``.

    Args:
        key: the setting that named it, for the message.

    Raises:
        ConfigError: it is unset, or of a kind that is not supported.
    """
    if not root:
        raise ConfigError(f"{key} is not set; add {key}=/some/folder")
    if "://" in root:
        scheme = root.split("://", 1)[0]
        raise ConfigError(f"{key}={root}: no storage for {scheme}://; use a folder")
    return LocalStorage(root)


def temporary_name(name: str) -> str:
    """``mav-000001.tar`` -> ``.mav-000001.tar.<32 hex digits>.tmp``."""
    return f".{name}.{uuid.uuid4().hex}.tmp"


def is_temporary(name: str) -> bool:
    """Whether the last part of ``name`` is of the form that ``temporary_name`` gives."""
    last = name.rsplit("/", 1)[-1]
    parts = last.rsplit(".", 2)
    return (
        last.startswith(".")
        and len(parts) == 3
        and parts[2] == "tmp"
        and len(parts[1]) == 32
        and set(parts[1]) <= set("0123456789abcdef")
    )


def _input(reason: str, cause: str, ref: FileRef) -> InputError:
    return InputError(reason, cause, role=ref.role, stage="read")


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
