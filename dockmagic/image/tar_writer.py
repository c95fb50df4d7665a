"""A plain tar stream written from entries: ustar headers, with pax headers before them where needed.

Sources: POSIX pax, "ustar Interchange Format" and "pax Header Block".
"""

from __future__ import annotations

import os
from typing import Final

from dockmagic.image.streams import Sink
from dockmagic.image.tar_header import BLOCK, Entry, encode, padding

_CHUNK: Final = 1 << 20


class TarWriter:
    """Takes entries and writes them in large pieces; `finish` writes the end of the archive and leaves `out` open."""

    def __init__(self, out: Sink, *, pads: bool = False) -> None:
        """`pads`: a file that becomes shorter while it is read is filled up with zeros, as GNU tar does."""
        self._out = out
        self._pads = pads
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, entry: Entry, fd: int) -> None:
        """Write an entry and the `stored` bytes that an open file has from its beginning."""
        self._write(encode(entry))
        left = entry.stored
        while left:
            data = os.read(fd, min(left, _CHUNK)) or (bytes(min(left, _CHUNK)) if self._pads else b"")
            if not data:
                raise OSError(0, "it became shorter while it was read", entry.name)
            left -= len(data)
            self._write(data)
        if entry.stored % BLOCK:
            self._write(padding(entry.stored))

    def add_bytes(self, entry: Entry, content: bytes) -> None:
        """Write an entry of a regular file with this content."""
        entry.size = entry.stored = len(content)
        self._write(encode(entry))
        self._write(content + padding(len(content)))

    def finish(self) -> None:
        """Write the end marker."""
        self._write(bytes(2 * BLOCK))
        self._flush()

    def _write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._out.write(b"".join(self._waiting))
        self._waiting.clear()
        self._waiting_bytes = 0
