from __future__ import annotations

import io
import tarfile
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.image import tar_header
from dockmagic.image.tar_header import Entry, decode, encode, nanoseconds, number, pax_records
from tests.unit.image.archives import END, member, patched, record

_NAMES = st.binary(min_size=1, max_size=300).map(
    lambda name: b"/".join(filter(None, name.replace(b"\0", b"").split(b"/"))) or b"x"
)


@given(
    name=_NAMES,
    linkname=_NAMES,
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE]),
    mode=st.integers(0, 0o7777),
    owner=st.tuples(st.integers(0, 2**32 - 2), st.integers(0, 2**32 - 2)),
    seconds=st.integers(-(10**10), 10**11),
)
def test_tarfile_reads_what_encode_writes(
    name: bytes, linkname: bytes, kind: bytes, mode: int, owner: tuple[int, int], seconds: int
) -> None:
    link = linkname if kind == tarfile.SYMTYPE else b""
    entry = Entry(name, kind, mode, *owner, mtime_ns=seconds * 10**9 + 250_000_000, linkname=link)
    entry.xattrs = {"user.note": b"a=b\nc"}
    with tarfile.open(fileobj=io.BytesIO(encode(entry) + END), encoding="utf-8", errors="surrogateescape") as archive:
        (info,) = archive.getmembers()
    assert info.name.encode("utf-8", "surrogateescape") == name
    assert (info.type, info.mode, info.uid, info.gid) == (kind, mode, *owner)
    assert info.linkname.encode("utf-8", "surrogateescape") == link
    assert info.mtime == seconds + 0.25
    assert info.pax_headers["SCHILY.xattr.user.note"] == "a=b\nc"


def test_a_plain_entry_needs_one_block() -> None:
    assert len(encode(Entry(b"usr/bin/env", mode=0o755, size=10, stored=10, mtime_ns=10**18))) == 512


def test_large_sizes_go_into_a_pax_header() -> None:
    entry = Entry(b"large", size=1 << 35, stored=1 << 35)
    with tarfile.open(fileobj=io.BytesIO(encode(entry) + END)) as archive:
        first = archive.next()
    assert first is not None
    assert first.size == 1 << 35


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_decode_reads_what_tarfile_writes(form: Literal[0, 1, 2]) -> None:
    block = member("a/name", kind=tarfile.BLKTYPE, mode=0o640, owner=(3, 4), mtime=99, device=(8, 17), form=form)
    entry = decode(block[:512])
    assert entry == Entry(b"a/name", tarfile.BLKTYPE, 0o640, 3, 4, 0, 99 * 10**9, major=8, minor=17)


def test_the_prefix_stands_before_the_name() -> None:
    name = "directory/" * 12 + "name"
    assert decode(member(name, form=tarfile.USTAR_FORMAT)).name == name.encode()


def test_the_prefix_field_of_gnu_tar_is_something_else() -> None:
    block = patched(member("name", form=tarfile.GNU_FORMAT), 345, b"00001234567\0")
    assert decode(block).name == b"name"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"644\0junk", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"\x80\0\0\0\0\0\0\7", 7),
        (b"\x80\0\0\0\1\0\0\0", 1 << 24),
        (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
        (b"00000000777", 511),
    ],
)
def test_numbers(field: bytes, value: int) -> None:
    assert number(field) == value


@pytest.mark.parametrize(
    "field", [b"0000648\0", b"-000001\0", b"+000001\0", b"0o00001\0", b"00_0001\0", b"1.5\0\0\0\0\0"]
)
def test_what_is_no_number(field: bytes) -> None:
    with pytest.raises(ValueError, match=r"number|digit|literal"):
        number(field)


@pytest.mark.parametrize("size", [8, 12])
@given(st.data())
def test_base_256_as_tarfile_writes_it(size: int, data: st.DataObject) -> None:
    limit = 1 << (8 * size - 9)
    value = data.draw(st.integers(-limit + 1, limit - 1))
    assert number(tarfile.itn(value, size, tarfile.GNU_FORMAT)) == value  # type: ignore[attr-defined]  # not in its stub


def test_a_wrong_checksum() -> None:
    block = bytearray(member("name"))
    block[0] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        decode(bytes(block))


def test_a_checksum_of_signed_bytes() -> None:
    block = bytearray(
        patched(member(b"n\xe4me".decode("latin-1").encode("utf-8"), form=tarfile.USTAR_FORMAT), 0, b"n\xe4")
    )
    block[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in block[:512])
    block[148:156] = b"%06o\0 " % signed
    assert decode(bytes(block)).name.startswith(b"n\xe4")


@given(st.dictionaries(st.text("abc.", min_size=1), st.binary(max_size=2000), max_size=8))
def test_pax_records_come_back(records: dict[str, bytes]) -> None:
    data = b"".join(tar_header.pax_record(key.encode(), value) for key, value in records.items())
    assert data == b"".join(record(key, value) for key, value in records.items())
    assert dict(pax_records(data)) == {key.encode(): value for key, value in records.items()}


@pytest.mark.parametrize(
    "data",
    [
        b"5 a=b\n",
        b"7 a=b\n",
        b"06 a=b\n",
        b"x a=b\n",
        b"6 a-b\n",
        b"5 =b\n",
        b"0 \n",
        b"-1 a=b\n",
        b"6 a=bc",
        b"\n",
        b"9" * 30,
    ],
)
def test_malformed_pax_records(data: bytes) -> None:
    with pytest.raises(ValueError, match="malformed"):
        list(pax_records(data))


@given(st.integers(-(10**20), 10**20))
def test_times_are_exact(ns: int) -> None:
    text = tar_header.decimal(ns)
    assert nanoseconds(text) == ns
    assert Decimal(text.decode()) * 10**9 == ns


@pytest.mark.parametrize(("text", "ns"), [(b"1.", 10**9), (b"1.9999999999", 1_999_999_999), (b"-0.5", -500_000_000)])
def test_times_written_by_others(text: bytes, ns: int) -> None:
    assert nanoseconds(text) == ns


@pytest.mark.parametrize("text", [b"", b"-", b".5", b"1e9", b"1.-5", b"--1", b"1,5"])
def test_what_is_no_time(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a time"):
        nanoseconds(text)


@given(st.text("a%=.3D25", min_size=1))
def test_attribute_names_come_back(name: str) -> None:
    key = tar_header.escape_key(name)
    assert b"=" not in key
    assert tar_header.unescape_key(key) == name
