"""A prefix in a bucket of S3 or of a server that speaks its protocol.

Objects appear whole by themselves. What is written once goes by ``IfNoneMatch`` and ``IfMatch``,
and an answer that was lost is told from a race by reading back. Credentials come from the standard
AWS chain alone and stand in no message.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import logging
import mimetypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from mav_pipeline.schema import Content
from mav_pipeline.schema.errors import ChangedError, OutputError
from mav_pipeline.storage.names import Entry, NoFile, Upload, temporary_name
from mav_pipeline.storage.outage import is_refusal
from mav_pipeline.storage.ranged import RangedFile
from mav_pipeline.storage.s3_errors import ATTEMPTS, as_os_errors, attempts, error_code
from mav_pipeline.storage.s3_probe import probe
from mav_pipeline.storage.scratch import scratch_folder

_log = logging.getLogger(__name__)

_PARALLEL = 32
_BLOCK = 8 << 20  # bytes a read of a stream, and a part of an upload


class S3Storage:
    """See ``Storage``; construction asks no server.

    Args:
        uri: ``s3://bucket/prefix``.
        endpoint_url: of an S3-compatible server; None is AWS.
        besides: another such uri, for which ``inputs`` does not look.
        checksums: sent with requests; None is boto3's default and what the environment says.

    Raises:
        ImportError: boto3 or stamina is not installed.
        ValueError: the endpoint is no URL.
    """

    parallel = _PARALLEL
    holds_temporaries = False

    def __init__(
        self,
        uri: str,
        endpoint_url: str | None,
        *,
        besides: str | None = None,
        checksums: Literal["when_supported", "when_required"] | None = None,
    ) -> None:
        import boto3
        import botocore.session
        from botocore.config import Config
        from stamina.instrumentation import set_on_retry_hooks

        self.uri, self._endpoint_url = uri.rstrip("/"), endpoint_url
        self._besides = f"{besides.rstrip('/')}/" if besides else None
        self._bucket, _, prefix = self.uri.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        config = Config(
            retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
            max_pool_connections=_PARALLEL,
            connect_timeout=10,
            read_timeout=60,
            request_checksum_calculation=checksums,
        )
        core = botocore.session.get_session()  # its own: boto3's default keeps old credentials
        # Half the time of a listing goes into dates, which nobody reads here.
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
        session = boto3.Session(botocore_session=core)
        set_on_retry_hooks(())  # nothing is logged of a retry, as nothing is of botocore's
        self._client: Any = session.client("s3", endpoint_url=endpoint_url, config=config)

    def __repr__(self) -> str:
        return self.uri

    # reading

    def entries(self, folder: str = "") -> Iterator[Entry]:
        yield from self.listed(f"{folder}/" if folder else "")

    def listed(self, beginning: str) -> Iterator[Entry]:
        """All objects whose name begins so."""
        prefix = self._prefix + beginning
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        with self._errors(beginning or "."):
            for page in pages:
                for found in page.get("Contents", ()):
                    name = found["Key"].removeprefix(self._prefix)
                    if not name.endswith("/"):  # the console's marker of an empty folder
                        yield Entry(name, found["Size"], found["ETag"].strip('"'))

    def inputs(self) -> Iterator[Entry | NoFile]:
        for entry in self.entries():
            if self._besides is None or not f"{self.uri}/{entry.name}".startswith(self._besides):
                yield entry

    def exists(self, name: str) -> bool:
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        try:
            return int(self._head(name)["ContentLength"])
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        return self._read(name)[0]

    def open(self, name: str) -> io.BufferedReader:
        head = self._head(name)
        get = functools.partial(self._get, name, version=head["ETag"].strip('"'))
        return io.BufferedReader(RangedFile(get, head["ContentLength"]), _BLOCK)

    def read_range(self, name: str, offset: int, count: int, version: str) -> bytes:
        if count == 0:  # HTTP knows no empty range
            if self._head(name)["ETag"].strip('"') != version:
                raise ChangedError(errno.ESTALE, f"{self.uri}/{name}: another version")
            return b""
        return self._get(name, offset, count, version)

    def download(self, name: str, size: int, path: Path) -> None:
        """Fetches an object of ``size`` bytes to ``path``, going on where an earlier try broke off.

        What has come so far stays in ``<path>.part``.
        """
        part = path.with_name(f"{path.name}.part")
        with part.open("ab") as file:
            if file.tell() > size:
                file.truncate(0)
            while file.tell() < size:
                file.write(self._get(name, file.tell(), _BLOCK, None))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    # writing

    def temporary(self, name: str) -> Path:
        return scratch_folder() / temporary_name(name.rpartition("/")[2])

    def publish(self, file: io.BufferedReader, name: str) -> None:
        if self.size(name) == os.fstat(file.fileno()).st_size:
            return
        with self._errors(name):
            self._client.upload_file(file.name, self._bucket, self._key(name), Config=_in_parts())

    def create(self, name: str, data: bytes) -> bool:
        return self.put_if(name, data, IfNoneMatch="*")

    def swap(self, name: str, old: bytes, new: bytes) -> bool:
        try:
            held, etag = self._read(name)
            return held == old and self.put_if(name, new, IfMatch=etag)
        except FileNotFoundError:
            return False

    def put(self, name: str, data: Content) -> None:
        # A browser opens a page by its type, and saves what has none.
        kind = {"ContentType": mimetypes.guess_type(name)[0] or "application/octet-stream"}
        place = {"Bucket": self._bucket, "Key": self._key(name)}
        with self._errors(name):
            if isinstance(data, bytes):
                self._client.put_object(**place, Body=data, **kind)
                return
            with data.open() as stream:
                self._client.upload_fileobj(stream, **place, ExtraArgs=kind, Config=_in_parts())

    def delete(self, name: str) -> None:
        with self._errors(name), contextlib.suppress(FileNotFoundError):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def uploads(self) -> Sequence[Upload]:
        """Where the server does not list them, none, with a warning."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        try:
            with self._errors("."):
                found = [entry for page in pages for entry in page.get("Uploads", ())]
        except OSError as error:
            if not is_refusal(error) and error.errno != errno.ENOTSUP:
                raise
            _log.warning(
                "%s: unfinished uploads cannot be listed, so what killed ones leave stays until a "
                "lifecycle rule of the bucket removes it; the right is "
                "s3:ListBucketMultipartUploads (%s)",
                *(self, error.strerror),
            )
            return ()
        return [Upload(e["Key"].removeprefix(self._prefix), e["UploadId"]) for e in found]

    def abort(self, upload: Upload) -> None:
        where = {"Bucket": self._bucket, "Key": self._key(upload.name), "UploadId": upload.id}
        try:
            with self._errors(upload.name):
                self._client.abort_multipart_upload(**where)
        except FileNotFoundError:
            return

    def probe(self) -> None:
        try:
            probe(self)
        except OSError as error:
            raise OutputError(f"output.root={self} fails: {error.strerror}") from error

    def without_checksums(self) -> S3Storage:
        """The same, with no checksums sent but where the server must have them."""
        return S3Storage(self.uri, self._endpoint_url, checksums="when_required")

    # requests

    def _errors(self, name: str) -> contextlib.AbstractContextManager[None]:
        return as_os_errors(f"{self.uri}/{name}")

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _head(self, name: str) -> dict[str, Any]:
        with self._errors(name):
            return dict(self._client.head_object(Bucket=self._bucket, Key=self._key(name)))

    def _read(self, name: str) -> tuple[bytes, str]:
        """A whole small object and its etag."""
        for attempt in attempts():
            with attempt, self._errors(name), self._object(name) as answer:
                return answer["Body"].read(), answer["ETag"]
        raise AssertionError

    def _get(self, name: str, offset: int, count: int, version: str | None) -> bytes:
        """Up to ``count`` bytes from ``offset`` on; goes on where a body breaks off."""
        data = bytearray()
        for attempt in attempts():
            wanted: dict[str, Any] = {
                "Range": f"bytes={offset + len(data)}-{offset + count - 1}",
                **({"IfMatch": f'"{version}"'} if version else {}),
            }
            with attempt, self._errors(name), self._object(name, **wanted) as answer:
                if answer is not None:  # else nothing is there: past the end
                    for block in answer["Body"].iter_chunks(1 << 18):
                        data += block
        return bytes(data)

    @contextlib.contextmanager
    def _object(self, name: str, **wanted: Any) -> Iterator[Any]:
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(name), **wanted)
        except ClientError as error:
            if error_code(error) not in ("416", "InvalidRange"):
                raise
            yield None
            return
        try:
            yield answer
        finally:
            answer["Body"].close()

    def put_if(self, name: str, data: bytes, **condition: str) -> bool:
        """A conditional put; what a refused one finds there may be its own, the answer lost."""
        try:
            for attempt in attempts():
                with attempt, self._errors(name):
                    self._client.put_object(
                        Bucket=self._bucket, Key=self._key(name), Body=data, **condition
                    )
        except ChangedError:
            return self._holds(name, data)
        return True

    def _holds(self, name: str, data: bytes) -> bool:
        try:
            return self.read(name) == data
        except FileNotFoundError:
            return False


def _in_parts() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=2 * _BLOCK, multipart_chunksize=_BLOCK)
