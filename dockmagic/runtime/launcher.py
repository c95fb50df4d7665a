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
import resource
import selectors
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dockmagic.linux import process as p
from dockmagic.oci.codec import prepare
from dockmagic.oci.spec import Spec
from dockmagic.runtime import boot, bridges, leftovers, monitor, protocol, rootfs
from dockmagic.runtime.attic import Attic
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.request import (
    LAUNCHER_SOCKET,
    LINKED_SOCKET,
    LOG,
    START_SOCKET,
    ExecRequest,
    Record,
    StartRequest,
    root_key,
)
from dockmagic.runtime.sandbox import Site

PARKED: Final = {START_SOCKET: 1, LINKED_SOCKET: 2}
"""How many monitors wait at each socket."""
LINGER_S: Final = 5.0
FAILURE_PAUSE_S: Final = 0.1
LOCK: Final = "launcher.lock"
LOCK_PATIENCE_S: Final = 5.0
PATIENCE_S: Final = 2.0  # with starts under way; later ones go on without a launcher
MAX_DESCRIPTORS: Final = 1 << 20  # of a process in a container, as Docker has it


@dataclass(frozen=True, slots=True)
class Child:
    """A monitor that waits at the socket `place`. `parked` is a pipe that ends when a container has come."""

    pid: int
    pidfd: int
    parked: int
    place: str


class Launcher:
    """The launcher's loop.

    Monitors that wait all accept connections from one socket, so that an engine reaches one of them without a detour
    (the kernel wakes one). This process only sees to it that there are some, and stays as long as it is needed.
    """

    def __init__(self, site: Site, leases: socket.socket, starts: Mapping[str, socket.socket]) -> None:
        self._site = site
        self._leases = leases
        self._starts = starts
        self._selector = selectors.PollSelector()
        self._parked: list[Child] = []
        self._running: set[Child] = set()
        self._connections: set[socket.socket] = set()
        self._idle_since = time.monotonic()

    def serve(self) -> None:
        """Answer requests until nobody needs this process any more."""
        self._selector.register(self._leases, selectors.EVENT_READ, self._on_connection)
        self._selector.register(self._site.attic.inside, selectors.EVENT_READ, self._site.attic.fetch)
        while not self._unneeded():
            for place, wanted in PARKED.items():
                while sum(child.place == place for child in self._parked) < wanted:
                    self._park(place)
            needed = self._connections or self._running
            remaining = self._idle_since + LINGER_S - time.monotonic()
            waits = [] if needed else [max(0.0, remaining)]
            waits += [] if (attic_s := self._site.attic.wait_s()) is None else [attic_s]
            for key, _ in self._selector.select(min(waits, default=None)):
                key.data()
        self._retire()

    def _retire(self) -> None:
        """Turn away who comes now, and stay until no start is under way: each of those that wait begins or leaves."""
        self._selector.unregister(self._leases)
        self._leases.close()
        for starts in self._starts.values():
            starts.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + PATIENCE_S
        while self._parked and (remaining := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(remaining):
                key.data()

    def _unneeded(self) -> bool:
        """Whether it is time to go; as long as anybody needs this process, that is put off."""
        if (self._connections or self._running) and self._idle_since >= 0:
            self._idle_since = time.monotonic()
        return not (self._connections or self._running) and time.monotonic() - self._idle_since >= LINGER_S

    def _park(self, place: str) -> None:
        """Fork one more monitor, which makes a sandbox and waits at this socket."""
        launcher = os.getpid()
        parked, end = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                self._forget(parked)
                monitor.main(self._site, self._starts[place], end, launcher, linked=place == LINKED_SOCKET)
            finally:
                os._exit(1)
        os.close(end)
        child = Child(pid, os.pidfd_open(pid), parked, place)
        self._parked.append(child)
        self._selector.register(child.parked, selectors.EVENT_READ, lambda: self._on_start(child))
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._on_end(child))

    def _forget(self, parked: int) -> None:
        """In a new monitor: close what belongs to the launcher, so that others see it end when it ends."""
        self._leases.close()
        self._site.attic.forget()
        for descriptor in (
            parked,
            *(c.parked for c in self._parked),
            *(c.pidfd for c in (*self._parked, *self._running)),
        ):
            os.close(descriptor)
        for connection in self._connections:
            connection.close()

    def _on_start(self, child: Child) -> None:
        """A container's program has begun: its monitor waits no more."""
        self._selector.unregister(child.parked)
        os.close(child.parked)
        self._parked.remove(child)
        self._site.attic.touch()
        self._running.add(child)

    def _on_end(self, child: Child) -> None:
        """A monitor is gone, by itself or killed."""
        if child in self._parked:
            self._on_start(child)
        self._selector.unregister(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        self._running.discard(child)
        if status:
            time.sleep(FAILURE_PAUSE_S)  # whatever killed it, don't fork in a tight loop

    def _on_connection(self) -> None:
        connection = self._leases.accept()[0]
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._on_message(connection))

    def _on_message(self, connection: socket.socket) -> None:
        """The end of an engine; "bye" says that nobody is expected back soon."""
        with contextlib.suppress(OSError):
            if protocol.receive(connection)[0] is not None:
                self._idle_since = -LINGER_S
                return
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()


def cgroup_mounts(hierarchies: hierarchy.Hierarchies) -> tuple[rootfs.CgroupMount, ...]:
    """The hierarchies as a container's /sys/fs/cgroup shows them."""
    if not hierarchies.v1:
        return (rootfs.CgroupMount("", "cgroup2", ""),) if hierarchies.v2 else ()
    by_mount: dict[str, list[str]] = {}
    for controller, mount in hierarchies.v1.items():
        by_mount.setdefault(mount, []).append(controller)
    return tuple(rootfs.CgroupMount(",".join(names), "cgroup", ",".join(names)) for names in by_mount.values())


def main(state_root: str, run_dir: str, ready: int, program: int) -> None:
    """Serve this state root; `ready` is a descriptor that closes when requests can come.

    `program` is one that this process was started through, -1 for none.
    Where another launcher serves it already, this one ends at once, and the caller finds the other.
    """
    if program >= 0:
        os.close(program)
    lock = take_lock(run_dir)
    if lock < 0:
        return
    p.set_name("dockmagic-launch")
    p.prctl(p.PR_SET_DUMPABLE, 0)  # nobody in a container may look into a process on its way in
    os.umask(0o022)  # of what it makes in a container; what it makes for itself has modes that say so
    reset_signals()
    raise_descriptor_limit()
    os.makedirs(f"{run_dir}/stage", mode=0o700, exist_ok=True)
    hierarchies = hierarchy.detect()
    hierarchy.prepare(hierarchies)
    site = Site(state_root, run_dir, hierarchies, cgroup_mounts(hierarchies), Attic(), boot.current())
    starts = {place: protocol.listen(f"{run_dir}/{place}") for place in PARKED}
    leases = protocol.listen(f"{run_dir}/{LAUNCHER_SOCKET}")
    os.close(ready)
    prepare(Spec, StartRequest, ExecRequest, Record)
    gc.disable()
    gc.freeze()  # what a child never collects it never copies
    Launcher(site, leases, starts).serve()
    leave(state_root, run_dir, hierarchies)


def reset_signals() -> None:
    """Undo what whoever started this has had ignored: a container would inherit that.

    What Python itself ignores it needs, and `process.become` sees to it.
    """
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ):
            p.rt_sigaction_default(number)


def raise_descriptor_limit() -> None:
    """Don't depend on how few descriptors whoever started this may have; containers inherit the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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


def clean_up(state_root: str, run_dir: str) -> None:
    """Do what a launcher does at its end, in place of one that was killed; not where another one serves."""
    lock = take_lock(run_dir)
    if lock >= 0:
        leave(state_root, run_dir, hierarchy.detect())
        os.close(lock)


def leave(state_root: str, run_dir: str, hierarchies: hierarchy.Hierarchies) -> None:
    """Remove what is left of containers that ended, the launcher's own files, and the directory if that is all.

    The lock's file, which the caller holds, goes last.
    """
    leftovers.collect(state_root, run_dir, hierarchies, groups_older_than_s=0)
    bridges.take_down(run_dir, root_key(state_root))
    with contextlib.suppress(OSError):
        os.rmdir(f"{run_dir}/stage")
    for name in (LAUNCHER_SOCKET, *PARKED, LOG, LOCK):
        with contextlib.suppress(OSError):
            os.unlink(f"{run_dir}/{name}")
    with contextlib.suppress(OSError):
        os.rmdir(run_dir)
