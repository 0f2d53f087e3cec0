"""What SAM 2 makes of a frame, and what it remembers of those before; the sizes are its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Features:
    """What the image encoder makes of one frame of B clips.

    Attributes:
        high: (B, C / 8, S / 4, S / 4) and (B, C / 4, S / 8, S / 8), for the mask decoder.
        low: (B, C, S / 16, S / 16).
        position: (S / 16 * S / 16, B, C), the encoding of places.
    """

    high: tuple[Any, Any]
    low: Any
    position: Any


@dataclass(slots=True)
class Memory:
    """What a track remembers of B clips; it does not grow with their length.

    Attributes:
        first: (S / 16 * S / 16, B, 64), the map of the prompted frame.
        pointer: (B, C), its object as a vector.
        position: as ``first``, the encoding of places that all maps share.
        maps: of the last 6 frames; pointers: of the last 15.
        steps: frames since the first.
    """

    first: Any
    pointer: Any
    position: Any
    maps: deque[Any]
    pointers: deque[Any]
    steps: int = 0


def waves(times: Any, width: int) -> Any:
    """(N,) to (N, width): sines and cosines of falling frequency, as SAM 2 encodes time."""
    import torch

    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=times.device)
    found = times[:, None] / 10_000 ** (2 * (steps // 2) / half)
    return torch.cat([found.sin(), found.cos()], dim=-1)
