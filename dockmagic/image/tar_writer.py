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

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._waiting = bytearray()

    def add(self, entry: Entry, fd: int) -> None:
        """Write an entry and the `stored` bytes that an open file has from its beginning."""
        self._waiting += encode(entry)
        left = entry.stored
        while left:
            data = os.read(fd, min(left, _CHUNK))
            if not data:
                raise OSError(0, "it became shorter while it was read", entry.name)
            left -= len(data)
            self._waiting += data
            if len(self._waiting) >= _CHUNK:
                self._flush()
        self._waiting += padding(entry.stored)

    def finish(self) -> None:
        """Write the end marker."""
        self._waiting += bytes(2 * BLOCK)
        self._flush()

    def _flush(self) -> None:
        self._out.write(bytes(self._waiting))
        self._waiting.clear()
