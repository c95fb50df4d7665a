"""Maps of sparse files: which parts of a file an archive holds; the rest are holes.

Every function raises ValueError where a map is malformed. Source: GNU tar manual, "Storing Sparse Files" (the old GNU
format and the pax formats 0.0, 0.1 and 1.0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dockmagic.image.tar_header import BLOCK, Entry, number

_MAX_MAP_BYTES: Final = 1 << 20  # of a map that stands in the data, as in Go's archive/tar
_MAX_INT64: Final = (1 << 63) - 1
_PAIR: Final = 24  # bytes of an offset and a length in the old format
_IN_HEADER: Final = (386, 4)  # where the old format's pairs begin, and how many there are
_IN_EXTENSION: Final = (0, 21)
_PREFIX: Final = b"GNU.sparse."

ReadBlock = Callable[[], bytes]  # the next 512 bytes of the archive


def from_header(entry: Entry, block: bytes, read_block: ReadBlock) -> None:
    """Complete an entry of the old GNU format: pairs in the header, and in blocks after it where they don't fit."""
    entry.size = number(block[483:495])
    pairs = _pairs(block, *_IN_HEADER)
    more = block[482]
    while more:
        block = read_block()
        pairs += _pairs(block, *_IN_EXTENSION)
        more = block[504]
        if len(pairs) * _PAIR > _MAX_MAP_BYTES:
            raise ValueError("the map of the sparse file is too long")
    _apply(entry, pairs)


def _pairs(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    """The (offset, length) pairs of a block; an unused one has no digits."""
    pairs = []
    for at in range(start, start + count * _PAIR, _PAIR):
        if not block[at]:
            break
        pairs.append((number(block[at : at + 12]), number(block[at + 12 : at + _PAIR])))
    return pairs


def from_records(entry: Entry, records: Mapping[bytes, bytes], read_block: ReadBlock) -> int:
    """Complete an entry whose extended header has GNU.sparse records; return the bytes of its data that the map took.

    Repeated offset and numbytes records (format 0.0) must have been joined to one map record.
    """
    name = records.get(b"GNU.sparse.name")
    if name:
        entry.name = name
    if records.get(b"GNU.sparse.major") == b"1":
        entry.size = _decimal(records.get(b"GNU.sparse.realsize", b""))
        numbers, taken = _numbers_in_data(read_block, entry.stored // BLOCK)
        entry.stored -= taken
    else:
        entry.size = _decimal(records.get(b"GNU.sparse.size", b""))
        text = records.get(b"GNU.sparse.map", b"")
        numbers, taken = [_decimal(item) for item in text.split(b",")] if text else [], 0
    if len(numbers) % 2:
        raise ValueError("the map of the sparse file ends in the middle of a pair")
    _apply(entry, list(zip(numbers[::2], numbers[1::2], strict=True)))
    return taken


def is_sparse(records: Mapping[bytes, bytes]) -> bool:
    """Whether an extended header describes a sparse file."""
    return b"GNU.sparse.major" in records or b"GNU.sparse.map" in records or b"GNU.sparse.size" in records


def _numbers_in_data(read_block: ReadBlock, blocks: int) -> tuple[list[int], int]:
    """Format 1.0: a count of pairs and the pairs' numbers, a line each, then zeros up to a whole block.

    The data has that many `blocks`; returned is also how many bytes of it the map took.
    """
    data = bytearray()
    found, lines = 0, 1
    for count in range(1, min(blocks, _MAX_MAP_BYTES // BLOCK) + 1):
        block = read_block()
        if count == 1:
            lines += 2 * _decimal(block.partition(b"\n")[0])
        data += block
        found += block.count(b"\n")
        if found >= lines:
            return [_decimal(text) for text in bytes(data).split(b"\n", lines)[1:lines]], count * BLOCK
    raise ValueError("the map of the sparse file is too long")


def _decimal(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError(f"not a number in the map of the sparse file: {text[:20]!r}")
    return int(text)


def _apply(entry: Entry, pairs: list[tuple[int, int]]) -> None:
    """Give the entry its segments, once they are in order, apart, inside the file and as long as the stored data."""
    end = 0
    for offset, length in pairs:
        if offset < end or length < 0:
            raise ValueError("the parts of the sparse file overlap or aren't in order")
        end = offset + length
    if not end <= entry.size <= _MAX_INT64 or sum(length for _, length in pairs) != entry.stored:
        raise ValueError("the map of the sparse file doesn't fit its size")
    entry.segments = tuple((offset, length) for offset, length in pairs if length)
