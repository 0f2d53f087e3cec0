"""A tar's index: what tarfile finds, by headers alone, and every way to be torn is told."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mav_pipeline.sources.tar_index import Member, TarIndex, index_tar

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
BLOCK = tarfile.BLOCKSIZE
MIB = 1 << 20
NOT_PLAIN = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)


@dataclass
class Reader:
    """Bytes that are read by range, and how many were asked for by each call."""

    data: bytes
    calls: list[int] = field(default_factory=list)

    def __call__(self, offset: int, count: int) -> bytes:
        self.calls.append(count)
        assert 0 <= offset <= len(self.data)
        assert 0 < count <= 2 * MIB, "a huge read"
        return self.data[offset : offset + count]


def index(data: bytes) -> TarIndex:
    return index_tar(Reader(data), len(data))


def make(members: Iterable[tuple[str, bytes]], kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def header(name: str, size: int, kind: int = tarfile.PAX_FORMAT, type: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, type
    return info.tobuf(kind)


def summed(block: bytes) -> bytes:
    """The header block with the checksum that it should have."""
    total = sum(block[:148]) + 8 * 32 + sum(block[156:512])
    return block[:148] + f"{total:06o}\0 ".encode() + block[156:]


def sized(name: str, size: bytes, type: bytes = b"0") -> bytes:
    """A header block whose 12 bytes of size are these."""
    block = header(name, 0, tarfile.GNU_FORMAT, type)
    return summed(block[:124] + size + block[136:])


def expected(data: bytes) -> tuple[Member, ...]:
    """What tarfile says."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return tuple(
            Member(info.name, info.offset_data, info.size)
            for info in tar.getmembers()
            if info.isreg() and not info.issparse()
        )


def spans(data: bytes, found: TarIndex) -> list[tuple[str, bytes]]:
    return [(m.name, data[m.offset : m.offset + m.size]) for m in found.members]


# whole archives

PART = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)
NAMES = {
    # ustar writes ascii, and splits at a slash into at most 155 and 100 bytes.
    tarfile.USTAR_FORMAT: st.lists(
        st.text("abcXYZ019_-. ", min_size=1, max_size=40).filter(lambda part: part.strip(" .")),
        min_size=1,
        max_size=5,
    ),
    tarfile.GNU_FORMAT: st.lists(PART, min_size=1, max_size=12),
    tarfile.PAX_FORMAT: st.lists(PART, min_size=1, max_size=12),
}


@pytest.mark.parametrize("kind", FORMATS)
@given(st.data())
def test_members_are_those_that_tarfile_finds(kind: int, data: st.DataObject) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for parts in data.draw(st.lists(NAMES[kind], max_size=8)):
            info = tarfile.TarInfo("/".join(parts))
            info.type = data.draw(st.sampled_from([b"0", b"0", b"0", b"7", *NOT_PLAIN]))
            info.linkname = "nowhere/at/all" if info.type in (b"1", b"2") else ""
            size = data.draw(st.integers(0, 30_000)) if info.type in b"07" else 0
            info.size = size
            tar.addfile(info, io.BytesIO(b"\xff" * size))
    archive = out.getvalue()
    found = index(archive)
    assert (found.members, found.damage, found.links) == (expected(archive), None, ())


@pytest.mark.parametrize("kind", FORMATS)
def test_data_lies_where_the_index_says(kind: int) -> None:
    members = [("a/x.mp4", b"1" * 700), ("b" * 90 + "/" + "c" * 90, b""), ("a/y.json", b"{}")]
    archive = make(members, kind)
    assert spans(archive, index(archive)) == members


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_length_and_script(kind: int) -> None:
    members = [("ä" * 200 + "/" + "長" * 1500, b"x"), ("d/" * 2000 + "e", b"y"), ("f", b"z")]
    archive = make(members, kind)
    assert spans(archive, index(archive)) == members


def test_a_name_that_is_no_utf8_is_kept_as_python_keeps_it() -> None:
    (found,) = index(make([("caf\udce9.mp4", b"x")], tarfile.GNU_FORMAT)).members
    assert found.name == "caf\udce9.mp4"


def test_of_a_name_that_comes_twice_both_are_listed() -> None:
    members = [("a", b"old"), ("b", b"x"), ("a", b"new")]
    archive = make(members)
    assert spans(archive, index(archive)) == members


@pytest.mark.parametrize("kind", FORMATS)
def test_folders_links_and_devices_are_no_files_and_all_but_folders_are_named(kind: int) -> None:
    others = b"".join(header(f"n{t.decode()}", 0, kind, t) for t in NOT_PLAIN)
    plain = make([("a", b"x" * 600)], kind)
    found = index(others + plain)
    assert found.members == (Member("a", len(others) + BLOCK, 600),)
    assert set(found.others) == {
        ("n2", "dangling"),
        ("n1", "dangling"),
        ("n3", "special"),
        ("n6", "special"),
    }


Link = tuple[str, bytes, str]


def linked(entries: Iterable[tuple[str, bytes] | Link]) -> bytes:
    """A tar of files (name, data) and links (name, type, where to), in that order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data, *to in entries:
            info = tarfile.TarInfo(name)
            if to:
                info.type, info.linkname = data, to[0]
            info.size = 0 if to else len(data)
            tar.addfile(info, io.BytesIO(b"" if to else data))
    return out.getvalue()


HARD, SOFT = tarfile.LNKTYPE, tarfile.SYMTYPE


@pytest.mark.parametrize(
    ("entries", "links", "others"),
    [
        ([("a", b"1"), ("b", HARD, "a")], [("b", b"1")], []),
        ([("./d/a", b"1"), ("b", HARD, "d/a"), ("c", HARD, "b")], [("b", b"1"), ("c", b"1")], []),
        ([("a", b"old"), ("b", HARD, "a"), ("a", b"new")], [("b", b"old")], []),
        ([("b", HARD, "a"), ("a", b"late")], [], [("b", "dangling")]),
        ([("x/b", SOFT, "../a"), ("a", b"late")], [("x/b", b"late")], []),
        ([("c", SOFT, "b"), ("b", SOFT, "a"), ("a", b"1")], [("c", b"1"), ("b", b"1")], []),
        ([("d/a", b"1"), ("e", SOFT, "d"), ("f", SOFT, "./e")], [], ["e listed", "f listed"]),
        ([("a", SOFT, "b"), ("b", SOFT, "a")], [], ["a dangling", "b dangling"]),
        ([("a", SOFT, "../../etc/passwd"), ("b", SOFT, "/etc/passwd")], [], ["a dangling", "b d"]),
        ([("a", SOFT, "a")], [], ["a dangling"]),
        ([("a", HARD, "")], [], ["a dangling"]),
    ],
)
def test_links_within_the_tar_are_files_and_others_are_named(
    entries: list[Any], links: list[tuple[str, bytes]], others: list[Any]
) -> None:
    archive = linked(entries)
    found = index(archive)
    assert [(m.name, archive[m.offset : m.offset + m.size]) for m in found.links] == links
    said = [f"{name} {why}" for name, why in found.others]
    wanted = [one if isinstance(one, str) else " ".join(one) for one in others]
    assert len(said) == len(wanted)
    assert all(one.startswith(start) for one, start in zip(said, wanted, strict=True))


def test_a_long_chain_of_links_takes_no_time() -> None:
    count = 3000
    chain = [(f"l{n}", SOFT, f"l{n + 1}") for n in range(count)]
    found = index(linked([*chain, (f"l{count}", b"end")]))
    assert len(found.links) == 40
    assert len(found.others) == count - 40


def test_sparse_members_are_ignored_in_every_notation() -> None:
    old = bytearray(header("old", 512, tarfile.GNU_FORMAT, tarfile.GNUTYPE_SPARSE))
    old[386:410] = b"%011o\0%011o\0" % (4096, 512)  # offset and bytes of its one piece
    old[483:495] = b"%011o\0" % 8192  # its size on disk
    pieces = [summed(bytes(old)) + b"s" * BLOCK]
    for records, data in (
        ({"GNU.sparse.size": "8192", "GNU.sparse.offset": "0"}, b"s"),
        ({"GNU.sparse.map": "0,1", "GNU.sparse.size": "8192"}, b"s"),
        (
            {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "8192"},
            b"1\n0\n1\n".ljust(BLOCK, b"\0") + b"s",
        ),
    ):
        info = tarfile.TarInfo("GNUSparseFile.1/new")
        info.size, info.pax_headers = len(data), {**records, "GNU.sparse.name": "new"}
        padding = bytes(-len(data) % BLOCK)
        pieces.append(info.tobuf(tarfile.PAX_FORMAT) + data + padding)
    archive = b"".join(pieces) + make([("a", b"x")])
    found = index(archive)
    assert (found.damage, spans(archive, found)) == (None, [("a", b"x")])


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_beyond_8_gib_by_base_256_and_by_pax(kind: int) -> None:
    """The archive is 40 GiB of holes: only what is read of it exists."""
    big = 20 * 2**30 + 5
    first, second, third = (header(n, s, kind) for n, s in (("a", big), ("b", big), ("c", 3)))
    padded = big + -big % BLOCK
    at = [0, len(first) + padded, len(first) + len(second) + 2 * padded]
    end = at[2] + len(third) + BLOCK
    pieces = {at[0]: first, at[1]: second, at[2]: third + b"xyz"}
    calls = []

    def read(offset: int, count: int) -> bytes:
        calls.append(count)
        out = bytearray(min(count, end + 2 * BLOCK - offset))
        for start, piece in pieces.items():
            for number, byte in enumerate(piece, start - offset):
                if 0 <= number < len(out):
                    out[number] = byte
        return bytes(out)

    found = index_tar(read, end + 2 * BLOCK)
    assert found.damage is None
    assert found.members == (
        Member("a", len(first), big),
        Member("b", at[1] + len(second), big),
        Member("c", at[2] + len(third), 3),
    )
    assert sum(calls) < 100_000
    torn = index_tar(read, at[1] + 10**9)
    assert torn.torn == found.members[1]
    assert torn.members == found.members[:1]


@pytest.mark.parametrize("blocks", [1, 2, 3, 20, 300])
def test_any_number_of_zero_blocks_closes_a_tar(blocks: int) -> None:
    assert index(bytes(blocks * BLOCK)) == TarIndex(())
    archive = header("a", 1, tarfile.USTAR_FORMAT) + b"x".ljust(BLOCK, b"\0")
    assert index(archive + bytes(blocks * BLOCK)) == TarIndex((Member("a", BLOCK, 1),))


# what it costs


@pytest.mark.parametrize("kind", FORMATS)
def test_a_member_costs_one_read_and_its_data_is_not_read(kind: int) -> None:
    chance = random.Random(0)
    name = "sav_{:06d}" + "/long" * (20 if kind == tarfile.USTAR_FORMAT else 60)
    sizes = [chance.randrange(30_000, 300_000) for _ in range(100)]
    archive = make([(name.format(i), bytes(size)) for i, size in enumerate(sizes)], kind)
    reader = Reader(archive)
    found = index_tar(reader, len(archive))
    assert [member.size for member in found.members] == sizes
    assert len(reader.calls) <= len(sizes) + 3
    assert sum(reader.calls) < len(archive) / 10


def test_small_members_share_reads() -> None:
    archive = make([(f"{i}.png", b"x" * 900) for i in range(400)], tarfile.USTAR_FORMAT)
    reader = Reader(archive)
    assert len(index_tar(reader, len(archive)).members) == 400
    assert len(reader.calls) < 100
    assert sum(reader.calls) < 1.2 * len(archive)


# torn and broken archives

LONG = "long/" * 40 + "name"
SMALL = (("a.mp4", b"\xff" * 700), (LONG, b"\xff" * 512), ("b.json", b"\xff"), ("c", b""))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_tar_cut_at_any_byte_tells_it_and_gives_what_is_whole(kind: int) -> None:
    archive = make(SMALL, kind)
    whole = index(archive).members
    assert len(whole) == 4
    last = whole[-1].offset
    for cut in range(min(len(archive), last + 3 * BLOCK)):
        found = index(archive[:cut])
        assert found.members == tuple(m for m in whole if m.offset + m.size <= cut)[: len(whole)]
        inside = [m for m in whole if m.offset <= cut < m.offset + m.size]
        assert found.torn == (inside[0] if inside else None)
        assert (found.damage is None) == (cut >= last + BLOCK)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_ways_to_be_cut_are_told_apart(kind: int) -> None:
    archive = make(SMALL, kind)
    first, second = index(archive).members[:2]
    border = first.offset + 2 * BLOCK
    for cut, words in (
        (first.offset + 5, "ends inside a member, 695 bytes"),
        (first.offset + 700, "ends without the zero blocks"),
        (border, "ends without the zero blocks"),
        (border + 1, "ends inside a header"),
        (second.offset - 1, "ends inside a header"),
    ):
        found = index(archive[:cut])
        assert found.damage is not None
        assert found.damage.startswith(words)
    assert index(archive[: first.offset + 5]).torn == first
    assert index(archive[:border]) == TarIndex(
        (first,),
        damage=f"ends without the zero blocks that close a tar (byte {border} of {border})",
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_no_header_byte_can_be_wrong_unseen(kind: int) -> None:
    archive = make(SMALL, kind)
    whole = index(archive).members
    border = whole[1].offset + BLOCK  # where the third member's header lies
    for at in range(0, BLOCK, 7):
        wrong = bytearray(archive)
        wrong[border + at] ^= 0x41
        found = index(bytes(wrong))
        assert found.members == whole[:2]
        assert found.damage == f"has a broken header (byte {border} of {len(archive)})"


def test_an_empty_file_and_what_is_no_tar_are_told() -> None:
    assert index(b"") == TarIndex((), damage="is empty")
    for data in (b"x", b"\x1f\x8b" + b"gzip" * 999, b"<html>" * 200, b"x" * BLOCK, bytes(100)):
        found = index(data)
        assert (found.members, found.torn) == ((), None)
        assert found.damage is not None
        assert found.damage.startswith("is no tar")


def test_what_follows_a_lone_zero_block_is_not_taken_for_padding() -> None:
    archive = make([("a", b"x")])
    found = index(archive[: 2 * BLOCK] + bytes(BLOCK) + archive)
    assert found.damage is not None
    assert found.damage.startswith("goes on after the zero block")


@pytest.mark.parametrize("type", [b"L", b"K", b"x", b"g", b"X"])
@pytest.mark.parametrize("claim", [MIB + 1, 3 * 2**30])
def test_a_header_of_more_than_a_mebibyte_is_damage_and_not_read(type: bytes, claim: int) -> None:
    before = make([("a", b"x")])[: 2 * BLOCK]
    archive = before + sized("bomb", b"%011o\0" % claim, type) + b"5 a=b" * (MIB // 2)
    reader = Reader(archive)
    found = index_tar(reader, len(archive))
    assert found.members == (Member("a", BLOCK, 1),)
    assert found.damage is not None
    assert found.damage.startswith("has a header of more than 1048576 bytes")
    assert sum(reader.calls) < 20_000


def test_a_large_pax_header_is_read() -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * 1_000_000}
    assert [m.name for m in index(info.tobuf(tarfile.PAX_FORMAT) + bytes(BLOCK)).members] == ["a"]


def test_chains_of_headers_end() -> None:
    """Neither deep recursion nor much memory: a chain has the budget of one header."""
    link = sized("x", b"%011o\0" % BLOCK, b"L") + bytes(BLOCK)
    for chain in (link * 900, link * 5000, (sized("x", b"0" * 11 + b"\0", b"L")) * 3000):
        found = index(chain + make([("a", b"x")]))
        assert found.members == ()
        assert found.damage is not None


def test_a_sparse_map_without_end_is_not_followed() -> None:
    info = tarfile.TarInfo("bomb")
    info.size = 4 * MIB
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    archive = info.tobuf(tarfile.PAX_FORMAT) + b"9999999\n" + b"1\n" * (2 * MIB)
    reader = Reader(archive)
    assert index_tar(reader, len(archive)).damage is not None
    assert sum(reader.calls) < 1.1 * MIB


def test_digits_without_end_take_no_time() -> None:
    """Old versions of tarfile look through them in quadratic time."""
    archive = sized("x", b"%011o\0" % (MIB // 2), b"x") + b"1" * (MIB // 2) + make([("a", b"x")])
    found = index(archive)
    assert found.damage is not None
    assert "digits" in found.damage


@pytest.mark.parametrize("size", [-1, -512, -1024, -(2**40), 2**63, 2**80])
@pytest.mark.parametrize("type", [b"0", b"L", b"x", b"g", b"S", b"Z", b"5"])
def test_sizes_that_no_file_has_neither_loop_nor_raise(size: int, type: bytes) -> None:
    field = (b"\x80" if size >= 0 else b"\xff") + (size % 256**11).to_bytes(11, "big")
    found = index(make([("a", b"x")])[: 2 * BLOCK] + sized("b", field, type) + bytes(3 * BLOCK))
    assert found.members == (Member("a", BLOCK, 1),)
    # Of a folder nothing is skipped, and -1 bytes are no blocks to skip.
    assert found.damage is not None or type == b"5" or (size == -1 and type in b"SZ")


@pytest.mark.parametrize("size", ["-1", "-99999", "9" * 250, "x"])
@pytest.mark.parametrize("records", ["pax", "global"])
def test_sizes_in_pax_records_are_held_against_the_archive(size: str, records: str) -> None:
    if records == "pax":
        info = tarfile.TarInfo("a")
        info.pax_headers = {"size": size}
        start = info.tobuf(tarfile.PAX_FORMAT)
    else:
        start = tarfile.TarInfo.create_pax_global_header({"size": size})
    found = index(start + make([("b", b"x")]))
    assert all(m.offset + m.size <= len(start) + 10240 for m in found.members)
    assert found.damage is not None or size == "x"


@given(st.data())
def test_nothing_raises(data: st.DataObject) -> None:
    """Some bytes of a good archive are others, with the checksums put right or not."""
    kind = data.draw(st.sampled_from(FORMATS))
    archive = bytearray(make(SMALL, kind))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 12 * BLOCK - 1))
        archive[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        for at in range(0, 12 * BLOCK, BLOCK):
            if archive[at + 257 : at + 262] == b"ustar":
                archive[at : at + BLOCK] = summed(bytes(archive[at : at + BLOCK]))
    found = index(bytes(archive))
    assert all(0 <= m.offset <= m.offset + m.size <= len(archive) for m in found.members)


def test_what_read_raises_passes() -> None:
    archive = make(SMALL)

    def after(calls: int) -> Callable[[int, int], bytes]:
        left = iter(range(calls))

        def read(offset: int, count: int) -> bytes:
            if next(left, None) is None:
                raise TimeoutError("the store is away")
            return archive[offset : offset + min(count, 512)]

        return read

    for calls in range(4):
        with pytest.raises(TimeoutError, match="the store is away"):
            index_tar(after(calls), len(archive))
