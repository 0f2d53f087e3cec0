"""What the S3 library raises, as the OSErrors that the pipeline knows; and when to ask again."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mav_pipeline.schema.errors import ChangedError, PassingError, RefusedError

if TYPE_CHECKING:
    from stamina import Attempt

ATTEMPTS = 6  # of a request, by botocore, and of what it does not retry, by us
_PATIENCE_S = 600.0  # for all attempts; a body that stalls takes a minute to break off
_GONE = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
_OTHER_VERSION = ("412", "PreconditionFailed")
_RACE = ("409", "ConditionalRequestConflict")  # S3 asks to try again
_DENIED = ("403", "AccessDenied")
#: The bucket is not there, or the credentials are not (any more) good for anything.
_REFUSED = (
    *("NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"),
    *("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AccountProblem"),
)


def attempts() -> Iterable[Attempt]:
    """Contexts that are entered in turn until one ends without a PassingError.

    The last one's is raised. There are longer and longer waits between them, with jitter.
    """
    import stamina

    return stamina.retry_context(on=PassingError, attempts=ATTEMPTS, timeout=_PATIENCE_S)


@contextlib.contextmanager
def as_os_errors(what: str) -> Iterator[None]:
    """Turns the library's errors into OSErrors that name ``what``.

    Raises:
        FileNotFoundError, PermissionError, ChangedError: the server says so.
        RefusedError: the bucket is not there, or the credentials are nobody's.
        PassingError: botocore has not retried it, and another attempt may do.
        OSError: EIO, for all else.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        IncompleteReadError,
        NoCredentialsError,
        PartialCredentialsError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    try:
        yield
    except ClientError as error:
        raise _of_answer(error, what) from error
    except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError) as error:
        raise PassingError(errno.EIO, f"{what}: {error}") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise RefusedError(errno.EIO, f"{what}: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        if isinstance(error.__context__, ClientError):  # boto3's own of an upload hides it
            raise _of_answer(error.__context__, what) from error
        raise OSError(errno.EIO, f"{what}: {error}") from error


def _of_answer(error: Any, what: str) -> OSError:
    """The OSError for a ClientError, which is what a server answers."""
    code, text = error_code(error), f"{what}: {error}"
    if code in _RACE:
        return PassingError(errno.EIO, text)
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, f"{what}: no such object")
    if code in _OTHER_VERSION:
        return ChangedError(errno.ESTALE, text)
    if code in _DENIED:
        return PermissionError(errno.EACCES, text)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _REFUSED or status == 403:
        return RefusedError(errno.EIO, text)
    if code == "NotImplemented" or status == 501:
        return OSError(errno.ENOTSUP, text)
    return OSError(errno.EIO, text)


def error_code(error: Any) -> str:
    """S3's code of a ClientError, or the HTTP status of an answer without a body."""
    return str(error.response.get("Error", {}).get("Code"))
