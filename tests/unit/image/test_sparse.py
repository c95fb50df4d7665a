from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from dockmagic.errors import InvalidLayer
from dockmagic.image.tar_reader import TarReader
from tests.unit.image.archives import archive, member, patched, pax_header, record

_PARTS = b"A" * 700 + b"B" * 300
_MAP = (("1000", "700"), ("90000", "300"))
_SIZE = 100_000
_EXPECTED = bytes(1000) + b"A" * 700 + bytes(88_300) + b"B" * 300 + bytes(9_700)


def _content(tmp_path: Path, *members: bytes) -> tuple[bytes, bytes]:
    """Name and content of the archive's only file."""
    reader = TarReader(archive(*members, member("after")))
    entries = iter(reader)
    entry = next(entries)
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        reader.copy(file.fileno())
    assert path.stat().st_size == entry.size
    assert [other.name for other in entries] == [b"after"]
    return entry.name, path.read_bytes()


def _records(*pairs: tuple[str, str]) -> bytes:
    return pax_header(*(record("GNU.sparse." + key, value.encode()) for key, value in pairs))


def _old(pairs: list[tuple[int, int]], size: int, stored: bytes, more: bytes = b"") -> bytes:
    """An entry of the old GNU format: up to 4 pairs in the header, and blocks of 21 after it."""
    block = member("file", stored, form=tarfile.GNU_FORMAT)
    block = patched(block, 156, tarfile.GNUTYPE_SPARSE)
    fields = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[:4]).ljust(96, b"\0")
    block = patched(block, 386, fields + (b"\1" if more else b"\0") + b"%011o\0" % size)
    return block[:512] + more + block[512:]


def test_the_old_format(tmp_path: Path) -> None:
    pairs = [(int(offset), int(length)) for offset, length in _MAP]
    assert _content(tmp_path, _old(pairs, _SIZE, _PARTS)) == (b"file", _EXPECTED)


def test_the_old_format_with_more_pairs_than_fit(tmp_path: Path) -> None:
    pairs = [(10 * index, 1) for index in range(30)]
    first = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[4:25]) + b"\1" + bytes(7)
    second = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[25:]).ljust(512, b"\0")
    expected = b"x".ljust(10, b"\0") * 30
    assert _content(tmp_path, _old(pairs, 300, b"x" * 30, first + second)) == (b"file", expected)


def test_format_0_0(tmp_path: Path) -> None:
    pairs = [pair for offset, length in _MAP for pair in (("offset", offset), ("numbytes", length))]
    header = _records(("size", str(_SIZE)), ("numblocks", "2"), *pairs)
    assert _content(tmp_path, header, member("file", _PARTS)) == (b"file", _EXPECTED)


def test_format_0_1(tmp_path: Path) -> None:
    header = _records(
        ("size", str(_SIZE)), ("numblocks", "2"), ("map", "1000,700,90000,300"), ("name", "directory/real")
    )
    assert _content(tmp_path, header, member("GNUSparseFile.1/real", _PARTS)) == (b"directory/real", _EXPECTED)


def test_format_1_0(tmp_path: Path) -> None:
    header = _records(("major", "1"), ("minor", "0"), ("name", "real"), ("realsize", str(_SIZE)))
    numbers = b"2\n1000\n700\n90000\n300\n".ljust(512, b"\0")
    assert _content(tmp_path, header, member("GNUSparseFile.1/real", numbers + _PARTS)) == (b"real", _EXPECTED)


def test_format_1_0_with_a_map_of_several_blocks(tmp_path: Path) -> None:
    count = 200
    header = _records(("major", "1"), ("minor", "0"), ("realsize", str(count * 10)))
    lines = [str(count)] + [text for index in range(count) for text in (str(index * 10), "1")]
    numbers = "\n".join([*lines, ""]).encode()
    numbers += bytes(-len(numbers) % 512)
    expected = b"x".ljust(10, b"\0") * count
    assert _content(tmp_path, header, member("file", numbers + b"x" * count))[1] == expected


def test_a_file_that_is_one_hole(tmp_path: Path) -> None:
    header = _records(("size", "5000"), ("numblocks", "0"))
    assert _content(tmp_path, header, member("file"))[1] == bytes(5000)


def test_holes_take_no_space(tmp_path: Path) -> None:
    header = _records(("size", str(1 << 30)), ("map", f"{(1 << 30) - 10},10"))
    reader = TarReader(archive(header, member("file", b"x" * 10)))
    next(iter(reader))
    fd = os.open(tmp_path / "sparse", os.O_WRONLY | os.O_CREAT)
    try:
        reader.copy(fd)
        assert os.fstat(fd).st_blocks * 512 < 1 << 20
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("what", "pairs", "content"),
    [
        ("order", [("size", "100"), ("map", "50,5,0,5")], b"x" * 10),
        ("overlap", [("size", "100"), ("map", "0,6,5,4")], b"x" * 10),
        ("fit", [("size", "8"), ("map", "0,10")], b"x" * 10),
        ("fit", [("size", "100"), ("map", "0,11")], b"x" * 10),
        ("fit", [("size", "100"), ("map", "0,9")], b"x" * 10),
        ("fit", [("size", str(1 << 63)), ("map", "0,10")], b"x" * 10),
        ("pair", [("size", "100"), ("map", "0,10,5")], b"x" * 10),
        ("number", [("size", "100"), ("map", "0,-10")], b"x" * 10),
        ("number", [("size", "100"), ("map", "0,,10")], b"x" * 10),
        ("number", [("size", "x"), ("map", "0,10")], b"x" * 10),
        ("number", [("map", "0,10")], b"x" * 10),
        ("number", [("major", "1"), ("realsize", "100")], b"x\n".ljust(512, b"\0")),
        ("too long", [("major", "1"), ("realsize", "100")], b"99999999\n".ljust(512, b"\0")),
        ("number", [("major", "1"), ("realsize", "100")], b"1 2".ljust(512, b"\0")),
        ("too long", [("major", "1"), ("realsize", "100")], b"2\n1\n1\n".ljust(512, b"\0") + bytes(2048)),
        ("fit", [("major", "1"), ("realsize", "100")], b"1\n0\n20\n".ljust(512, b"\0") + b"x" * 10),
    ],
)
def test_malformed_maps(what: str, pairs: list[tuple[str, str]], content: bytes) -> None:
    with pytest.raises(InvalidLayer, match=what):
        list(TarReader(archive(_records(*pairs), member("file", content))))


def test_a_map_of_the_old_format_without_end() -> None:
    endless = (b"%011o\0%011o\0" % (0, 0)) * 21 + b"\1" + bytes(7)
    with pytest.raises(InvalidLayer, match="too long"):
        list(TarReader(archive(_old([], 10, b"", endless * 3000))))


def test_an_unknown_map_is_not_taken_for_content() -> None:
    data = io.BytesIO(_old([(0, 5)], 4, b"x" * 5))
    with pytest.raises(InvalidLayer, match="fit"):
        list(TarReader(data))
