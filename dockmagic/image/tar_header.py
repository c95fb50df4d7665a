"""One entry of a tar archive, and the 512-byte block that describes it.

Sources: tar(5); POSIX pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format"; RFC
1950 for Adler-32.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from tarfile import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE, XHDTYPE
from typing import Final
from zlib import adler32

BLOCK: Final = 512
CONTENTLESS: Final = frozenset((LNKTYPE, SYMTYPE, CHRTYPE, BLKTYPE, DIRTYPE, FIFOTYPE))
NS: Final = 1_000_000_000

_TEXTS: Final = struct.Struct("100s48x8sc100s6s82x155s12x")  # name, checksum, type, link name, magic and prefix
_NUMBERS: Final = struct.Struct("8s8s8s12s12s")  # mode, uid, gid, size and mtime
_NUMBERS_AT: Final = 100
_USUAL_NUMBERS: Final = re.compile(rb"([0-7]{7})\0" * 3 + rb"([0-7]{11})\0" * 2)  # as nearly all writers have them
_USTAR: Final = b"ustar\0"
_MIDDLE: Final = _USTAR + b"00" + bytes(64)  # the version, and no names of user and group
_END: Final = bytes(167)  # no prefix
_SPACES: Final = 8 * 32  # what the checksum's own field counts as
_MAX_ID: Final = 0o7777777
_MAX_SIZE: Final = 0o77777777777
_NAME_BYTES: Final = 100


@dataclass(slots=True)
class Entry:
    """What an archive says of one file; `kind` is the type flag.

    To be written, a name is relative and has no slash at its end; one that was read is as the archive has it.
    `size` counts the bytes of the file itself, holes included; `stored` those in the archive. `segments` is where the
    stored bytes go in a sparse file, as (offset, length), and None in any other.
    """

    name: bytes
    kind: bytes = REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    linkname: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    stored: int = 0
    segments: tuple[tuple[int, int], ...] | None = None


def decode(block: bytes) -> Entry:
    """The entry in a header block, without what extended headers say; ValueError where the block is no header."""
    name, checksum, kind, linkname, magic, prefix = _TEXTS.unpack(block)
    _check_sum(block, checksum)
    name = name.partition(b"\0")[0]
    if magic == _USTAR and prefix[0]:
        name = prefix.partition(b"\0")[0] + b"/" + name
    usual = _USUAL_NUMBERS.match(block, _NUMBERS_AT)
    if usual:
        mode, uid, gid, size, mtime = [int(digits, 8) for digits in usual.groups()]
    else:
        mode, uid, gid, size, mtime = map(number, _NUMBERS.unpack_from(block, _NUMBERS_AT))
    linkname = linkname.partition(b"\0")[0] if linkname[0] else b""
    entry = Entry(name, kind, mode, uid, gid, size, mtime * NS, linkname, stored=size)
    if kind in (CHRTYPE, BLKTYPE):
        entry.major, entry.minor = number(block[329:337]), number(block[337:345])
    return entry


def _check_sum(block: bytes, field: bytes) -> None:
    """Raise ValueError unless the bytes sum up, the checksum's own taken as spaces; old tars summed signed chars."""
    digits = field.strip(b" \0")
    expected = int(digits, 8) if digits.isdigit() else -1
    total = _sum(block) - sum(field) + _SPACES
    if total != expected:
        signed = total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
        if signed != expected:
            raise ValueError("the checksum of the header is wrong")


def number(text: bytes) -> int:
    """Value of a numeric field: octal digits, or GNU's base 256 with the top bit set."""
    if text[0] & 0x80:
        value = int.from_bytes(text, "big") & ((1 << (8 * len(text) - 1)) - 1)
        return value - (1 << (8 * len(text) - 1)) if text[0] & 0x40 else value
    digits = text.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if not digits.isdigit():
        raise ValueError(f"not a number: {digits!r}")
    return int(digits, 8)


def encode(entry: Entry) -> bytes:
    """Header blocks of an entry: an extended header first where the plain one can't say it all."""
    records = _records(entry)
    return (_extended(entry, records) if records else b"") + _block(entry)


def _extended(entry: Entry, records: Mapping[bytes, bytes]) -> bytes:
    """A pax header with these records, ready to stand before the entry's own header."""
    data = b"".join(pax_record(key, records[key]) for key in sorted(records))
    parent, _, base = entry.name.rpartition(b"/")
    name = (parent + b"/" if parent else b"") + b"PaxHeaders.0/" + base
    return _block(Entry(name, XHDTYPE, 0o644, size=len(data), stored=len(data))) + data + padding(len(data))


def padding(size: int) -> bytes:
    """Zeros that fill up the last block of `size` bytes."""
    return bytes(-size % BLOCK)


def pax_record(key: bytes, value: bytes) -> bytes:
    """A record "length key=value"; the length counts itself."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of an extended header, in order; ValueError where it is malformed."""
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[at + len(digits) + 1 : at + length]
        key, equals, value = record[:-1].partition(b"=")
        if not (key and equals and record.endswith(b"\n") and at + length <= len(data)):
            raise ValueError("a record of the extended header is malformed")
        yield key, value
        at += length


def _records(entry: Entry) -> dict[bytes, bytes]:
    """Pax records for all that the header block can't hold."""
    records: dict[bytes, bytes] = {}
    if len(entry.name) + (entry.kind == DIRTYPE) > _NAME_BYTES or not entry.name.isascii():
        records[b"path"] = _stored_name(entry)
    if len(entry.linkname) > _NAME_BYTES or not entry.linkname.isascii():
        records[b"linkpath"] = entry.linkname
    for key, value, limit in (
        (b"uid", entry.uid, _MAX_ID),
        (b"gid", entry.gid, _MAX_ID),
        (b"size", entry.stored, _MAX_SIZE),
    ):
        if value > limit:
            records[key] = b"%d" % value
    seconds, fraction = divmod(entry.mtime_ns, NS)
    if fraction or not 0 <= seconds <= _MAX_SIZE:
        records[b"mtime"] = decimal(entry.mtime_ns)
    for name, content in entry.xattrs.items():
        records[b"SCHILY.xattr." + escape_key(name)] = content
    return records


def _stored_name(entry: Entry) -> bytes:
    """The name as archives have it: a directory's ends in a slash."""
    return entry.name + b"/" if entry.kind == DIRTYPE else entry.name


def _block(entry: Entry) -> bytes:
    """The header block; what doesn't fit is cut or 0, because a pax record says it."""
    seconds = entry.mtime_ns // NS
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        _stored_name(entry)[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0"),
        entry.mode & 0o7777,
        entry.uid if entry.uid <= _MAX_ID else 0,
        entry.gid if entry.gid <= _MAX_ID else 0,
        entry.stored if entry.stored <= _MAX_SIZE else 0,
        seconds if 0 <= seconds <= _MAX_SIZE else 0,
    )
    linkname = entry.linkname[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
    tail = b"%b%b%b%07o\0%07o\0%b" % (entry.kind, linkname, _MIDDLE, entry.major, entry.minor, _END)
    total = _sum(head) + _sum(tail) + _SPACES
    return b"%b%06o\0 %b" % (head, total, tail)


def _sum(block: bytes) -> int:
    """Sum of at most 512 bytes, by way of Adler-32: its lower half is 1 and the sum, as long as that is below 65521."""
    return (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2


def decimal(ns: int) -> bytes:
    """Nanoseconds as a decimal number of seconds, without trailing zeros.

    >>> decimal(-1_500_000_000)
    b'-1.5'
    """
    seconds, fraction = divmod(abs(ns), NS)
    digits = b".%09d" % fraction if fraction else b""
    return b"%s%d%s" % (b"-" if ns < 0 else b"", seconds, digits.rstrip(b"0"))


def nanoseconds(text: bytes) -> int:
    """A decimal number of seconds as nanoseconds, exactly; digits after the ninth are dropped.

    >>> nanoseconds(b"-1.5")
    -1500000000
    """
    sign = -1 if text.startswith(b"-") else 1
    seconds, _, fraction = text.removeprefix(b"-").partition(b".")
    if not seconds.isdigit() or not (fraction or b"0").isdigit():
        raise ValueError(f"not a time: {text!r}")
    return sign * (int(seconds) * NS + int(fraction[:9].ljust(9, b"0")))


def escape_key(name: str) -> bytes:
    """An attribute's name as the key of a record, which can't hold "=": GNU tar's way."""
    return name.encode("utf-8", "surrogateescape").replace(b"%", b"%25").replace(b"=", b"%3D")


def unescape_key(key: bytes) -> str:
    """The attribute's name that such a key stands for."""
    return key.replace(b"%3D", b"=").replace(b"%25", b"%").decode("utf-8", "surrogateescape")
