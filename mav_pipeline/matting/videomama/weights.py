"""Where a model's weights lie, and what they are: one local folder with a config and safetensors.

    folder | s3://bucket/prefix | hub id  ->  local folder  ->  checked config, sha256

What comes from afar is fetched once a node, under a lock; a download that broke off goes on.

Never a pickle: only ``config.json`` and ``*.safetensors`` are looked at.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mav_pipeline.matting.hub import is_hub_id, snapshot
from mav_pipeline.schema.errors import ConfigError, lacks
from mav_pipeline.storage import S3Storage

_NAMES = ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors")


@dataclass(frozen=True, slots=True)
class Part:
    """One sub-model on the local disk.

    Attributes:
        folder: holds ``config.json`` and ``file``.
        file: the safetensors file to load; the half-precision one where there is one.
        variant: diffusers' name of it: ``fp16`` or None.
    """

    folder: Path
    file: Path
    variant: str | None

    def config(self) -> dict[str, Any]:
        """The parsed ``config.json``."""
        return dict(json.loads((self.folder / "config.json").read_text()))

    def sha256(self) -> str:
        """Of the weights file; remembered, for gigabytes take seconds."""
        stat = self.file.stat()
        return _sha256(self.file, stat.st_size, stat.st_mtime_ns)


def find_part(location: str | None, name: str, key: str, endpoint_url: str | None = None) -> Part:
    """The sub-model ``name`` (``vae`` or ``unet``) at its location, downloaded if need be.

    Args:
        location: local folder, ``s3://bucket/prefix`` or hub id.
        key: the setting that ``location`` comes from, for messages.
        endpoint_url: of an S3-compatible server.

    Raises:
        ConfigError: it is unset, not there, or not in diffusers' layout with safetensors.
    """
    if not location:
        raise ConfigError(
            f"{key} is not set; name a local folder, s3:// prefix or hub id that holds {name}/ "
            "with config.json and safetensors"
        )
    root = Path(location).expanduser()
    if location.startswith("s3://"):
        root = _fetch(location, name, key, endpoint_url)
    elif not root.is_dir():
        root = _download(location, name, key)
    folder = root / name
    files = [file for file in _NAMES if (folder / file).is_file()]
    if not (folder / "config.json").is_file() or not files:
        found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else "no folder"
        raise ConfigError(
            f"{key}={location}: {name}/ must hold config.json and one of {', '.join(_NAMES)}; "
            f"found {found}"
        )
    return Part(folder, folder / files[0], "fp16" if ".fp16." in files[0] else None)


def require(part: Part, key: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The part's config, if it says what is ``wanted``.

    Raises:
        ConfigError: naming what was found and what is wanted.
    """
    try:
        config = part.config()
    except ValueError as error:
        raise ConfigError(f"{key}: {part.folder / 'config.json'} is no json: {error}") from error
    for name, value in wanted.items():
        if config.get(name) != value:
            raise ConfigError(
                f"{key}: {part.folder} has {name}={config.get(name)!r}, {value!r} is wanted; it is "
                "another model"
            )
    return config


def _fetch(uri: str, name: str, key: str, endpoint_url: str | None) -> Path:
    """A local copy of an S3 prefix, one part of it; kept under the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mav_pipeline"
    digest = hashlib.sha256(f"{endpoint_url} {uri}".encode()).hexdigest()[:16]
    folder = cache / "weights" / digest / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        remote = S3Storage(uri, endpoint_url)
        sizes = {entry.name: entry.size for entry in remote.entries(name)}
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it when a process dies
            files = [file for file in _NAMES if f"{name}/{file}" in sizes]
            for file in ("config.json", *files[:1]):
                path = folder / file
                size = sizes.get(f"{name}/{file}")
                if size is not None and not (path.is_file() and path.stat().st_size == size):
                    remote.download(f"{name}/{file}", size, path)
    except ImportError as error:
        raise lacks(f"{key}={uri}", "s3") from error
    except OSError as error:
        raise ConfigError(f"{key}={uri} cannot be read: {error.strerror or error}") from error
    return folder.parent


def _download(location: str, name: str, key: str) -> Path:
    """The snapshot of a hub repository, one part of it."""
    if not is_hub_id(location):
        raise ConfigError(
            f"{key}={location} is neither a folder that exists nor s3:// nor a hub id"
        )

    def is_whole(root: Path) -> bool:
        return any((root / name / file).is_file() for file in _NAMES)

    def choose(there: Sequence[str]) -> list[str]:
        files = [file for file in _NAMES if f"{name}/{file}" in there][:1]
        return [f"{name}/{file}" for file in ("config.json", *files)]

    return snapshot(location, key, (f"{name}/*",), is_whole, choose)


@functools.lru_cache(maxsize=8)
def _sha256(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
