"""Which videos are held out: by their ids alone, so in every set and every run the same. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

#: As a run records it.
RULE = "the first 8 hex digits of the sha256 of the video id, over 2 ** 32, below the share"


def is_held_out(video_id: str, share: float) -> bool:
    """Whether a video is among the ``share`` that is held out, by ``RULE``."""
    return int(hashlib.sha256(video_id.encode()).hexdigest()[:8], 16) / 2**32 < share


@dataclass(frozen=True, slots=True)
class Split:
    """One part of all videos.

    Attributes:
        share: of the videos that are held out, in [0, 1].
        held_out: whether this is that part, or all others.
    """

    share: float
    held_out: bool

    def takes(self, video_id: str) -> bool:
        """Whether a video is of this part."""
        return is_held_out(video_id, self.share) == self.held_out
