"""Loose file names: in the order in which people count, and what number a frame has. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

_DIGITS = re.compile(r"([0-9]+)")
#: Larger numbers, or such that are further apart, are times or dates: no clip has so many frames.
_LARGEST, _FURTHEST = 10**9, 1000


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sorts ``frame2`` before ``frame10``; names that count alike by their text."""
    parts = _DIGITS.split(name)
    words = [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]
    return words, name


def stem(name: str) -> str:
    """A file's name without folders and ending: of ``a/shot.1001.png`` it is ``shot.1001``."""
    return name.rpartition("/")[2].rpartition(".")[0]


def frame_numbers(stems: Sequence[str]) -> tuple[int, ...] | None:
    """The number of the frame that each file of a folder is, where their names tell it.

    Of the runs of digits in the names, counted from their ends, it is the one that tells most files
    apart, the last of several such: ``shot_2.1001``, ``0001_mask``, ``frame_0001_v2``.

    Returns:
        None where no name has a digit, or the numbers are times or dates. Files may have the same
        number: then they are the same frame.

    Raises:
        ValueError: some names have a number, and this one has none.
    """
    runs = [_DIGITS.findall(name)[::-1] for name in stems]
    if not any(runs):
        return None
    bare = next((name for name, found in zip(stems, runs, strict=True) if not found), None)
    if bare is not None:
        raise ValueError(f"{bare} has no number, and others have")
    places = range(min(map(len, runs)))
    columns = [tuple(int(found[place]) for found in runs) for place in places]
    numbers = max(columns, key=lambda column: len(set(column)))  # the first of several
    ordered = sorted(set(numbers))
    gaps = [after - before for before, after in itertools.pairwise(ordered)]
    is_time = ordered[-1] > _LARGEST or min(gaps, default=1) > _FURTHEST
    return None if is_time else numbers
