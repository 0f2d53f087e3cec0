"""What a sample stores as RGB, gathered on disk while the frames of its clip are taken."""

from __future__ import annotations

from mav_pipeline.schema import Member
from mav_pipeline.storage import Spool


class RgbImages:
    """Image files by frame number, in the order in which they come."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._members: list[Member] = []

    def add(self, number: int, data: bytes, extension: str = "jpg") -> None:
        """Keeps the image of source frame ``number``. Raises OSError: the disk is full."""
        self._members.append((f"rgb.{number:05d}.{extension}", self._spool.add(data)))

    def members(self) -> tuple[Member, ...]:
        """All of them."""
        return tuple(self._members)
