"""What there is to say of a source: one entry of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mav_pipeline.config import Rgb
from mav_pipeline.schema.interfaces import Source
from mav_pipeline.schema.kinds import Kind
from mav_pipeline.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One way in which a source's files may lie, for the docs.

    Attributes:
        files: of one clip.
        reads: what is made of them.
        refuses: what is a failed or skipped row, with its reason.
    """

    name: str
    files: str
    reads: str
    refuses: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind(Kind):
    """A source by its name; see ``Kind``.

    Attributes:
        open: makes the source from the storage at ``source.root``, its config, and what samples
            store as RGB; opens no file.
        credit: one sentence for the dataset card.
        tags: for the dataset card.
        layouts: that it reads, for the docs.
    """

    open: Callable[[Storage, Any, Rgb], Source]
    credit: str = ""
    tags: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ()
