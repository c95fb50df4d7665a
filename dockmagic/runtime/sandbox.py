"""A sandbox: a process in new namespaces and a cgroup of its own that waits to become a container's process 1."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci import defaults
from dockmagic.oci.spec import Linux, Process, Resources, Root, Spec
from dockmagic.runtime import init, protocol, rootfs
from dockmagic.runtime.attic import Attic
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.cgroup.hierarchy import Hierarchies
from dockmagic.runtime.links import Parked
from dockmagic.runtime.request import root_key
from dockmagic.runtime.stage import Failed, describe

CLONE_FLAGS: Final = {
    "mount": p.CLONE_NEWNS,
    "uts": p.CLONE_NEWUTS,
    "ipc": p.CLONE_NEWIPC,
    "pid": p.CLONE_NEWPID,
    "network": p.CLONE_NEWNET,
    "cgroup": p.CLONE_NEWCGROUP,
}
NOTHING: Final[Mapping[str, int]] = {}
USUAL_RESOURCES: Final = Resources(devices=defaults.DEVICE_RULES)
"""What the cgroup of a new sandbox has, as nearly every container wants it."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all sandboxes of one state root have in common; `boot` is the run of the machine (runtime.boot)."""

    state_root: str
    run_dir: str
    hierarchies: Hierarchies
    cgroups: tuple[rootfs.CgroupMount, ...]
    attic: Attic
    boot: str


USUAL_SPEC: Final = Spec(
    Process(()),
    Root(),
    mounts=defaults.mounts(64 << 20),
    linux=Linux(
        devices=defaults.DEVICES,
        sysctl=defaults.SYSCTLS,
        masked_paths=defaults.MASKED_PATHS,
        readonly_paths=defaults.READONLY_PATHS,
    ),
)
"""What nearly every container wants of /dev, /proc and /sys, and of its network."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The waiting process, the socket to it, and its cgroup.

    It has `namespaces` of its own, and is in `joined` ones of others. `mounts` and `network` are descriptors of these.
    While `mounts` is open, the file systems outlive the process: unmounting them takes the kernel longer than all else
    about an end, and nobody should have to wait for it. `bell` is an event descriptor that wakes the process.
    `warnings` say what of the usual limits can't be enforced here. `link` is one that it has already, `shared_memory` a
    detached mount of another container's, or -1.
    """

    pid: int
    pidfd: int
    sync: socket.socket
    group: Group
    namespaces: tuple[str, ...]
    joined: tuple[str, ...]
    mounts: FileIO
    network: int
    bell: int
    warnings: tuple[str, ...]
    link: Parked | None = None
    shared_memory: int = -1

    @property
    def apart(self) -> frozenset[str]:
        """Kinds of namespaces in which its processes are, and the host's aren't."""
        return frozenset((*self.namespaces, *self.joined))

    def send_spec(self, spec: int, stdio: Sequence[int]) -> None:
        """Hand over a spec's memory file and the ends of the streams; the process begins to work on it."""
        self._send("spec", (spec, *stdio))
        os.eventfd_write(self.bell, 1)

    def send_sources(self, sources: Sequence[int]) -> None:
        """Hand over a detached mount for everything of the host that the container shows."""
        self._send("sources", sources)

    def let_go(self) -> None:
        """Allow the process to become the container's program."""
        self._send("go", ())

    def _send(self, event: str, descriptors: Sequence[int]) -> None:
        """Send a message; whether the process was there to get it, `expect` will tell."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            protocol.send(self.sync, {"event": event}, descriptors)

    def limit(self, resources: Resources) -> list[str]:
        """Set the container's limits; what can't be enforced comes back. Raises OSError."""
        if resources.devices == USUAL_RESOURCES.devices:
            return [*self.warnings, *self.group.apply(replace(resources, devices=()))]
        return self.group.apply(resources)

    def expect(self) -> tuple[protocol.Message | None, list[int]]:
        """Next message of the process, None at the end, and its descriptors; raises Failed where it reports one."""
        try:
            message, descriptors = protocol.receive(self.sync)
        except ConnectionResetError:  # told once: it ended before it had read all; then comes what it had to say
            message, descriptors = protocol.receive(self.sync)
        if message is not None and message["event"] == "failed":
            raise Failed(protocol.failure(message))
        return message, descriptors

    def let_go_of(self, attic: Attic) -> None:
        """Let the file systems go, once the process has ended; its network namespace goes when there is time.

        Idempotent.
        """
        if self.mounts.closed:
            return
        self.mounts.close()
        if "network" in self.namespaces:
            attic.put(self.network)
        else:
            os.close(self.network)

    def clear_away(self, attic: Attic) -> None:
        """Leave nothing of it, once the process has ended; `let_go_of` and `group.remove` can still be called."""
        self.let_go_of(attic)
        self.group.remove()
        self.sync.close()
        for descriptor in (self.pidfd, self.bell):
            os.close(descriptor)

    def reap(self) -> int:
        """Wait for the end of the process; its exit status, 128+n for signal n."""
        return wait(self.pidfd)

    def alive(self) -> bool:
        """Whether the process is still there."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def discard(self) -> None:
        """End the process, and remove its cgroup."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self.reap()
        self.group.remove()


def wait(pidfd: int) -> int:
    """Wait for the child behind the descriptor; its exit status, 128+n for signal n."""
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    status = ended(pidfd)
    assert status is not None
    return status


def ended(pidfd: int) -> int | None:
    """As `wait`, but None where the child hasn't ended, or a tracer in the container has to be told first."""
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status


def make(site: Site, namespaces: Iterable[str], joined: Mapping[str, int] = NOTHING) -> Sandbox:
    """A new sandbox with namespaces of these kinds, and in `joined` ones, whose descriptors go; raises Failed."""
    kinds = tuple(namespaces)
    group, warnings = _make_group(site)
    flags = sum(CLONE_FLAGS[kind] for kind in kinds if kind != "cgroup")
    ours, theirs = protocol.seqpacket_pair()
    bell = os.eventfd(0, os.EFD_CLOEXEC)

    def live(in_v2: bool) -> None:
        ours.close()
        p.prctl(p.PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(BlockingIOError):
            if not theirs.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):  # the monitor died before that
                os._exit(0)
        _join(joined)
        place = init.Place(
            site.state_root, f"{site.run_dir}/stage", group, in_v2, "network" in kinds, "cgroup" in kinds
        )
        init.run(place, USUAL_SPEC, theirs, bell, site.cgroups)

    try:
        with children_in(joined.get("pid")):
            pid, pidfd = spawn(flags, group, live)
    except OSError as error:
        group.remove()
        raise Failed(Failure("clone", error.errno or 0, f"make namespaces: {describe(error)}")) from error
    finally:
        for descriptor in joined.values():
            os.close(descriptor)
    theirs.close()
    mounts = FileIO(f"/proc/{pid}/ns/mnt")
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return Sandbox(pid, pidfd, ours, group, kinds, tuple(joined), mounts, network, bell, warnings)


def _make_group(site: Site) -> tuple[Group, tuple[str, ...]]:
    """A new cgroup with the usual limits, and what of them can't be enforced here; raises Failed."""
    group = Group(site.hierarchies, f"{root_key(site.state_root)}-{os.urandom(8).hex()}")
    try:
        group.create()
        return group, tuple(group.apply(USUAL_RESOURCES))
    except OSError as error:
        group.remove()
        raise Failed(Failure("cgroup", error.errno or 0, f"make a cgroup: {describe(error)}")) from error


def _join(joined: Mapping[str, int]) -> None:
    """Join namespaces, by kind, and close their descriptors; a pid namespace is for children, and joined before."""
    for kind, descriptor in joined.items():
        if kind != "pid":
            p.setns(descriptor, CLONE_FLAGS[kind])
        os.close(descriptor)


@contextlib.contextmanager
def children_in(pid_namespace: int | None) -> Iterator[None]:
    """Have processes that are forked inside the context in another pid namespace; None leaves them in this one.

    The descriptor is one of the namespace, or a pidfd of a process in it. Raises OSError.
    """
    if pid_namespace is None:
        yield
        return
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        p.setns(pid_namespace, p.CLONE_NEWPID)
        yield
    finally:
        p.setns(own, p.CLONE_NEWPID)
        os.close(own)


def spawn(flags: int, group: Group, child: Callable[[bool], None]) -> tuple[int, int]:
    """Run `child` in a new process with these namespaces, born in the cgroup where the kernel can do that.

    `child` gets whether it was; it must end the process itself. Returns the process's number and its pidfd.
    """
    cgroup = group.v2_dirfd()
    try:
        if cgroup is None:
            pid, pidfd = p.clone3(flags, signal.SIGCHLD)
        else:
            pid, pidfd = p.clone3(flags | p.CLONE_INTO_CGROUP, signal.SIGCHLD, cgroup)
    finally:
        if cgroup is not None:
            os.close(cgroup)
    if pid == 0:
        try:
            child(cgroup is not None)
        finally:
            os._exit(1)
    return pid, pidfd
