"""The resolver: one process a state root, which answers at 127.0.0.11 inside the containers on networks of the user's.

It begins with the first such container, and ends with the last. Who starts a container hands over its network
namespace and its process over a socket in RUN_DIR; messages are JSON objects, one a packet, with descriptors beside:

    {"op": "serve", "container": ID}, namespace, pidfd   -> {"event": "serving"} | {"event": "failed", "reason": …}
    {"op": "list"}                                       -> {"event": "list", "containers": [ID, …]}
    {"op": "bye"}                                           nobody is expected back soon

Source: network_namespaces(7); Docker's embedded DNS server.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.linux.interfaces import link_up
from dockmagic.linux.process import CLONE_NEWNET, set_name, setns
from dockmagic.network import redirect
from dockmagic.network.records import Records
from dockmagic.network.service import Service
from dockmagic.runtime import protocol
from dockmagic.runtime.request import RESOLVER_LOCK, RESOLVER_LOG, RESOLVER_SOCKET
from dockmagic.runtime.resolv_conf import RESOLVER, Upstream

LINGER_S: Final = 5.0
BACKLOG: Final = 64


@dataclass(frozen=True, slots=True)
class Served:
    """A container that is served: its service, its network namespace and its process 1."""

    service: Service
    namespace: int
    pidfd: int


class Resolver:
    """The process's one object. `listener` is the socket in the run directory, `own` its own network namespace."""

    def __init__(self, state_root: Path, listener: socket.socket, own: int) -> None:
        self._records = Records(state_root, lambda: self._served)
        self._listener = listener
        self._own = own
        self._served: dict[str, Served] = {}
        self._connections: set[socket.socket] = set()
        self._begun: set[asyncio.Task[None]] = set()
        self._unneeded = asyncio.Event()
        self._linger_s = LINGER_S
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until nobody needs this process any more."""
        asyncio.get_running_loop().add_reader(self._listener, self._on_connection)
        self._rest()
        await self._unneeded.wait()
        for container_id in list(self._served):
            self._leave(container_id)

    def _rest(self) -> None:
        """Begin to wait for the end where nobody needs this process, or stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._served and not self._connections:
            self._timer = asyncio.get_running_loop().call_later(self._linger_s, self._unneeded.set)

    def _on_connection(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._connections.add(connection)
            asyncio.get_running_loop().add_reader(connection, self._on_message, connection)
            self._rest()

    def _on_message(self, connection: socket.socket) -> None:
        """Do what is asked; forget a connection at its end."""
        with contextlib.suppress(OSError):
            message, descriptors = protocol.receive(connection)
            if message is not None:
                self._do(connection, message, descriptors)
                return
        asyncio.get_running_loop().remove_reader(connection)
        self._connections.discard(connection)
        connection.close()
        self._rest()

    def _do(self, connection: socket.socket, message: protocol.Message, descriptors: list[int]) -> None:
        match message["op"]:
            case "serve":
                task = asyncio.get_running_loop().create_task(
                    self._serve(connection, message["container"], *descriptors)
                )
                self._begun.add(task)
                task.add_done_callback(self._begun.discard)
            case "list":
                _tell(connection, {"event": "list", "containers": list(self._served)})
            case "bye":
                self._linger_s = 0.0

    async def _serve(self, connection: socket.socket, container_id: str, namespace: int, pidfd: int) -> None:
        """Open the container's sockets, in place of those of an earlier run, and answer that they are open."""
        self._leave(container_id)
        self._linger_s = LINGER_S
        try:
            self._served[container_id] = await self._opened(container_id, namespace, pidfd)
        except OSError as error:
            os.close(namespace)
            os.close(pidfd)
            _tell(connection, {"event": "failed", "reason": error.strerror or str(error)})
            return
        asyncio.get_running_loop().add_reader(pidfd, self._leave, container_id)
        self._rest()
        _tell(connection, {"event": "serving"})

    async def _opened(self, container_id: str, namespace: int, pidfd: int) -> Served:
        """The container's service, which has begun; raises OSError."""

        def open_socket(server: Upstream, kind: int) -> socket.socket:
            with self._inside(self._own if server.on_host else namespace):
                made = socket.socket(socket.AF_INET6 if ":" in server.address else socket.AF_INET, kind)
            made.setblocking(False)
            return made

        service = Service(
            self._records.neighbours(container_id),
            lambda: self._records.servers(container_id),
            lambda: self._records.dotted(container_id),
            open_socket,
        )
        with self._inside(namespace):
            link_up("lo")  # a socket that is bound before that answers from 127.0.0.1
            udp, tcp = _listening(socket.SOCK_DGRAM), _listening(socket.SOCK_STREAM)
            redirect.install(udp.getsockname()[1], tcp.getsockname()[1])
        await service.begin(udp, tcp)
        return Served(service, namespace, pidfd)

    @contextlib.contextmanager
    def _inside(self, namespace: int) -> Iterator[None]:
        """Be in another network namespace; what is opened there stays there. Raises OSError."""
        setns(namespace, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(self._own, CLONE_NEWNET)

    def _leave(self, container_id: str) -> None:
        """Close a container's sockets, so that its network namespace can go."""
        served = self._served.pop(container_id, None)
        if served is not None:
            asyncio.get_running_loop().remove_reader(served.pidfd)
            served.service.end()
            os.close(served.namespace)
            os.close(served.pidfd)
            self._rest()


def _listening(kind: int) -> socket.socket:
    """Socket on a free port of the resolver's address, in the network namespace of this moment."""
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    made.bind((RESOLVER, 0))
    if kind == socket.SOCK_STREAM:
        made.listen(BACKLOG)
    return made


def _tell(connection: socket.socket, message: protocol.Message) -> None:
    """Answer, if anybody is still there to hear it."""
    with contextlib.suppress(OSError):
        protocol.send(connection, message)


def main(state_root: str, run_dir: str, ready: int) -> None:
    """Serve this state root; `ready` is a descriptor that is closed when requests can come.

    Where another process serves it already, this one ends at once, and the caller finds the other.
    """
    set_name("dockmagic-names")
    lock = take_lock(run_dir)
    if lock < 0:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = protocol.listen(f"{run_dir}/{RESOLVER_SOCKET}")
    listener.setblocking(False)
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    os.close(ready)
    try:
        asyncio.run(Resolver(Path(state_root), listener, own).run())
    finally:
        leave(run_dir)


def take_lock(run_dir: str) -> int:
    """Descriptor of the lock that says "the resolver of this directory"; -1 where another process has it."""
    while True:
        lock = os.open(f"{run_dir}/{RESOLVER_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return -1
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)  # of one that has just ended


def leave(run_dir: str) -> None:
    """Remove this process's files, the lock last, and the directory if nothing else is in it."""
    for name in (RESOLVER_SOCKET, RESOLVER_LOG, RESOLVER_LOCK):
        Path(run_dir, name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(run_dir).rmdir()
