"""Where an export goes: a folder or bucket that says what it holds, and which clips are whole.

    export.json          of which set, in which layout, under which gate; written first
    clips/<clip>.json    written when all other files of the clip are

Knows nothing of the other files.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mav_pipeline.schema import Content
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import Storage, is_temporary, open_storage, read_many

_ABOUT = "export.json"
# What is under way where files come faster than they go: so many a connection, and so much memory.
_FILES = 4
_BYTES = 64 * 2**20


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
                f"export.format, export.encoding, export.trim or export.gate, or by another "
                f"version ({_ABOUT} says which); name another folder"
            )

    def add(self, key: str, files: Iterable[tuple[str, Content]], about: Mapping[str, Any]) -> int:
        """Writes a clip, a few files at a time, and then its receipt; returns their number.

        Args:
            about: what its receipt says besides.
        """
        count = 0
        with ThreadPoolExecutor(self._storage.parallel, "mav-export") as pool:
            under_way: deque[tuple[Future[None], int]] = deque()
            held = 0
            try:
                for name, data in files:
                    size = len(data) if isinstance(data, bytes) else 0
                    under_way.append((pool.submit(self._storage.put, name, data), size))
                    held, count = held + size, count + 1
                    while len(under_way) > _FILES * self._storage.parallel or held > _BYTES:
                        done, size = under_way.popleft()
                        done.result()
                        held -= size
                for done, _ in under_way:
                    done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        receipt = {**about, "key": key, "files": count}
        self._storage.put(_receipt(key), json.dumps(receipt, sort_keys=True).encode())
        return count

    def put(self, name: str, data: bytes) -> None:
        """Writes a file that speaks of the whole."""
        self._storage.put(name, data)

    def receipts(self, keys: Collection[str]) -> list[Mapping[str, Any]]:
        """What was said of each of these clips, which must be there.

        Raises:
            OutputError: a receipt is gone, or is none.
        """
        try:
            found = read_many(self._storage, [_receipt(key) for key in keys])
            return [json.loads(data) for data in found]
        except (FileNotFoundError, ValueError) as error:
            raise OutputError(
                f"a receipt under clips/ in export.root={self} cannot be read: {error}; remove it, "
                "and `mav export` writes its clip anew"
            ) from error

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
