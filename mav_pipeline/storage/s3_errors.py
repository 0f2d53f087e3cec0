"""What the S3 library raises, as the OSErrors that the pipeline knows; and when to ask again."""

from __future__ import annotations

import contextlib
import errno
import random
import time
from collections.abc import Iterator
from typing import Any

from mav_pipeline.schema.errors import ChangedError

ATTEMPTS = 6  # of a request, by botocore, and of a body that breaks off, by us
_GONE = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
_OTHER_VERSION = ("412", "PreconditionFailed")
_RACE = ("409", "ConditionalRequestConflict")  # S3 asks to try again
_DENIED = ("403", "AccessDenied")


def attempts() -> Iterator[int]:
    """Counts down to 0, waiting ever longer, with jitter, before each attempt but the first."""
    for number in range(ATTEMPTS):
        if number:
            time.sleep(min(5.0, 0.1 * 2**number) * random.random())  # noqa: S311 no secret
        yield ATTEMPTS - 1 - number


@contextlib.contextmanager
def as_os_errors(what: str, *, retry: bool) -> Iterator[None]:
    """Turns the library's errors into OSErrors that name ``what``.

    botocore has retried requests by then, but not the reading of a body that broke off, nor a
    conditional write that met another: with ``retry`` these end the block without an error.

    Raises:
        FileNotFoundError, PermissionError, ChangedError: the server says so.
        OSError: EIO, for all else.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    try:
        yield
    except ClientError as error:
        code, text = error_code(error), f"{what}: {error}"
        if code in _RACE and retry:
            return
        if code in _GONE:
            raise FileNotFoundError(errno.ENOENT, f"{what}: no such object") from error
        if code in _OTHER_VERSION:
            raise ChangedError(errno.ESTALE, text) from error
        raise OSError(errno.EACCES if code in _DENIED else errno.EIO, text) from error
    except (BotoCoreError, Boto3Error) as error:
        broke_off = isinstance(
            error, IncompleteReadError | ReadTimeoutError | ResponseStreamingError
        )
        if not (broke_off and retry):
            raise OSError(errno.EIO, f"{what}: {error}") from error


def error_code(error: Any) -> str:
    """S3's code of a ClientError, or the HTTP status of an answer without a body."""
    return str(error.response.get("Error", {}).get("Code"))
