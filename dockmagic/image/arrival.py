"""A blob on its way: one thread brings it, others read what is there already and wait for the rest.

Its end is only seen once all of it is verified and stored, so who has read a blob to its end has read the right one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dockmagic.oci.descriptor import Descriptor

_CHUNK: Final = 1 << 20


class Arrival:
    """What is known of a blob's way. `close` once nobody reads it any more; any thread may call any method."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        self._changed = threading.Condition()
        self._fd = -1
        self._size = 0
        self._stored = False
        self._error: BaseException | None = None
        self._spoilt = False

    @property
    def stored(self) -> bool:
        """Whether all of it is verified and in the store."""
        return self._stored

    @property
    def spoilt(self) -> bool:
        """Whether some of what was there once was wrong: who has read it must begin again."""
        return self._spoilt

    def begin(self, path: Path) -> None:
        """Say which file its bytes go to."""
        with self._changed:
            if self._fd < 0:
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def grow(self, size: int) -> None:
        """Say how many bytes are there; fewer than before, and this before they go, where it has to begin again."""
        with self._changed:
            self._size = size
            self._changed.notify_all()

    def spoil(self) -> None:
        """Say that what is there is wrong, before it goes."""
        self._spoilt = True
        self.grow(0)

    def finish(self, path: Path) -> None:
        """Say that all of it is in the store, at this path."""
        self.begin(path)
        with self._changed:
            self._size = self.descriptor.size
            self._stored = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Say that it won't come; all who wait for it get the error."""
        with self._changed:
            if not self._stored and self._error is None:
                self._error = error
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until it is stored; raises the error where it won't come."""
        with self._changed:
            self._changed.wait_for(lambda: self._stored or self._error is not None)
        self._check()

    def read_at(self, offset: int, size: int, given_up: Callable[[], bool]) -> bytes:
        """At most `size` bytes from `offset` on, none at the end or where it was given up.

        Raises the error where the rest won't come.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._size > offset or self._stored or self._error or given_up())
            self._check()
            available = 0 if given_up() else max(0, min(self._size - offset, size))
            return os.pread(self._fd, available, offset) if available else b""

    def notify(self) -> None:
        """Let those who wait look again whether they were given up."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._changed:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


class ArrivingSource:
    """Reads an arrival from its beginning; `on_read` hears how far it is. One thread reads, any may abandon it."""

    def __init__(self, arrival: Arrival, on_read: Callable[[int], None]) -> None:
        self._arrival = arrival
        self._on_read = on_read
        self.taken = 0
        self._abandoned = False

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        data = self._arrival.read_at(self.taken, _CHUNK if size < 0 else size, lambda: self._abandoned)
        self.taken += len(data)
        self._on_read(self.taken)
        return data

    def abandon(self) -> None:
        """Let the thread that reads come to an end."""
        self._abandoned = True
        self._arrival.notify()
