"""A socket in front of an SSH agent, through which a step lists keys and signs, and can do nothing else.

Each connection is one of its own to the agent. Requests that would change the agent are answered with a failure, as
BuildKit does. Source: draft-ietf-sshm-ssh-agent, sections 3 and 5; unix(7).
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from dockmagic.builder.attributes import Owner
from dockmagic.errors import BuildError

_ALLOWED: Final = frozenset((11, 13))  # SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENTC_SIGN_REQUEST
_FAILURE: Final = struct.pack("!IB", 1, 5)  # SSH_AGENT_FAILURE
_MAX_BYTES: Final = 256 << 10  # the longest message that OpenSSH's agent takes


@contextmanager
def forwarded(agent: Path, place: Path, owner: Owner, mode: int) -> Iterator[None]:
    """A socket at `place` that leads to the agent's, with this owner and mode, as long as the block lasts.

    Raises BuildError where the agent doesn't answer.
    """
    try:
        connect(agent).close()
    except OSError as error:
        raise BuildError(f"can't connect to the SSH agent at {agent}: {error.strerror}; is it running?") from error
    with _listening(place) as listener:
        os.chown(place, owner.uid, owner.gid)
        place.chmod(mode)
        relay = _Relay(listener, agent)
        try:
            yield
        finally:
            relay.close()


def connect(path: Path) -> socket.socket:
    """A connection to the socket at this path, which may be longer than an address can be; raises OSError."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"/proc/self/fd/{place}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(place)
    return connection


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A socket that listens at this path, of any length."""
    parent = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{parent}/{path.name}")
            listener.listen()
            yield listener
    finally:
        os.close(parent)


class _Relay:
    """Threads that serve the connections to a listening socket, one for each."""

    def __init__(self, listener: socket.socket, agent: Path) -> None:
        self._listener = listener
        self._agent = agent
        self._lock = threading.Lock()
        self._closed = False
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="ssh-agent")]
        self._threads[0].start()

    def close(self) -> None:
        """End all connections, whatever they wait for, and wait for the threads."""
        with self._lock:
            self._closed = True
            for each in (self._listener, *self._open):
                _shut(each)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        """Serve whoever connects, until the listener is shut down."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), name="ssh-agent")
            with self._lock:
                if self._closed:
                    client.close()
                    return
                self._threads = [each for each in self._threads if each.is_alive()]
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Answer the requests of one connection until either side ends it."""
        with suppress(OSError, EOFError), self._kept(client), connect(self._agent) as agent, self._kept(agent):
            while True:
                client.sendall(_answer(_message(client), agent))

    @contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[None]:
        """Let `close` end this connection; it is closed at the end of the block."""
        with connection:
            with self._lock:
                self._open.add(connection)
                if self._closed:
                    _shut(connection)
            try:
                yield
            finally:
                with self._lock:
                    self._open.discard(connection)


def _answer(request: bytes, agent: socket.socket) -> bytes:
    """What the agent says to a request, or a failure in its place."""
    if len(request) < 5 or request[4] not in _ALLOWED:
        return _FAILURE
    agent.sendall(request)
    return _message(agent)


def _message(source: socket.socket) -> bytes:
    """One message with its length in front; raises EOFError at the end, and for what can't be a message."""
    head = _exactly(source, 4)
    (size,) = struct.unpack("!I", head)
    if size > _MAX_BYTES:
        raise EOFError
    return head + _exactly(source, size)


def _exactly(source: socket.socket, size: int) -> bytes:
    """So many bytes; raises EOFError where the other side ends before."""
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _shut(connection: socket.socket) -> None:
    """Wake up whoever waits for it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
