"""What a container's start has to do with the resolver: hand its network namespace over, before its program begins."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Final

from dockmagic.runtime import protocol

PATIENCE_S: Final = 5.0


@contextlib.contextmanager
def served(path: str, container_id: str, pid: int, warnings: list[str]) -> Iterator[None]:
    """Have the resolver at `path` serve the container, whose process 1 is `pid`, when the context ends.

    It sets to work while the context lasts. Where it doesn't, the container goes on without: a warning says so. An
    empty path is no resolver.
    """
    if not path:
        yield
        return
    try:
        connection = protocol.connect(path)
    except OSError as error:
        warnings.append(_warning(error))
        yield
        return
    with connection:
        connection.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):  # which `heard` will say
            announce(connection, container_id, pid)
        yield
        try:
            heard(connection)
        except OSError as error:
            warnings.append(_warning(error))


def announce(connection: socket.socket, container_id: str, pid: int) -> None:
    """Hand over the network namespace of a process, and the process; raises OSError."""
    process = os.pidfd_open(pid)
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            protocol.send(connection, {"op": "serve", "container": container_id}, (namespace, process))
        finally:
            os.close(namespace)
    finally:
        os.close(process)


def heard(connection: socket.socket) -> None:
    """Wait for the resolver's answer; raises OSError where it can't serve the container, or isn't there."""
    message, _ = protocol.receive(connection)
    if message is None:
        raise ConnectionResetError("it has ended")
    if message["event"] == "failed":
        raise OSError(message["reason"])


def _warning(error: OSError) -> str:
    return f"names of other containers can't be resolved: {error.strerror or error}"
