"""One more process in a running container, as `exec` starts it."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.spec import Process, Spec
from dockmagic.runtime import process, protocol
from dockmagic.runtime.request import STREAMS, ExecRequest
from dockmagic.runtime.sandbox import CLONE_FLAGS, Sandbox, spawn
from dockmagic.runtime.stage import Failed, describe, stage

_OWN_PID_NAMESPACE: Final = "/proc/self/ns/pid"


@dataclass(frozen=True, slots=True)
class Execution:
    """A process started by exec, and the connection that asked for it and waits for its status."""

    pid: int
    pidfd: int
    connection: socket.socket
    foreground: bool


def execute(
    sandbox: Sandbox, spec: Spec, asked: ExecRequest, descriptors: Sequence[int], connection: socket.socket
) -> Execution:
    """Start the process in the container's namespaces and cgroup; raises Failed.

    Only children of a process enter a pid namespace that it joins, so this process joins for the time of one fork.
    """
    streams = dict(zip(asked.streams, descriptors, strict=True))
    stdio = [streams.get(name, -1) for name in STREAMS]
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    ours, theirs = protocol.seqpacket_pair()
    own = os.open(_OWN_PID_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)

    def live(in_v2: bool) -> None:
        ours.close()
        filled = [null if descriptor < 0 else descriptor for descriptor in stdio]
        enter(sandbox, spec, asked.process, (filled[0], filled[1], filled[2]), theirs, in_v2)

    try:
        with stage("exec", "enter the container's namespaces"):
            p.setns(sandbox.pidfd, p.CLONE_NEWPID if "pid" in sandbox.namespaces else 0)
            pid, pidfd = spawn(0, sandbox.group, live)
    finally:
        p.setns(own, p.CLONE_NEWPID)
        for descriptor in (own, null, *descriptors):
            os.close(descriptor)
        theirs.close()
    with ours:
        message, _ = protocol.receive(ours)
    if message is not None:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        raise Failed(protocol.failure(message))
    return Execution(pid, pidfd, connection, asked.foreground)


def enter(
    sandbox: Sandbox, spec: Spec, wanted: Process, stdio: tuple[int, int, int], sync: socket.socket, in_v2: bool
) -> None:
    """In the new process: cgroup, namespaces, program. A failure is reported, and the caller ends the process."""
    try:
        with stage("cgroup", "join the container's cgroup"):
            sandbox.group.attach_self(in_v2=in_v2)
        with stage("namespaces", "join the container's namespaces"):
            p.setns(sandbox.pidfd, sum(CLONE_FLAGS[kind] for kind in sandbox.namespaces if kind != "pid"))
        os.chdir("/")
        process.become(wanted, base64.b64decode(spec.linux.seccomp_filter), stdio)
    except Failed as error:
        protocol.send(sync, protocol.failed(error.failure))
    except OSError as error:
        protocol.send(sync, protocol.failed(Failure("exec", error.errno or 0, describe(error))))
