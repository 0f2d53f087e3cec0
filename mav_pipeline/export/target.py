"""Where an export goes: a folder or bucket that says what it holds, and which clips are whole.

    export.json          of which set, in which layout, under which gate; written first
    clips/<clip>.json    written when all other files of the clip are

Knows nothing of the other files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import Storage, is_temporary, open_storage

_ABOUT = "export.json"
_BATCH = 4  # files under way a connection: bounds memory where pictures come faster than they go


class Target:
    """``export.root``; see the module."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __repr__(self) -> str:
        return repr(self._storage)

    @classmethod
    def open(cls, root: str | None, endpoint_url: str | None) -> Target:
        """Raises ConfigError where ``root`` is unset, or of a kind that is not supported."""
        return cls(open_storage(root, "export.root", endpoint_url))

    def claim(self, about: Mapping[str, Any]) -> None:
        """Takes an empty place for the export that ``about`` describes, or goes on in its own.

        Raises:
            OutputError: it holds another export or something else, or cannot be used.
        """
        data = json.dumps(about, sort_keys=True, indent=1).encode()
        try:
            held = self._held()
            if held is None:
                self._refuse_foreign()
                if self._storage.create(_ABOUT, data):
                    return
                held = self._held()
        except OSError as error:
            raise OutputError(f"export.root={self} cannot be used: {error.strerror}") from error
        if held != data:
            raise OutputError(
                f"export.root={self} holds another export: of another set, or with another "
                f"export.format or export.gate ({_ABOUT} says which); name another folder"
            )

    def add(self, key: str, files: Iterable[tuple[str, bytes]], masklets: Sequence[str]) -> int:
        """Writes a clip, a few files at a time, and then its receipt; returns their number."""
        count, files = 0, iter(files)
        with ThreadPoolExecutor(self._storage.parallel, "mav-export") as pool:
            while batch := [*islice(files, _BATCH * self._storage.parallel)]:
                count += len([*pool.map(lambda file: self._storage.put(*file), batch)])
        about = {"files": count, "masklets": list(masklets)}
        self._storage.put(_receipt(key), json.dumps(about, sort_keys=True).encode())
        return count

    def put(self, name: str, data: bytes) -> None:
        """Writes a file that speaks of the whole."""
        self._storage.put(name, data)

    def keys(self) -> Iterator[str]:
        """The clips that are there, whole."""
        try:
            for entry in self._storage.entries("clips"):
                yield entry.name.removeprefix("clips/").removesuffix(".json")
        except FileNotFoundError:
            return

    def _held(self) -> bytes | None:
        try:
            return self._storage.read(_ABOUT)
        except FileNotFoundError:
            return None

    def _refuse_foreign(self) -> None:
        try:
            names = (entry.name for entry in self._storage.entries())
            foreign = next((name for name in names if not is_temporary(name)), None)
        except FileNotFoundError:
            return
        if foreign is not None:
            raise OutputError(
                f"export.root={self} is not empty and has no {_ABOUT}, so it is no export "
                f"(it holds {foreign}); name a new or an empty folder"
            )


def _receipt(key: str) -> str:
    return f"clips/{key}.json"
