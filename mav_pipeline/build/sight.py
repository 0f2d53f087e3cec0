"""Whether driver and workers mean the same place by ``output.root``: each reads the other's file.

    driver leaves a mark -> worker finds it, leaves one of its own -> driver finds that

A path that is not mounted on a node is a folder like any other there: what a worker publishes in it
nobody ever sees.
"""

from __future__ import annotations

import hashlib
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from mav_pipeline.dataset import layout
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import Storage, temporary_name

_WAITS_S = (0.0, 0.3, 1.0, 3.0)  # a network file system may show a file some seconds late


@dataclass(frozen=True, slots=True)
class Mark:
    """A file that somebody wrote to the output.

    Attributes:
        name: relative to the output's root.
        sha256: hex, of its bytes.
        host: where it was written.
    """

    name: str
    sha256: str
    host: str


def leave(storage: Storage) -> Mark:
    """Writes a mark of a name and content that nothing else has. Raises OSError."""
    name, data = temporary_name("probe"), uuid.uuid4().hex.encode()
    storage.put(name, data)
    return _mark(name, data)


def mark_of_run(storage: Storage) -> Mark:
    """``run.json`` as a mark: it is written once and stays. Raises FileNotFoundError, OSError."""
    return _mark(layout.RUN, storage.read(layout.RUN))


def answer(storage: Storage, mark: Mark) -> Mark:
    """In a worker: finds the driver's mark and leaves another.

    Raises:
        OutputError: this is another place than the driver's, or it cannot be written from here.
    """
    host = socket.gethostname()
    try:
        if not finds(storage, mark):
            raise OutputError(
                f"output.root={storage} on {host} is not what it is on {mark.host}, where the "
                f"driver runs: {mark.name}, written there, is not here{_WAY_OUT}"
            )
        return leave(storage)
    except OSError as error:
        raise OutputError(
            f"output.root={storage} cannot be read and written by a worker on {host}: {error}"
        ) from error


def take(storage: Storage, mark: Mark) -> None:
    """In the driver: finds a worker's mark and removes it.

    Raises:
        OutputError: it is not here.
        OSError: the output failed.
    """
    if not finds(storage, mark):
        raise OutputError(
            f"output.root={storage} on {mark.host} is not what it is here, where the driver runs: "
            f"what a worker wrote there is not to be seen{_WAY_OUT}"
        )
    storage.delete(mark.name)


def finds(storage: Storage, mark: Mark, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Whether a mark is there as it was written, now or some seconds later. Raises OSError."""
    for wait_s in _WAITS_S:
        sleep(wait_s)
        try:
            found = storage.read(mark.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if hashlib.sha256(found).hexdigest() == mark.sha256:
            return True
    return False


_WAY_OUT = "; mount one file system at this path on every node, or name s3://bucket/prefix"


def _mark(name: str, data: bytes) -> Mark:
    return Mark(name, hashlib.sha256(data).hexdigest(), socket.gethostname())
