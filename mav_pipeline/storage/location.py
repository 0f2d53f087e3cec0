"""From a location in the configuration to the storage there: a folder, or a prefix in a bucket."""

from __future__ import annotations

from mav_pipeline.config import RunConfig
from mav_pipeline.schema.errors import ConfigError, lacks
from mav_pipeline.storage.base import Storage
from mav_pipeline.storage.local import LocalStorage
from mav_pipeline.storage.s3 import S3Storage


def open_output(config: RunConfig) -> Storage:
    """The storage that receives the set. Raises ConfigError."""
    return open_storage(config.output.root, "output.root", config.storage.endpoint_url)


def open_storage(
    root: str | None, key: str, endpoint_url: str | None, *, besides: str | None = None
) -> Storage:
    """The storage at ``root``; opens no file and asks no server.

    Args:
        root: a folder, or ``s3://bucket/prefix``.
        key: the setting that named it, for the message.
        endpoint_url: of an S3-compatible server; None is AWS.
        besides: a location that is not listed among the inputs there, if it lies below.

    Raises:
        ConfigError: it is unset, or of a kind that is not supported.
    """
    if not root:
        raise ConfigError(f"{key} is not set; add {key}=/some/folder or {key}=s3://bucket/prefix")
    scheme, mark, rest = root.partition("://")
    if not mark:
        return LocalStorage(root, besides if besides and "://" not in besides else None)
    if scheme != "s3":
        raise ConfigError(f"{key}={root}: no storage for {scheme}://; use a folder or s3://")
    if not rest.split("/")[0]:
        raise ConfigError(f"{key}={root} names no bucket; write s3://bucket/prefix")
    try:
        return S3Storage(root, endpoint_url, besides=besides)
    except ImportError as error:
        raise lacks(f"{key}={root}", "s3") from error
    except ValueError as error:
        raise ConfigError(f"{key}={root}: storage.endpoint_url={endpoint_url}: {error}") from error
