"""What a stage gives that is no number is made again in float32, alone. Knows nothing of clips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mav_pipeline.matting.videomama.batches import Room

_log = logging.getLogger(__name__)


class Repair:
    """Runs stages and looks at what they give: half precision overflows where float32 does not.

    Args:
        room: for all calls.
        is_exact: stages run in float32 anyway, so that nothing is made again.
    """

    def __init__(self, room: Room, *, is_exact: bool) -> None:
        self._room, self._is_exact = room, is_exact

    def run(self, stage: Callable[..., Any], items: Any) -> list[tuple[Any, bool]]:
        """Of each item what ``stage`` makes of it, and whether all of that is finite.

        Args:
            stage: of (items, exact=...) to a tensor with a row an item.
            items: a list or an array.
        """
        rows = [*self._room.call(partial(stage, items))]
        found = [*zip(rows, _finite(rows), strict=True)]
        if self._is_exact:
            return found
        for index, (_, is_finite) in enumerate(found):
            if not is_finite:
                _log.warning("not finite: made again in float32")
                one = items[index : index + 1]
                (again,) = self._room.call(partial(stage, one, exact=True))
                found[index] = again, *_finite([again])
        return found


def _finite(rows: Sequence[Any]) -> list[bool]:
    import torch

    found: list[bool] = torch.stack([torch.isfinite(row).all() for row in rows]).tolist()
    return found
