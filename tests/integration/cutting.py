"""A wire to a registry that breaks, or goes dead, after a number of bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.integration.registry_fixture import Registry


class Cutter:
    """Passes connections on to a registry. One that has sent more bytes than the next of `limits` is broken off, which
    uses the limit up; or, with `hold`, is the first of all whose bytes are swallowed.
    """

    def __init__(self, registry: Registry, limits: list[int], *, hold: bool = False) -> None:
        self._registry = registry
        self.limits = limits
        self._hold = hold
        self.held = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        host, _, port = self._registry.host.partition(":")
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((host, int(port)))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._pass_on, args=(source, target, client)))
                    self._threads[-1].start()

    def _pass_on(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        total, dead = 0, False
        with suppress(OSError):
            while data := source.recv(16384):
                total += len(data) if source is client else 0
                if self.limits and total > self.limits[0]:
                    self.limits.pop(0)
                    dead = self._hold
                    self.held.set()
                    if not dead:
                        break
                if not dead:
                    target.sendall(data)
        _end(source)
        _end(target)

    def close(self) -> None:
        """End all connections and threads."""
        for each in self._open:
            _end(each)
        for thread in self._threads:
            thread.join(10)
        for each in self._open:
            each.close()


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(registry: Registry, limits: list[int], *, hold: bool = False) -> Iterator[Cutter]:
    """A wire that is gone at the end of the block."""
    cutter = Cutter(registry, limits, hold=hold)
    try:
        yield cutter
    finally:
        cutter.close()
