"""What every source has: where clips come from and which are taken; each adds keys of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic.dataclasses import dataclass

from mav_pipeline.config.types import STRICT, UNHASHED, Count, Natural, Text, Texts


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SourceConfig:
    """Where clips come from and which are taken.

    Attributes:
        name: of the source, as ``sources.registry`` has it.
        root: folder that holds the clips, however deep.
        masklets: which annotations are asked for; each source says which there are.
        include: clip ids, own names or globs; empty means all.
        limit: the first N clips in id order; null means all.
        stride: every n-th annotated frame is taken, from the first on.
        max_pixels: a frame with more pixels is skipped, before it is decoded.
        max_frames: a clip with more annotated frames is skipped; null takes any.
        max_bytes: an input file with more bytes is skipped; null takes any.
        min_area: a masklet that never covers this many pixels is skipped.
    """

    name: str
    root: Annotated[Text | None, UNHASHED]
    masklets: str
    include: Texts
    limit: Count | None
    stride: Count
    max_pixels: Count
    max_frames: Count | None
    max_bytes: Count | None
    min_area: Natural
