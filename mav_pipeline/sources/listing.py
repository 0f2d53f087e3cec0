"""What both sources do alike: listing a tree, guarding sizes, screening masklets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mav_pipeline.config import SourceConfig
from mav_pipeline.errors import ConfigError, InputError
from mav_pipeline.schema import FileRef, Masklet, Problem
from mav_pipeline.storage import Entry, LocalStorage


def visible_files(storage: LocalStorage) -> Iterator[Entry]:
    """Every file under the source root whose path has no hidden part (``._x.mp4``, ``.cache/``).

    Raises:
        ConfigError: the root is no folder that can be listed.
    """
    try:
        for entry in storage.entries():
            if not any(part.startswith(".") for part in entry.name.split("/")):
                yield entry
    except OSError as error:
        cause = f"source.root={storage} cannot be listed: {error.strerror}"
        raise ConfigError(f"{cause}; point it at the folder that holds the clips") from error


def file_ref(role: str, entry: Entry) -> FileRef:
    """A loose file in one role."""
    return FileRef(role, entry.name, 0, entry.size, entry.version)


def guard_bytes(refs: tuple[FileRef, ...], config: SourceConfig) -> None:
    """Raises InputError (skipped) where an input file is larger than ``source.max_bytes``."""
    for ref in refs:
        if ref.size > config.max_bytes:
            cause = f"{ref.uri} has {ref.size} bytes, source.max_bytes is {config.max_bytes}"
            raise _skipped("max_bytes", cause, ref.role)


def guard_frames(annotated: int, config: SourceConfig, role: str) -> None:
    """Raises InputError where nothing is annotated, or (skipped) more than ``max_frames`` are."""
    if annotated == 0:
        raise InputError("no_frames", "no frame is annotated", role=role, stage="masks")
    if annotated > config.max_frames:
        cause = f"{annotated} annotated frames, source.max_frames is {config.max_frames}"
        raise _skipped("max_frames", cause, role)


def screened(masklet: Masklet, config: SourceConfig) -> Masklet:
    """The masklet, with a problem where it is empty throughout or a speck."""
    areas = [rle.area for rle in masklet.rles if rle is not None]
    if masklet.problem is None and not areas:
        return replace(masklet, problem=Problem("skipped", "empty", "visible on no frame"))
    if masklet.problem is None and max(areas) < config.min_area:
        message = f"covers at most {max(areas)} pixels, source.min_area is {config.min_area}"
        return replace(masklet, problem=Problem("skipped", "speck", message))
    return masklet


def _skipped(reason: str, cause: str, role: str) -> InputError:
    return InputError(reason, cause, role=role, stage="read", status="skipped")
