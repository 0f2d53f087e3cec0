"""What sources do alike: listing a tree and its tars, guarding sizes, screening masklets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from mav_pipeline.config import SourceConfig
from mav_pipeline.schema import ClipRef, FileRef, Masklet, Plan, Problem
from mav_pipeline.schema.errors import ConfigError, InputError
from mav_pipeline.schema.passed_over import PassingOver
from mav_pipeline.sources.tar_index import Member, TarIndex, index_tar
from mav_pipeline.storage import Entry, NoFile, Storage

_SUFFIX = ".tar"
#: Archives that must be unpacked: what is compressed cannot be read in place.
_COMPRESSED = (
    *(".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".tar.zst", ".tar.lz4"),
    *(".zip", ".7z", ".rar"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the collection: loose, or a member of a tar that is read in place.

    Attributes:
        name: path in the collection, no part of which is hidden.
        uri, offset, size, version: where its bytes lie, see ``FileRef``.
        is_utf8: else its name is escaped here, and it cannot be opened by that.
    """

    name: str
    uri: str
    offset: int
    size: int
    version: str
    is_utf8: bool = True

    @property
    def path(self) -> str:
        """Its path, through the tar where it is in one: what belongs together stands together."""
        return self.name if self.name == self.uri else f"{self.uri}/{self.name}"

    def ref(self, role: str) -> FileRef:
        """This file in a role."""
        return FileRef(role, self.uri, self.offset, self.size, self.version, self.name)


@dataclass(frozen=True, slots=True)
class Tear:
    """A tar that is not whole: why, its last file, and whether that one is cut off itself."""

    tar: Found
    damage: str
    last: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything under a source root.

    Attributes:
        files: in name order; not those of tars that ``held`` has.
        tars: version of each tar.
        tears: the tars that are damaged, by uri.
        held: clips of tars that an earlier plan indexed and that have not changed since.
        passing: counts what is not taken; a source adds what its layout has no place for.
    """

    files: tuple[Found, ...]
    tars: Mapping[str, str]
    tears: Mapping[str, Tear]
    held: tuple[ClipRef, ...]
    passing: PassingOver


def list_source(storage: Storage, plan: Plan | None = None) -> Listing:
    """Lists the root and reads the headers of its tars, those aside that ``plan`` has read.

    Raises:
        ConfigError: the root cannot be listed, or a tar cannot be read.
    """
    passing = PassingOver()
    try:
        entries = [*_shown(storage, passing)]
        packed = [entry for entry in entries if entry.name.lower().endswith(_SUFFIX)]
        tars = {_recorded(entry.name): entry.version for entry in packed}
        known = {} if plan is None else {u: v for u, v in tars.items() if plan.tars.get(u) == v}
        fresh = [entry for entry in packed if entry.name not in known]
        with ThreadPoolExecutor(storage.parallel, thread_name_prefix="mav-index") as pool:
            indices = [*pool.map(lambda entry: _index(storage, entry), fresh)]
    except OSError as error:
        cause = f"source.root={storage} cannot be listed: {error.strerror or error}"
        raise ConfigError(f"{cause}; point it at the place that holds the clips") from error
    files = [_loose(entry) for entry in entries if _recorded(entry.name) not in tars]
    tears = {}
    for entry, index in zip(fresh, indices, strict=True):
        tar = _loose(entry)
        members = [*index.members, *([index.torn] if index.torn else [])]
        found = [_member(tar, member) for member in members]
        shown = [file for file in found if not _is_hidden(file.name)]
        if index.damage is not None:
            is_cut = index.torn is not None and found[-1:] == shown[-1:]
            tears[tar.uri] = Tear(tar, index.damage, shown[-1].name if shown else "", is_cut)
        files += _latest([*found, *(_member(tar, link) for link in index.links)], passing)
        for name, why in index.others:
            passing.add(why, f"{tar.uri}/{_tidy(name)}")
    clips = () if plan is None else tuple(c for c in plan.clips() if c.files[0].uri in known)
    return Listing(tuple(files), tars, tears, clips, passing)


def _shown(storage: Storage, passing: PassingOver) -> Iterator[Entry]:
    """The files that a source looks at."""
    for entry in storage.inputs():
        if _is_hidden(entry.name):
            passing.add("hidden", _recorded(entry.name))
        elif isinstance(entry, NoFile):
            passing.add(entry.why, _recorded(entry.name))
        elif entry.name.lower().endswith(_COMPRESSED):
            passing.add("packed", _recorded(entry.name))
        else:
            yield entry


def _latest(members: Sequence[Found], passing: PassingOver) -> Iterator[Found]:
    """The members of one tar, of each path the last: unpacking leaves that one."""
    last = {file.name: file for file in members}
    for file in members:
        if _is_hidden(file.name):
            passing.add("hidden", file.path)
        elif last[file.name] is not file:
            passing.add("twice", file.path)
        elif file.name.lower().endswith((_SUFFIX, *_COMPRESSED)):
            passing.add("packed", file.path)
        else:
            yield file


def with_torn(clips: Iterable[ClipRef], listing: Listing) -> list[ClipRef]:
    """The clips, with a failed one for each damaged tar none of whose clips tells of it."""
    found = [*clips, *listing.held]
    told = {clip.files[0].uri for clip in found if clip.problem and clip.problem.reason == TORN}
    for uri, tear in listing.tears.items():
        if uri not in told:
            stem = uri.rpartition("/")[2][: -len(_SUFFIX)]
            found.append(ClipRef(stem, (tear.tar.ref("tar"),), torn(tear, "clips may be missing")))
    return found


TORN = "torn_tar"


def torn(tear: Tear, what: str) -> Problem:
    """The problem of a clip that a damaged tar does not give whole."""
    return Problem("failed", TORN, f"plan of tar: {tear.tar.uri} {tear.damage}; {what}")


def _index(storage: Storage, tar: Entry) -> TarIndex:
    if _recorded(tar.name) != tar.name:  # it could be read, and its name not be written down
        return TarIndex((), damage="has a name that is no UTF-8: rename it")
    return index_tar(
        lambda offset, count: storage.read_range(tar.name, offset, count, tar.version), tar.size
    )


def _tidy(name: str) -> str:
    """A member's path without the ``./`` that tar writes, and safe to write down."""
    return _recorded("/".join(part for part in name.split("/") if part not in ("", ".")))


def _member(tar: Found, member: Member) -> Found:
    return Found(_tidy(member.name), tar.uri, member.offset, member.size, tar.version)


def _loose(entry: Entry) -> Found:
    name = _recorded(entry.name)
    return Found(name, name, 0, entry.size, entry.version, is_utf8=name == entry.name)


def _recorded(name: str) -> str:
    """A name as it can be written down: what is no UTF-8 is escaped, and so no id that we take."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def _is_hidden(name: str) -> bool:
    """Whether a part of the path is hidden: ``._x.mp4``, ``.cache/``, ``../``."""
    return name.startswith(".") or "/." in name


def guard_bytes(refs: tuple[FileRef, ...], config: SourceConfig) -> None:
    """Raises InputError (skipped) where an input file is larger than ``source.max_bytes``."""
    for ref in refs:
        if config.max_bytes is not None and ref.size > config.max_bytes:
            cause = f"{ref.label} has {ref.size} bytes, source.max_bytes is {config.max_bytes}"
            raise _skipped("max_bytes", cause, ref.role)


def guard_frames(annotated: int, config: SourceConfig, role: str) -> None:
    """Raises InputError where nothing is annotated, or (skipped) more than ``max_frames`` are."""
    if annotated == 0:
        raise InputError("no_frames", "no frame is annotated", role=role, stage="masks")
    if config.max_frames is not None and annotated > config.max_frames:
        cause = f"{annotated} annotated frames, source.max_frames is {config.max_frames}"
        raise _skipped("max_frames", cause, role)


def guard_pixels(height: int, width: int, config: SourceConfig, role: str) -> None:
    """Raises InputError (skipped) where a frame is larger than ``source.max_pixels``."""
    if height * width > config.max_pixels:
        cause = f"{width}x{height} is {width * height} pixels, source.max_pixels is "
        raise _skipped("max_pixels", f"{cause}{config.max_pixels}", role)


def screened(masklet: Masklet, config: SourceConfig) -> Masklet:
    """The masklet, with a problem where it is empty throughout or a speck."""
    if masklet.problem is not None:
        return masklet
    areas = [rle.area for rle in masklet.rles if rle is not None]
    if not areas:
        return replace(masklet, problem=Problem("skipped", "empty", "visible on no frame"))
    if max(areas) < config.min_area:
        message = f"covers at most {max(areas)} pixels, source.min_area is {config.min_area}"
        return replace(masklet, problem=Problem("skipped", "speck", message))
    return masklet


def _skipped(reason: str, cause: str, role: str) -> InputError:
    return InputError(reason, cause, role=role, stage="read", status="skipped")
