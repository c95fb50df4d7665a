"""Network namespaces of containers that have ended, kept until there is a quiet moment.

While the kernel does away with one it holds the lock that every change of a link, an address or a route takes (rtnl),
for 20 ms and more: a container that starts meanwhile would have to wait. Many at once take it little longer than one.
Monitors put descriptors in, the launcher lets them go; a descriptor in a socket's queue keeps a namespace alive, too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from array import array
from typing import Final

QUIET_S: Final = 1.0
MOST: Final = 64


class Attic:
    """The launcher's end, and that of its monitors, which inherit it."""

    def __init__(self) -> None:
        self.inside, self._door = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (self.inside, self._door):
            end.setblocking(False)
        self._kept: list[int] = []
        self._last = 0.0

    def put(self, namespace: int) -> None:
        """In a monitor: leave a namespace, whose descriptor is closed here."""
        with contextlib.suppress(OSError):
            self._door.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [namespace]))])
        os.close(namespace)

    def fetch(self) -> None:
        """In the launcher: take in what was put."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, descriptors, _, _ = socket.recv_fds(self.inside, 1, MOST, socket.MSG_CMSG_CLOEXEC)
                self._kept += descriptors
                if not data:
                    break
                self._last = time.monotonic()
        if len(self._kept) >= MOST:
            self._clear()

    def wait_s(self) -> float | None:
        """How long until it can be cleared, which is done where that is now; None where it is empty."""
        if not self._kept:
            return None
        remaining = self._last + QUIET_S - time.monotonic()
        if remaining > 0:
            return remaining
        self._clear()
        return None

    def touch(self) -> None:
        """Somebody starts a container: put it off."""
        self._last = time.monotonic()

    def forget(self) -> None:
        """In a new monitor: close the launcher's part."""
        self.inside.close()
        self._clear()

    def _clear(self) -> None:
        while self._kept:
            os.close(self._kept.pop())
