"""Entries of a plain tar stream, one after the other: ustar, pax, GNU and sparse forms, as GNU tar and Go read them.

It knows nothing of layers and touches no file but the one that content is copied to. Every way in which an archive can
be wrong is an InvalidLayer that says where; an archive without its end marker counts as cut. Global extended headers
are skipped, as Docker does.
Sources: tar(5), POSIX pax, GNU tar manual "Basic Tar Format".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from tarfile import (
    AREGTYPE,
    CONTTYPE,
    DIRTYPE,
    GNUTYPE_LONGLINK,
    GNUTYPE_LONGNAME,
    GNUTYPE_SPARSE,
    REGTYPE,
    XGLTYPE,
    XHDTYPE,
)
from typing import Final

from dockmagic.errors import InvalidLayer
from dockmagic.image import sparse
from dockmagic.image.streams import Source
from dockmagic.image.tar_header import BLOCK, CONTENTLESS, Entry, decode, nanoseconds, pax_records, unescape_key

_CHUNK: Final = 1 << 20
_MAX_EXTENSION_BYTES: Final = 1 << 20  # of one extended header, as in Go's archive/tar
_EXTENSIONS: Final = frozenset((XHDTYPE, XGLTYPE, GNUTYPE_LONGNAME, GNUTYPE_LONGLINK))
_PLAIN_FILES: Final = frozenset((REGTYPE, AREGTYPE, CONTTYPE, GNUTYPE_SPARSE))
_END: Final = bytes(BLOCK)
_MAX_ID: Final = (1 << 32) - 2  # the next one is -1, which means "leave it"
_MAX_INT64: Final = (1 << 63) - 1
_SHOWN_BYTES: Final = 300  # of a name, in a message
_XATTR: Final = b"SCHILY.xattr."

Watch = Callable[[memoryview], None]


class TarReader:
    """Iterate to get the entries; `copy` the content of the present one, or pass it over by going on."""

    def __init__(self, source: Source, what: str = "layer archive") -> None:
        """`what` is what messages call the archive."""
        self._source = source
        self._what = what
        self._buffer = b""
        self._at = 0
        self._before = 0  # bytes of the archive before the buffer
        self._left = 0  # bytes of the present entry's content that weren't read, padding included
        self._entry = Entry(b"")

    def __iter__(self) -> Iterator[Entry]:
        """The entries in order. The source is then read to its end, so that a digest taken on the way is complete."""
        while (entry := self._next()) is not None:
            yield entry
        while self._source.read(_CHUNK):
            pass

    def copy(self, fd: int, watch: Watch | None = None) -> None:
        """Write the present entry's content to a file that is empty; holes stay holes. `watch` sees all but those."""
        entry = self._entry
        if entry.segments is None:
            self._copy(fd, entry.stored, watch)
            return
        for offset, length in entry.segments:
            os.lseek(fd, offset, os.SEEK_SET)
            self._copy(fd, length, watch)
        os.ftruncate(fd, entry.size)

    def _copy(self, fd: int, count: int, watch: Watch | None) -> None:
        self._left -= count
        while count:
            if self._at == len(self._buffer):
                self._fill()
            piece = memoryview(self._buffer)[self._at : self._at + count]
            written = os.write(fd, piece)
            if watch is not None:
                watch(piece[:written])
            self._at += written
            count -= written

    def _next(self) -> Entry | None:
        """The next entry with all its extensions applied, None at the end of the archive."""
        self._skip(self._left)
        self._left = 0
        long_names: dict[bytes, bytes] = {}
        records: dict[bytes, bytes] = {}
        while True:
            block = self._read(BLOCK)
            if block == _END:
                self._check_end(extended=bool(long_names or records))
                return None
            try:
                self._entry = entry = decode(block)
                if entry.kind not in _EXTENSIONS:
                    self._complete(entry, block, records, long_names)
                    return entry
                data = self._extension(entry)
                if entry.kind == XHDTYPE:
                    records = _merged(data)
                elif entry.kind != XGLTYPE:
                    long_names[entry.kind] = data.partition(b"\0")[0]
            except ValueError as error:
                raise self._damaged(str(error)) from error

    def _check_end(self, *, extended: bool) -> None:
        """Raise InvalidLayer where the end marker, two blocks of zeros or one at the end of the file, isn't one."""
        if extended:
            raise self._damaged("the archive ends after an extended header")
        if (self._at < len(self._buffer) or self._more()) and self._read(BLOCK) != _END:
            raise self._damaged("a single block of zeros stands between two entries")

    def _extension(self, entry: Entry) -> bytes:
        """Content of an extended header, padding read as well."""
        if not 0 <= entry.stored <= _MAX_EXTENSION_BYTES:
            raise ValueError(f"an extended header of {entry.stored} bytes is too long")
        data = self._read(entry.stored)
        self._skip(-entry.stored % BLOCK)
        return data

    def _complete(
        self, entry: Entry, block: bytes, records: dict[bytes, bytes], long_names: dict[bytes, bytes]
    ) -> None:
        """Apply what stood before the entry, and settle where its content is."""
        if records:
            _apply(records, entry)
        if long_names:
            entry.name = long_names.get(GNUTYPE_LONGNAME, entry.name)
            entry.linkname = long_names.get(GNUTYPE_LONGLINK, entry.linkname)
        _check_ranges(entry)
        if entry.kind in CONTENTLESS:
            entry.size = entry.stored = 0
            return
        self._left = entry.stored + -entry.stored % BLOCK
        if entry.kind == GNUTYPE_SPARSE:
            sparse.from_header(entry, block, lambda: self._read(BLOCK))
        elif records and sparse.is_sparse(records):
            self._left -= sparse.from_records(entry, records, lambda: self._read(BLOCK))
        self._settle_kind(entry)

    def _settle_kind(self, entry: Entry) -> None:
        """Reduce the kinds of regular files to one; before POSIX, a directory was a file with a slash at its end."""
        if entry.kind == AREGTYPE and entry.name.endswith(b"/"):
            entry.kind = DIRTYPE
            entry.size = entry.stored = self._left = 0
        elif entry.kind in _PLAIN_FILES:
            entry.kind = REGTYPE
        else:
            raise ValueError(f"entries of type {entry.kind!r} aren't supported")

    def _read(self, count: int) -> bytes:
        """Exactly `count` bytes; InvalidLayer where the archive ends before."""
        end = self._at + count
        while end > len(self._buffer):
            self._fill()
            end = self._at + count
        data = self._buffer[self._at : end]
        self._at = end
        return data

    def _skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        while count > len(self._buffer) - self._at:
            count -= len(self._buffer) - self._at
            self._at = len(self._buffer)
            self._fill()
        self._at += count

    def _fill(self) -> None:
        """Get more bytes behind those that are still to be read."""
        if not self._more():
            raise self._damaged("it ends too early")

    def _more(self) -> bool:
        """Whether there were more bytes to get."""
        data = self._source.read(_CHUNK)
        self._before += self._at
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        return bool(data)

    def _damaged(self, why: str) -> InvalidLayer:
        """The error that says where in the archive something is wrong."""
        name = os.fsdecode(self._entry.name[:_SHOWN_BYTES])
        where = f"at byte {self._before + self._at}" + (f", entry {name!r}" if name else "")
        return InvalidLayer(f"the {self._what} is damaged {where}: {why}")


def _merged(data: bytes) -> dict[bytes, bytes]:
    """Records of an extended header; the repeated ones of a sparse map become a single one."""
    records: dict[bytes, bytes] = {}
    numbers = []
    for key, value in pax_records(data):
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            numbers.append(value)
        else:
            records[key] = value
    if numbers:
        records[b"GNU.sparse.map"] = b",".join(numbers)
    return records


def _apply(records: dict[bytes, bytes], entry: Entry) -> None:
    """Let the records overrule the header block; an empty value leaves what the block says."""
    entry.name = _text(records.get(b"path")) or entry.name
    entry.linkname = _text(records.get(b"linkpath")) or entry.linkname
    if value := records.get(b"size"):
        entry.size = entry.stored = _integer(value)
    if value := records.get(b"uid"):
        entry.uid = _integer(value)
    if value := records.get(b"gid"):
        entry.gid = _integer(value)
    if value := records.get(b"mtime"):
        entry.mtime_ns = nanoseconds(value)
    entry.xattrs = {
        unescape_key(_text(key.removeprefix(_XATTR))): value for key, value in records.items() if key.startswith(_XATTR)
    }


def _text(value: bytes | None) -> bytes:
    """A name; NUL can't be part of one."""
    if value and b"\0" in value:
        raise ValueError(f"a name with a NUL byte: {value[:100]!r}")
    return value or b""


def _integer(value: bytes) -> int:
    if not value.isdigit():
        raise ValueError(f"not a number: {value[:20]!r}")
    return int(value)


def _check_ranges(entry: Entry) -> None:
    """Raise ValueError for numbers that no file has."""
    if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
        raise ValueError(f"no owner can be {entry.uid}:{entry.gid}")
    if not 0 <= entry.stored <= _MAX_INT64:
        raise ValueError(f"no file can have {entry.stored} bytes")
    if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
        raise ValueError(f"no device can have the number {entry.major}:{entry.minor}")
    if not -_MAX_INT64 <= entry.mtime_ns // 1_000_000_000 <= _MAX_INT64:
        raise ValueError("its time is out of range")
