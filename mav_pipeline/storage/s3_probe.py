"""What a bucket must be able to do before a set is written there, asked of it one by one.

    put -> IfNoneMatch -> IfMatch -> HEAD -> listed under its name -> unfinished uploads

Whoever refuses one of these is told which, and what helps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage.base import Storage
from mav_pipeline.storage.names import Entry, temporary_name
from mav_pipeline.storage.outage import is_refusal

_TWO_WINNERS = (
    "so two builders could both publish a shard; use AWS, or a server that keeps conditional writes"
)
_NO_ETAG = '"00000000000000000000000000000000"'


class Bucket(Storage, Protocol):
    """What is asked of a bucket beside what every place can do."""

    def listed(self, beginning: str) -> Iterator[Entry]: ...

    def put_if(self, name: str, data: bytes, **condition: str) -> bool: ...

    def without_checksums(self) -> Bucket: ...


def probe(bucket: Bucket) -> None:
    """Writes an object, tries everything with it, and removes it.

    Raises:
        OutputError: it cannot be written, or would let two builders both win.
        OSError: it failed.
    """
    name = temporary_name("probe")
    _put(bucket, name)
    try:
        bucket.delete(name)
        with _asked(bucket, "a conditional write (IfNoneMatch)", _TWO_WINNERS):
            if not bucket.create(name, b"1") or bucket.create(name, b"2"):
                _refuse(bucket, f"overwrites an object in spite of IfNoneMatch, {_TWO_WINNERS}")
        with _asked(bucket, "a conditional write (IfMatch)", _TWO_WINNERS):
            if bucket.swap(name, b"2", b"3") or not bucket.swap(name, b"1", b"3"):
                _refuse(bucket, f"does not swap an object, {_TWO_WINNERS}")
            if bucket.put_if(name, b"4", IfMatch=_NO_ETAG):
                _refuse(bucket, f"overwrites an object in spite of IfMatch, {_TWO_WINNERS}")
        with _asked(bucket, "HEAD of an object", "which s3:GetObject grants"):
            bucket.size(name)
        with _asked(bucket, "HEAD of what is not there", "which s3:ListBucket grants"):
            bucket.size(temporary_name("probe"))
        if name not in [entry.name for entry in bucket.listed(name)]:
            raise OutputError(
                f"output.root={bucket!r}: what is written there is not listed under that name, so "
                "the server stores it under another key; write the prefix without // . or .."
            )
        bucket.uploads()  # says itself where it must do without
    finally:
        bucket.delete(name)


def _put(bucket: Bucket, name: str) -> None:
    try:
        bucket.put(name, b"")
    except OSError as error:
        if not is_refusal(error) and _works(lambda: bucket.without_checksums().put(name, b"")):
            bucket.without_checksums().delete(name)
            raise OutputError(
                f"output.root={bucket!r}: the server does not take the checksums (CRC32) that "
                "boto3 sends by default; set AWS_REQUEST_CHECKSUM_CALCULATION=when_required in the "
                f"environment of driver and workers ({error.strerror})"
            ) from error
        raise OutputError(
            f"output.root={bucket!r} must be a bucket that can be written: {error.strerror}; see "
            "storage.endpoint_url and the credentials"
        ) from error


def _works(request: Callable[[], object]) -> bool:
    try:
        request()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _asked(bucket: Bucket, what: str, why: str) -> Iterator[None]:
    """Names what was asked where the server does not do it, though it takes writes."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"output.root={bucket!r} can be written, but the server refuses {what}, {why} "
            f"({error.strerror})"
        ) from error


def _refuse(bucket: Bucket, what: str) -> None:
    raise OutputError(f"output.root={bucket!r}: the server {what}")
