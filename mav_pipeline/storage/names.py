"""Entries of a listing, and the names of files that are not finished yet."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a root: relative name, bytes, and what changes when it does.

    ``version`` is the mtime in nanoseconds, or an etag.
    """

    name: str
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class NoFile:
    """What lies below a root and is no file that can be read.

    ``why`` is a slug of ``schema.passed_over``: ``dangling``, ``listed``, ``special``.
    """

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun and never finished: what it was to become, and the server's id."""

    name: str
    id: str


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
