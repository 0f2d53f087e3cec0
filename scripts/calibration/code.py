"""Names the code that something was made by, so that what it made is known to be its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import mav_pipeline

_PACKAGE = Path(mav_pipeline.__file__).parent
_HERE = Path(__file__).parent


def code(*places: str, without: tuple[str, ...] = ()) -> str:
    """A hash of files and folders of the package, or (with ``./``) of this one."""
    found = hashlib.sha256()
    for place in places:
        path = _HERE / place if place.startswith("./") else _PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.name not in without:
                found.update(file.read_bytes())
    return found.hexdigest()[:16]
