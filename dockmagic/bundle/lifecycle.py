"""The operations on a container that there is. Source: runtime-spec runtime.md "Operations"."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable

from dockmagic.bundle import hooks, limits, state
from dockmagic.bundle.destroy import destroy, send
from dockmagic.errors import ContainerError, InvalidBundle, InvalidManifest, InvalidOption, InvalidState, NotFound
from dockmagic.oci.codec import decode, known
from dockmagic.oci.config import Resources
from dockmagic.runtime import protocol

Warn = Callable[[str], None]


def start(containers: state.Containers, container: state.Container, warn: Warn) -> None:
    """Have the process become the program; raises InvalidState and ContainerError.

    Where the program can't be started the container has stopped.
    """
    container.require("start")
    if container.config.process is None:
        raise InvalidBundle("process: it is missing; a container without one can't be started")
    with _connection(container) as connection:
        protocol.send(connection, {"event": "start", "state": container.document("created")})
        try:
            message, _ = protocol.receive(connection)
        except ConnectionResetError:
            message = None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{container.directory}/{state.START_SOCKET}")
    if message is not None:
        raise ContainerError(protocol.failure(message).reason)
    hooks.run_all("poststart", container.config.hooks.poststart, container.document("running"), warn)


def _connection(container: state.Container) -> socket.socket:
    """A connection to the process that waits; the first who asks for one gets it. Raises InvalidState."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    holder = os.open(container.directory, os.O_PATH | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{holder}/{state.START_SOCKET}")
    except OSError as error:
        connection.close()
        raise InvalidState(container.record.id, "start", "started already") from error
    finally:
        os.close(holder)
    return connection


def kill(container: state.Container, number: int, *, everyone: bool = False) -> None:
    """Send a signal to the container's process, or to all of its processes; raises InvalidState."""
    if everyone:
        for pid in container.group.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    else:
        container.require("kill")
        if not send(container, number):
            raise InvalidState(container.record.id, "kill", "stopped")
    if number == signal.SIGKILL:
        with contextlib.suppress(OSError):
            container.group.thaw()


def delete(containers: state.Containers, container_id: str, *, force: bool, warn: Warn) -> None:
    """Remove a container that has stopped, with `force` any; raises NotFound, InvalidState."""
    try:
        container = containers.get(container_id)
    except NotFound:
        if force:
            containers.forget(container_id)
            return
        raise
    if not force:
        container.require("delete")
    destroy(containers, container, warn)


def pause(container: state.Container) -> None:
    """Have all processes stand still; raises InvalidState."""
    container.require("pause")
    container.group.freeze()


def resume(container: state.Container) -> None:
    """Let the processes go on; raises InvalidState."""
    container.require("resume")
    container.group.thaw()


def update(container: state.Container, path: str) -> None:
    """Change limits to those in a file of resources, "-" for standard input; the others stay. Raises InvalidBundle."""
    container.require("update")
    try:
        with sys.stdin if path == "-" else open(path) as file:
            document = json.load(file)
        wanted = decode(Resources, known(Resources, document, []))
    except (OSError, ValueError, InvalidManifest) as error:
        raise InvalidBundle(f"{path}: {error}") from error
    limits.apply(container.group, wanted)


def processes(container: state.Container) -> list[int]:
    """Numbers of all processes of the container, as the host sees them."""
    container.require("list the processes of")
    return container.group.pids()


def signal_number(text: str) -> int:
    """The signal with this number or name, with or without SIG; raises InvalidOption.

    >>> signal_number("TERM")
    15
    """
    if text.isdecimal() and int(text) in range(1, signal.SIGRTMAX + 1):
        return int(text)
    name = f"SIG{text.upper().removeprefix('SIG')}"
    found = getattr(signal, name, None)
    if not isinstance(found, signal.Signals):
        raise InvalidOption(f"signal {text!r}: there is none with this name or number")
    return int(found)
