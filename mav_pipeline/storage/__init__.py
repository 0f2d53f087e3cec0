"""Where files lie: the one package that tells a folder from a bucket.

    base   what the pipeline asks of a place     local  a folder     s3  a prefix in a bucket

Knows nothing of what the files mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from mav_pipeline.errors import ConfigError, lacks
from mav_pipeline.storage.base import Changed, Storage, read_ref
from mav_pipeline.storage.local import LocalStorage
from mav_pipeline.storage.names import Entry, Upload, is_temporary, temporary_name
from mav_pipeline.storage.s3 import S3Storage

__all__ = [
    "Changed",
    "Entry",
    "LocalStorage",
    "S3Storage",
    "Storage",
    "Upload",
    "is_temporary",
    "open_storage",
    "read_many",
    "read_ref",
    "temporary_name",
]


def open_storage(root: str | None, key: str, endpoint_url: str | None) -> Storage:
    """The storage at ``root``; opens no file and asks no server.

    Args:
        root: a folder, or ``s3://bucket/prefix``.
        key: the setting that named it, for the message.
        endpoint_url: of an S3-compatible server; None is AWS.

    Raises:
        ConfigError: it is unset, or of a kind that is not supported.
    """
    if not root:
        raise ConfigError(f"{key} is not set; add {key}=/some/folder or {key}=s3://bucket/prefix")
    scheme, mark, rest = root.partition("://")
    if not mark:
        return LocalStorage(root)
    if scheme != "s3":
        raise ConfigError(f"{key}={root}: no storage for {scheme}://; use a folder or s3://")
    if not rest.split("/")[0]:
        raise ConfigError(f"{key}={root} names no bucket; write s3://bucket/prefix")
    try:
        return S3Storage(root, endpoint_url)
    except ImportError as error:
        raise lacks(f"{key}={root}", "s3") from error
    except ValueError as error:
        raise ConfigError(f"{key}={root}: storage.endpoint_url={endpoint_url}: {error}") from error


def read_many(storage: Storage, names: Iterable[str]) -> Iterator[bytes]:
    """The bytes of many small files, in their order. Raises as ``Storage.read``."""
    with ThreadPoolExecutor(storage.parallel, thread_name_prefix="mav-read") as pool:
        yield from pool.map(storage.read, names)
