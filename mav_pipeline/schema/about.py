"""What an export says of a clip beside its files, since no layout of pictures can.

    about/<name>.json    beside the folders that hold ``<name>``; sources read it back

Written by exports, read by sources.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

ABOUT = "about"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAbout:
    """Facts of a clip that pictures do not record.

    Attributes:
        video_id: of the clip that was exported.
        fps: of the source video, not of the annotated frames.
        environment: the annotators' word, where they gave one.
        frame_indices: source frame number of each annotated frame that was exported, in order.
    """

    video_id: str
    fps: float
    environment: str | None
    frame_indices: tuple[int, ...]

    def encode(self, **more: Any) -> bytes:
        """The json; ``more`` is for people and other readers, and is passed over by ``decode``."""
        return json.dumps({**more, **asdict(self)}, sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises ValueError where ``data`` is not what an export wrote."""
        try:
            found: Mapping[str, Any] = json.loads(data)
            about = cls(
                video_id=str(found["video_id"]),
                fps=float(found["fps"]),
                environment=found["environment"],
                frame_indices=tuple(int(number) for number in found["frame_indices"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not what an export says of a clip: {error!r}") from error
        numbers = about.frame_indices
        if not (about.fps > 0 and math.isfinite(about.fps)):
            raise ValueError(f"fps must be a number above 0, not {about.fps}")
        if not isinstance(about.environment, str | None):
            raise ValueError(f"environment must be a text or null, not {about.environment!r}")
        if not numbers or numbers[0] < 0 or sorted({*numbers}) != [*numbers]:
            raise ValueError("frame_indices must be ascending numbers of frames")
        return about


def about_name(name: str) -> str:
    """The path of what is said of the clip or sequence ``name``."""
    return f"{ABOUT}/{name}.json"
