"""Archives for tests, written by Python's own tarfile or byte by byte, never by what is tested."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Literal

END = bytes(1024)


def member(
    name: str | bytes,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    linkname: str = "",
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    mtime: float = 0,
    device: tuple[int, int] = (0, 0),
    pax: Mapping[str, str] | None = None,
    form: Literal[0, 1, 2] = tarfile.PAX_FORMAT,
) -> bytes:
    """Blocks of one entry, headers and content; the owner is 0:0 unless said otherwise."""
    info = tarfile.TarInfo(name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
    info.type = kind
    info.linkname = linkname
    info.mode = mode
    info.uid, info.gid = owner or (0, 0)
    info.mtime = mtime
    info.size = len(content)
    info.devmajor, info.devminor = device
    info.pax_headers = dict(pax or {})
    return info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


def record(key: str, value: bytes) -> bytes:
    """A pax record."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def pax_header(*records: bytes) -> bytes:
    """A pax header whose records tarfile wouldn't write."""
    return member("PaxHeader", b"".join(records), kind=tarfile.XHDTYPE, form=tarfile.USTAR_FORMAT)


def patched(block: bytes, at: int, field: bytes) -> bytes:
    """An entry with other bytes in its header, and a checksum that fits them."""
    changed = bytearray(block)
    changed[at : at + len(field)] = field
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:512])
    return bytes(changed)


def archive(*members: bytes) -> io.BytesIO:
    """A whole archive, ready to be read."""
    return io.BytesIO(b"".join(members) + END)
