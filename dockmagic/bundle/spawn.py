"""A process in a container's namespaces, new ones and those of paths, as a child of this process.

    this process ── fork ── stage: joins the control group and namespaces ── clone3(CLONE_PARENT) ── the process

The stage ends at once; what it has cloned is this process's child, and goes to whoever adopts this one's children.
Source: setns(2), clone(2), time_namespaces(7), ioctl_nsfs(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from dockmagic.errors import ContainerError, InvalidBundle
from dockmagic.linux import process as p
from dockmagic.oci.spec import Namespace
from dockmagic.runtime import process, protocol
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.sandbox import CLONE_FLAGS
from dockmagic.runtime.stage import Failed, stage

FLAGS: Final = {**CLONE_FLAGS, "user": p.CLONE_NEWUSER, "time": p.CLONE_NEWTIME}
FILES: Final = {"mount": "mnt", "network": "net"}
_NS_GET_NSTYPE: Final = 0xB703
_ORDER: Final = ("user", "cgroup", "ipc", "uts", "network", "pid", "time", "mount")


def open_joined(namespaces: Iterable[Namespace]) -> dict[str, int]:
    """Descriptors of the namespaces that are joined by path, by kind; raises InvalidBundle for another kind's path."""
    found: dict[str, int] = {}
    for namespace in namespaces:
        if not namespace.path:
            continue
        try:
            found[namespace.type] = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
            kind = fcntl.ioctl(found[namespace.type], _NS_GET_NSTYPE)
        except OSError as error:
            raise InvalidBundle(f"linux.namespaces: {namespace.path}: {error.strerror}") from error
        if kind != FLAGS[namespace.type]:
            raise InvalidBundle(f"linux.namespaces: {namespace.path} is no namespace of type {namespace.type}")
    return found


def spawn(
    group: Group, new: Iterable[str], joined: Mapping[str, int], offsets: Mapping[str, Any], child: Callable[[], None]
) -> int:
    """Run `child` in the control group and in namespaces; its number. `child` must end the process; raises Failed."""
    ours, theirs = protocol.seqpacket_pair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _stage(theirs, group, tuple(new), joined, offsets, child)
    theirs.close()
    with ours:
        message, _ = protocol.receive(ours)
    os.waitpid(pid, 0)
    if message is None:
        raise ContainerError("the process that makes the namespaces was killed")
    if message["event"] == "failed":
        raise Failed(protocol.failure(message))
    return int(message["pid"])


def _stage(
    sync: socket.socket,
    group: Group,
    new: tuple[str, ...],
    joined: Mapping[str, int],
    offsets: Mapping[str, Any],
    child: Callable[[], None],
) -> None:
    """Join, clone, tell; never returns. Nobody in a namespace that is joined may look into what is made here."""
    try:
        p.prctl(p.PR_SET_DUMPABLE, 0)
        with stage("cgroup", "join the control group"):
            group.attach_self()
        _join(joined)
        if "time" in new:
            with stage("namespaces", "make a time namespace"):
                _make_time(offsets)
        with stage("namespaces", "make namespaces"):
            flags = sum(FLAGS[kind] for kind in new if kind != "time")
            pid, _ = p.clone3(flags | p.CLONE_PARENT, 0)
        if pid == 0:
            sync.close()
            child()
        protocol.send(sync, {"event": "cloned", "pid": pid})
    except Exception as error:
        protocol.send(sync, protocol.failed(process.unexpected("namespaces", error)))
    finally:
        os._exit(1)


def _join(joined: Mapping[str, int]) -> None:
    for kind in _ORDER:
        if kind in joined and not _is_own(kind, joined[kind]):
            with stage("namespaces", f"join the {kind} namespace"):
                p.setns(joined[kind], FLAGS[kind])


def _is_own(kind: str, descriptor: int) -> bool:
    """Whether this process is in that namespace already; a user namespace can't be joined twice."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(f"/proc/self/ns/{FILES.get(kind, kind)}"), os.fstat(descriptor))
    return False


def _make_time(offsets: Mapping[str, Any]) -> None:
    """Have children in a new time namespace, whose clocks are put forward or back."""
    p.unshare(p.CLONE_NEWTIME)
    with open("/proc/self/timens_offsets", "w") as file:
        file.writelines(f"{clock} {o.get('secs', 0)} {o.get('nanosecs', 0)}\n" for clock, o in offsets.items())
