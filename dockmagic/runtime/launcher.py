"""The launcher: a small process, one a state root, that forks a monitor for each container.

The notebook's kernel can't fork itself into a container: it has threads, and hundreds of megabytes to copy page tables
of. The launcher has neither, and it keeps a few sandboxes ready. It ends by itself when no engine holds a connection
and no container runs. It imports little and never loads a third party's package.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.codec import prepare
from dockmagic.oci.defaults import NAMESPACES
from dockmagic.oci.spec import Spec
from dockmagic.runtime import leftovers, monitor, protocol, rootfs
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.request import LAUNCHER_SOCKET, LOG, ExecRequest, Record, StartRequest
from dockmagic.runtime.sandbox import Site

PARKED: Final = 3
PARK_DELAY_S: Final = 0.006  # a start in progress has the processors first
LINGER_S: Final = 5.0
LOCK: Final = "launcher.lock"
LOCK_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """A monitor: its process, and while it is parked the socket to it."""

    pid: int
    pidfd: int
    handoff: socket.socket


class Launcher:
    """The launcher's loop."""

    def __init__(self, site: Site, listener: socket.socket) -> None:
        self._site = site
        self._listener = listener
        self._selector = selectors.PollSelector()
        self._parked: list[Child] = []
        self._running: set[int] = set()
        self._connections: set[socket.socket] = set()
        self._idle_since = time.monotonic()
        self._last_start = 0.0

    def serve(self) -> None:
        """Answer requests until nobody needs this process any more."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._on_connection)
        while not self._unneeded():
            for key, _ in self._selector.select(self._timeout()):
                key.data()
            self._park()
        self._listener.close()
        for child in self._parked:
            child.handoff.close()
        for child in self._parked:
            os.waitpid(child.pid, 0)
        leftovers.collect(self._site.state_root, self._site.run_dir, self._site.hierarchies, older_than_s=0)

    def _unneeded(self) -> bool:
        """Whether it is time to go; as long as anybody needs this process, that is put off."""
        if (self._connections or self._running) and self._idle_since >= 0:
            self._idle_since = time.monotonic()
        return not (self._connections or self._running) and time.monotonic() - self._idle_since >= LINGER_S

    def _timeout(self) -> float | None:
        """How long to wait for an event: not at all for ever, as there may be something to do without one."""
        if len(self._parked) < PARKED:
            return max(0.0, self._last_start + PARK_DELAY_S - time.monotonic())
        if self._connections or self._running:
            return None
        return max(0.0, self._idle_since + LINGER_S - time.monotonic())

    def _park(self) -> None:
        """Make one more sandbox ready, if there is time for it."""
        if len(self._parked) < PARKED and time.monotonic() >= self._last_start + PARK_DELAY_S:
            self._parked.append(self._fork(NAMESPACES))

    def _fork(self, namespaces: tuple[str, ...]) -> Child:
        """A new monitor with a sandbox of these namespaces."""
        ours, theirs = protocol.seqpacket_pair()
        pid = os.fork()
        if pid == 0:
            try:
                self._forget(ours)
                monitor.main(self._site, namespaces, theirs)
            finally:
                os._exit(1)
        theirs.close()
        child = Child(pid, os.pidfd_open(pid), ours)
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._on_end(child))
        return child

    def _forget(self, ours: socket.socket) -> None:
        """In a new monitor: close what belongs to the launcher, so that others see it end when it ends."""
        ours.close()
        self._listener.close()
        for connection in self._connections:
            connection.close()
        for child in self._parked:
            child.handoff.close()

    def _on_end(self, child: Child) -> None:
        """A monitor is gone, by itself or killed."""
        self._selector.unregister(child.pidfd)
        os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        self._running.discard(child.pid)
        if child in self._parked:
            self._parked.remove(child)
            child.handoff.close()
            self._last_start = time.monotonic() + 1.0  # whatever killed it, don't fork in a tight loop

    def _on_connection(self) -> None:
        connection = self._listener.accept()[0]
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._on_message(connection))

    def _on_message(self, connection: socket.socket) -> None:
        """A request to start a container goes to a monitor, together with the connection; anything else is the end."""
        try:
            message, descriptors = protocol.receive(connection)
        except OSError:
            message, descriptors = None, []
        if message is not None and message["op"] == "hello":
            return
        if message is not None and message["op"] == "bye":
            self._idle_since = -LINGER_S  # nobody is expected back
        elif message is not None:
            self._start(connection, message["request"], descriptors)
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()
        for descriptor in descriptors:
            os.close(descriptor)

    def _start(self, connection: socket.socket, message: protocol.Message, descriptors: list[int]) -> None:
        """Give the request to a parked monitor where the namespaces are the usual ones, else to a new one."""
        namespaces = tuple(message["namespaces"])
        self._last_start = time.monotonic()
        try:
            child = self._parked.pop(0) if self._parked and namespaces == NAMESPACES else self._fork(namespaces)
            self._running.add(child.pid)
            with child.handoff:
                protocol.send(child.handoff, message, (connection.fileno(), *descriptors))
        except OSError as error:
            failure = Failure("launcher", error.errno or 0, f"make a process: {error.strerror}")
            with contextlib.suppress(OSError):
                protocol.send(connection, protocol.failed(failure))


def cgroup_mounts(hierarchies: hierarchy.Hierarchies) -> tuple[rootfs.CgroupMount, ...]:
    """The hierarchies as a container's /sys/fs/cgroup shows them."""
    if not hierarchies.v1:
        return (rootfs.CgroupMount("", "cgroup2", ""),) if hierarchies.v2 else ()
    by_mount: dict[str, list[str]] = {}
    for controller, mount in hierarchies.v1.items():
        by_mount.setdefault(mount, []).append(controller)
    return tuple(rootfs.CgroupMount(",".join(names), "cgroup", ",".join(names)) for names in by_mount.values())


def main(state_root: str, run_dir: str, ready: int) -> None:
    """Serve this state root; `ready` is a descriptor that closes when requests can come.

    Where another launcher serves it already, this one ends at once, and the caller finds the other.
    """
    lock = take_lock(run_dir)
    if lock < 0:
        return
    p.set_name("dockmagic-launch")
    p.prctl(p.PR_SET_DUMPABLE, 0)  # nobody in a container may look into a process on its way in
    os.makedirs(f"{run_dir}/stage", mode=0o700, exist_ok=True)
    hierarchies = hierarchy.detect()
    hierarchy.prepare(hierarchies)
    site = Site(state_root, run_dir, hierarchies, cgroup_mounts(hierarchies))
    listener = protocol.listen(f"{run_dir}/{LAUNCHER_SOCKET}")
    os.close(ready)
    prepare(Spec, StartRequest, ExecRequest, Record)
    gc.disable()
    gc.freeze()  # what a child never collects it never copies
    Launcher(site, listener).serve()
    leave(run_dir)


def take_lock(run_dir: str) -> int:
    """Descriptor of the lock that says "the launcher of this directory"; -1 where another process has it and serves.

    lockf(3) locks belong to the process, so that no child of it holds them on. One that is just about to end may still
    have the lock, or have removed its file.
    """
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while time.monotonic() < deadline:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        lock = os.open(f"{run_dir}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:
                return lock
        os.close(lock)
        with contextlib.suppress(OSError):
            protocol.connect(f"{run_dir}/{LAUNCHER_SOCKET}").close()
            return -1
        time.sleep(0.005)
    return -1


def leave(run_dir: str) -> None:
    """Remove the launcher's own files, and the directory where no container has any; the lock's file goes last."""
    for remove, name in ((os.unlink, LAUNCHER_SOCKET), (os.rmdir, "stage"), (os.unlink, LOG), (os.unlink, LOCK)):
        with contextlib.suppress(OSError):
            remove(f"{run_dir}/{name}")
    with contextlib.suppress(OSError):
        os.rmdir(run_dir)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
