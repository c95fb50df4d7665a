"""How far long work on files is: bytes are counted as they pass, and told from time to time once it takes a second."""

from __future__ import annotations

import time
from typing import Final

from dockmagic.events import FilesProgress, OnEvent, ignore
from dockmagic.image.streams import Sink, Source

_QUIET_S: Final = 1.0  # work that is done by then isn't mentioned
_INTERVAL_S: Final = 0.25


class Meter:
    """Counts the bytes of one piece of work; `what` says what that is, as in "copying work:/data"."""

    def __init__(self, what: str = "", on_event: OnEvent = ignore) -> None:
        self._what = what
        self._on_event = on_event
        self._size_bytes = 0
        self._next_s = time.monotonic() + _QUIET_S

    def add(self, size_bytes: int) -> None:
        """So many bytes more are done."""
        self._size_bytes += size_bytes
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _INTERVAL_S
            self._on_event(FilesProgress(self._what, self._size_bytes))


class MeteredSink:
    """A sink whose bytes are counted."""

    def __init__(self, sink: Sink, meter: Meter) -> None:
        self._sink = sink
        self._meter = meter

    def write(self, data: bytes, /) -> int:
        """Pass all of the bytes on."""
        self._meter.add(len(data))
        return self._sink.write(data)


class MeteredSource:
    """A source whose bytes are counted."""

    def __init__(self, source: Source, meter: Meter) -> None:
        self._source = source
        self._meter = meter

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        data = self._source.read(size)
        self._meter.add(len(data))
        return data
