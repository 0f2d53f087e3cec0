"""A folder as whoever filled it sees it: through links, each real folder once.

A folder that has its own place under the root is listed there, whatever links lead to it; so loops
end, and no file comes twice by a link to its folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mav_pipeline.storage.names import Entry, NoFile

#: What following a link raises where it leads nowhere, or round in a circle.
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def walk(root: Path, besides: Path | None = None) -> Iterator[Entry | NoFile]:
    """All files below ``root``, depth first in name order; what lies behind links comes last.

    Args:
        besides: a folder that is passed over without a word.

    Raises:
        OSError: a folder cannot be listed.
    """
    seen = {_identity(root.stat())}
    without = None if besides is None or not besides.exists() else _identity(besides.stat())
    links: deque[str] = deque()
    yield from _below(root, "", seen, links, without)
    while links:
        name = links.popleft()
        facts = (root / name).stat()
        if _identity(facts) == without:
            continue
        if _is_new(facts, seen):
            yield from _below(root, name, seen, links, without)
        else:
            yield NoFile(name, "listed")


def _below(
    root: Path,
    folder: str,
    seen: set[tuple[int, int]],
    links: deque[str],
    without: tuple[int, int] | None,
) -> Iterator[Entry | NoFile]:
    """What lies below a folder, but for what links lead to, which are put aside."""
    with os.scandir(root / folder) as scan:
        found = sorted(scan, key=lambda entry: entry.name)
    prefix = f"{folder}/" if folder else ""
    for entry in found:
        name = f"{prefix}{entry.name}"
        try:
            facts = entry.stat()
        except OSError as error:
            if error.errno not in _NOWHERE:
                raise
            if entry.is_symlink():  # else it is gone since the listing
                yield NoFile(name, "dangling")
            continue
        if not stat.S_ISDIR(facts.st_mode):
            is_file = stat.S_ISREG(facts.st_mode)
            size, version = facts.st_size, str(facts.st_mtime_ns)
            yield Entry(name, size, version) if is_file else NoFile(name, "special")
        elif entry.is_symlink():
            links.append(name)
        elif _identity(facts) == without:
            continue
        elif _is_new(facts, seen):
            yield from _below(root, name, seen, links, without)
        else:
            yield NoFile(name, "listed")


def _is_new(facts: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder was not gone through yet; from now on it was."""
    before = len(seen)
    seen.add(_identity(facts))
    return len(seen) > before


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino
