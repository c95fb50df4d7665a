from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from dockmagic.errors import InvalidLayer
from dockmagic.image.tar_header import Entry
from dockmagic.image.tar_reader import TarReader
from tests.unit.image.archives import END, archive, member, patched, pax_header, record

_FORMS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


class Trickle(io.BytesIO):
    """A source that gives few bytes at a time, never a whole block."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 100))


def _entries(*members: bytes) -> list[Entry]:
    return list(TarReader(archive(*members)))


def _contents(source: io.BytesIO, directory: Path) -> dict[bytes, bytes]:
    """Content of every entry, read through files."""
    reader = TarReader(source)
    contents = {}
    for entry in reader:
        path = directory / "content"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            reader.copy(fd)
        finally:
            os.close(fd)
        contents[entry.name] = path.read_bytes()
    return contents


@pytest.mark.parametrize("source", [io.BytesIO, Trickle])
def test_contents_of_all_sizes(source: type[io.BytesIO], tmp_path: Path) -> None:
    files = {b"%d" % size: bytes(range(256)) * 12000 for size in (0, 1, 511, 512, 513, 5000, 2_500_000)}
    files = {name: content[: int(name)] for name, content in files.items()}
    data = b"".join(member(name, content) for name, content in files.items()) + END
    assert _contents(source(data), tmp_path) == files


def test_contents_may_be_passed_over(tmp_path: Path) -> None:
    assert [entry.name for entry in _entries(member("a", b"x" * 3_000_000), member("b"))] == [b"a", b"b"]


@pytest.mark.parametrize("form", _FORMS[1:])
def test_long_names_and_links(form: Literal[0, 1, 2]) -> None:
    name, link = "n" * 300, "l/" * 200
    (entry,) = _entries(member(name, kind=tarfile.SYMTYPE, linkname=link, form=form))
    assert (entry.name, entry.linkname) == (name.encode(), link.encode())


def test_a_long_name_is_for_one_entry_only() -> None:
    names = [entry.name for entry in _entries(member("n" * 300, form=tarfile.GNU_FORMAT), member("short"))]
    assert names == [b"n" * 300, b"short"]


def test_pax_records_overrule_the_header() -> None:
    pax = {"uid": "4000000", "gid": "5000000", "mtime": "-1.5", "path": "other", "SCHILY.xattr.user.a": "b"}
    (entry,) = _entries(member("name", pax=pax))
    assert (entry.name, entry.uid, entry.gid, entry.mtime_ns) == (b"other", 4000000, 5000000, -1_500_000_000)
    assert entry.xattrs == {"user.a": b"b"}


def test_binary_attributes_and_escaped_names() -> None:
    value = bytes(range(256))
    entries = _entries(pax_header(record("SCHILY.xattr.user.a%3Db", value)), member("name"))
    assert entries[0].xattrs == {"user.a=b": value}


def test_a_pax_size_decides_where_the_next_entry_is() -> None:
    lying = patched(member("a", form=tarfile.USTAR_FORMAT), 124, b"00000000000\0")
    hidden = member("hidden", form=tarfile.USTAR_FORMAT)
    entries = _entries(pax_header(record("size", b"512")), lying, hidden, member("b"))
    assert [(entry.name, entry.size) for entry in entries] == [(b"a", 512), (b"b", 0)]


def test_empty_pax_values_say_nothing() -> None:
    (entry,) = _entries(pax_header(record("path", b""), record("uid", b""), record("mtime", b"")), member("name"))
    assert (entry.name, entry.uid) == (b"name", 0)


def test_global_headers_are_skipped() -> None:
    header = patched(pax_header(record("path", b"everything")), 156, tarfile.XGLTYPE)
    assert [entry.name for entry in _entries(header, member("a"), member("b"))] == [b"a", b"b"]


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_size_without_content(kind: bytes) -> None:
    block = patched(member("a", kind=kind, linkname="b", form=tarfile.USTAR_FORMAT), 124, b"00000001000\0")
    assert [(entry.name.rstrip(b"/"), entry.size) for entry in _entries(block, member("b"))] == [(b"a", 0), (b"b", 0)]


def test_a_directory_as_it_was_before_posix() -> None:
    block = patched(member("a/", kind=tarfile.AREGTYPE, form=tarfile.USTAR_FORMAT), 0, b"a/")
    (entry,) = _entries(block)
    assert entry.kind == tarfile.DIRTYPE


@pytest.mark.parametrize("kind", [tarfile.AREGTYPE, tarfile.CONTTYPE])
def test_regular_files_by_other_names(kind: bytes) -> None:
    assert _entries(member("a", b"content", kind=kind))[0].kind == tarfile.REGTYPE


def test_large_numbers_in_base_256() -> None:
    (entry,) = _entries(member("a", owner=(2**31, 2**32 - 2), mtime=-5, form=tarfile.GNU_FORMAT))
    assert (entry.uid, entry.gid, entry.mtime_ns) == (2**31, 2**32 - 2, -5 * 10**9)


def test_the_source_is_read_to_its_end() -> None:
    source = io.BytesIO(member("a") + END + b"\0" * 9000 + b"after the end")
    assert len(list(TarReader(source))) == 1
    assert source.read() == b""


def test_one_block_of_zeros_at_the_end_of_the_file_is_enough() -> None:
    assert len(list(TarReader(io.BytesIO(member("a") + bytes(512))))) == 1


@pytest.mark.parametrize("kind", [b"V", b"M", b"D", b"N", b"8", b"A"])
def test_kinds_that_nobody_unpacks(kind: bytes) -> None:
    with pytest.raises(InvalidLayer, match=r"'a'.*type"):
        _entries(patched(member("a"), 156, kind))


@pytest.mark.parametrize(
    ("what", "blocks"),
    [
        ("too early", b""),
        ("too early", member("a", b"content")[:700]),
        ("too early", member("a", b"content")),
        ("too early", bytes(100)),
        ("checksum", b"\1" * 512 + END),
        ("checksum", b"<html>".ljust(512) + END),
        ("single block", member("a") + bytes(512) + member("b") + END),
        ("after an extended header", pax_header(record("path", b"b")) + END),
        ("bytes", patched(member("a"), 124, b"\xff" + bytes(11)) + END),
        ("bytes", pax_header(record("size", b"9223372036854775808")) + member("a") + END),
        ("number", pax_header(record("size", b"-1")) + member("a") + END),
        ("number", pax_header(record("uid", b"1_0")) + member("a") + END),
        ("number", patched(member("a"), 124, b"0000000000x\0") + END),
        ("owner", pax_header(record("uid", b"4294967295")) + member("a") + END),
        ("owner", patched(member("a"), 108, b"\xff" * 8) + END),
        ("time", pax_header(record("mtime", b"1" + b"0" * 30)) + member("a") + END),
        ("time", pax_header(record("mtime", b"1e5")) + member("a") + END),
        ("NUL", pax_header(record("path", b"a\0b")) + member("a") + END),
        ("NUL", pax_header(record("linkpath", b"a\0b")) + member("a") + END),
        ("NUL", pax_header(record("SCHILY.xattr.user.a\0b", b"y")) + member("a") + END),
        ("malformed", pax_header(b"99 path=b\n") + member("a") + END),
        ("too long", patched(pax_header(), 124, b"\x80" + bytes(6) + b"\x7f" + bytes(4)) + END),
        ("device", patched(member("a", kind=tarfile.CHRTYPE), 329, b"\x80\0\0\0\x7f\0\0\0") + END),
    ],
)
def test_damaged_archives(what: str, blocks: bytes) -> None:
    with pytest.raises(InvalidLayer, match=what):
        list(TarReader(io.BytesIO(blocks)))


def test_an_archive_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = member("a" * 150, b"content" * 100, form=tarfile.GNU_FORMAT) + member("b", b"x", pax={"uid": "5"})
    for cut in range(0, len(whole), 37):
        with pytest.raises(InvalidLayer, match="too early"):
            _contents(io.BytesIO(whole[:cut]), tmp_path)
