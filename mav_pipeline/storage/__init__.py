"""Where files lie: the one package that tells a folder from a bucket.

    base   what the pipeline asks of a place     local  a folder     s3  a prefix in a bucket

Knows nothing of what the files mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from mav_pipeline.storage.base import Storage, read_ref
from mav_pipeline.storage.local import LocalStorage
from mav_pipeline.storage.location import open_output, open_storage
from mav_pipeline.storage.names import Entry, NoFile, Upload, is_temporary, temporary_name
from mav_pipeline.storage.outage import Output
from mav_pipeline.storage.s3 import S3Storage
from mav_pipeline.storage.spool import Spool, fetch_ref

__all__ = [
    "Entry",
    "LocalStorage",
    "NoFile",
    "Output",
    "S3Storage",
    "Spool",
    "Storage",
    "Upload",
    "fetch_ref",
    "is_temporary",
    "open_output",
    "open_storage",
    "read_many",
    "read_ref",
    "temporary_name",
]


def read_many(storage: Storage, names: Iterable[str]) -> Iterator[bytes]:
    """The bytes of many small files, in their order. Raises as ``Storage.read``."""
    with ThreadPoolExecutor(storage.parallel, thread_name_prefix="mav-read") as pool:
        yield from pool.map(storage.read, names)
