"""Finds the members of a tar by its headers alone, so that they can be read in place by range.

Knows nothing of what the members are, and holds an archive whole only where it ends as a tar must:
a download that was cut looks like a shorter tar to most readers.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mav_pipeline.schema.errors import DamageError
from mav_pipeline.storage.ranged import RangedFile

#: Bytes a read: holds a member's headers, long name included, and mostly the next small member.
_AHEAD = 8192
#: Bytes that the headers of one member may take, its long name and PAX records included.
_MOST = 1 << 20
#: tarfile before 3.11.10 and 3.12.6 takes quadratic time over digits (CVE-2024-6232).
_DIGITS = re.compile(rb"[0-9]{300}")
#: Symbolic links that are followed one after the other, as by Linux.
_CHAIN = 40
#: What tarfile raises over broken headers: it parses numbers, text and sparse maps unguarded, and
#: follows chains of headers by recursion.
_BROKEN = (tarfile.TarError, ValueError, LookupError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in a tar: its path there, first byte of its data in the tar, and bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TarIndex:
    """What a tar holds.

    Attributes:
        members: regular files in archive order, whole ones only; a name may come twice.
        torn: the member inside whose data the archive ends, where it does.
        damage: why the archive is not whole, said of it: "ends inside ..."; None where it is.
        links: to files of this archive, as files of their own with the same bytes.
        others: what is neither file nor folder, by name: a slug of ``schema.passed_over``.
    """

    members: tuple[Member, ...]
    torn: Member | None = None
    damage: str | None = None
    links: tuple[Member, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


class _Contents:
    """The members of a tar as they come, and where links lead."""

    def __init__(self) -> None:
        self.files: list[Member] = []
        self._placed: dict[str, Member] = {}  # the first ``_known`` files and the hard links
        self._known = 0
        self._links: list[Member] = []
        self._symbolic: list[tuple[str, str]] = []  # (name, path that it leads to)
        self._others: list[tuple[str, str]] = []

    def add_other(self, found: tarfile.TarInfo) -> None:
        """Any member that is no plain file."""
        if found.issym():
            folder = posixpath.dirname(found.name)
            self._symbolic.append((found.name, posixpath.join(folder, found.linkname)))
        elif found.islnk():  # to what came before it
            self._link(found.name, self._places().get(posixpath.normpath(found.linkname)))
        elif not found.isdir():
            self._others.append((found.name, "special"))

    def index(self, torn: Member | None, damage: str | None) -> TarIndex:
        """All of it, once no more comes."""
        leads = {posixpath.normpath(name): posixpath.normpath(to) for name, to in self._symbolic}
        places = self._places() if leads else {}
        folders = {parent for path in places if leads for parent in _parents(path)}
        for name, _ in self._symbolic:
            at = posixpath.normpath(name)
            for _ in range(_CHAIN):
                at = leads.get(at, at)
            if at in folders:
                self._others.append((name, "listed"))
            else:
                self._link(name, places.get(at))
        return TarIndex(tuple(self.files), torn, damage, tuple(self._links), tuple(self._others))

    def _link(self, name: str, target: Member | None) -> None:
        if target is None:
            self._others.append((name, "dangling"))
            return
        self._links.append(Member(name, target.offset, target.size))
        self._placed[posixpath.normpath(name)] = self._links[-1]

    def _places(self) -> dict[str, Member]:
        """Files by their path, of a path that came twice the last; made when a link asks."""
        for member in self.files[self._known :]:
            self._placed[posixpath.normpath(member.name)] = member
        self._known = len(self.files)
        return self._placed


def _parents(path: str) -> Iterator[str]:
    """The folders around a file."""
    while path := posixpath.dirname(path).rstrip("/"):
        yield path


class _Headers(io.BufferedReader):
    """Reads headers, and refuses what no header needs before it is fetched."""

    left = _MOST

    def read(self, count: int | None = -1, /) -> bytes:
        self.left -= count if count is not None and count >= 0 else _MOST + 1
        if self.left < 0:
            raise DamageError(f"has a header of more than {_MOST} bytes")
        data = super().read(count)
        if len(data) > tarfile.BLOCKSIZE and _DIGITS.search(data):
            raise DamageError("has a header with a number of more than 299 digits")
        return data


def index_tar(read: Callable[[int, int], bytes], size: int) -> TarIndex:
    """Reads the headers of a tar; never the data of its members, and about once a member.

    Args:
        read: gives up to ``count`` bytes from ``offset``, fewer only where the file ends.
        size: bytes of the tar.

    Raises:
        OSError: from ``read``; a bad archive raises nothing.
    """
    if size == 0:
        return TarIndex((), damage="is empty")
    headers = _Headers(RangedFile(read, size), _AHEAD)
    contents = _Contents()
    damage: str | None
    at = 0  # where the next header is due
    try:
        tar = tarfile.TarFile(fileobj=headers, encoding="utf-8", errors="surrogateescape")
        while at <= size and (found := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all
            headers.left = _MOST
            is_plain = found.isreg() and not found.issparse()
            end = found.offset_data + found.size if is_plain else tar.offset
            # A negative or contradictory size would lead back to where we were, for ever.
            if not found.offset_data <= end <= tar.offset:
                raise DamageError("has a wrong size in a header")
            if is_plain:
                member = Member(found.name, found.offset_data, found.size)
                if end > size:
                    short = f"ends inside a member, {end - size} bytes before that member does"
                    return contents.index(member, short)
                contents.files.append(member)
            else:
                contents.add_other(found)
            at = tar.offset
        headers.seek(min(at, size))
        damage = _ending(headers.read(2 * tarfile.BLOCKSIZE))
    except DamageError as error:
        damage = str(error)
    except _BROKEN:
        damage = "ends inside a header" if headers.tell() >= size else "has a broken header"
        damage = damage if at else "is no tar"
    return contents.index(None, damage and f"{damage} (byte {at} of {size})")


def _ending(tail: bytes) -> str | None:
    """What is wrong with an archive whose headers end where ``tail`` begins."""
    if not tail:
        return "ends without the zero blocks that close a tar"
    if len(tail) < tarfile.BLOCKSIZE:
        return "ends inside a header"
    if any(tail[: tarfile.BLOCKSIZE]):
        return "has a broken header"
    return "goes on after the zero block that closes it" if any(tail) else None
