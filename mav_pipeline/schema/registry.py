"""Names and what they stand for."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def nearest(key: str, known: Collection[str]) -> str:
    """A hint for a misspelt key: ``; did you mean 'x'?``, or the empty string."""
    match = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
