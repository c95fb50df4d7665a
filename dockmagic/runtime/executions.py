"""One more process in a running container, as `exec` starts it."""

from __future__ import annotations

import base64
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.spec import Process, Spec
from dockmagic.runtime import process, protocol
from dockmagic.runtime.request import STREAMS, ExecRequest
from dockmagic.runtime.sandbox import CLONE_FLAGS, Sandbox, children_in, spawn
from dockmagic.runtime.stage import Failed, stage

_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Execution:
    """A process started by exec, and the connection that asked for it and waits for its status."""

    pid: int
    pidfd: int
    connection: socket.socket
    foreground: bool
    id: str = field(default_factory=lambda: os.urandom(32).hex())


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

    def live(in_v2: bool) -> None:
        ours.close()
        filled = [null if descriptor < 0 else descriptor for descriptor in stdio]
        enter(sandbox, spec, asked.process, (filled[0], filled[1], filled[2]), theirs, in_v2)

    try:
        with (
            stage("exec", "enter the container's namespaces"),
            children_in(sandbox.pidfd if "pid" in sandbox.apart else None),
        ):
            pid, pidfd = spawn(0, sandbox.group, live)
    finally:
        for descriptor in (null, *descriptors):
            os.close(descriptor)
        theirs.close()
    with ours:
        failure = await_program(ours, pidfd)
    if failure is not None:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        raise Failed(failure)
    return Execution(pid, pidfd, connection, asked.foreground)


def await_program(sync: socket.socket, pidfd: int) -> Failure | None:
    """Wait until the process has become its program: None, else why it didn't and has ended.

    Processes of the container see it on its way, and may stop it; it is ended then, since everything waits for it.
    """
    sync.settimeout(_LOOK_S)
    while True:
        try:
            message, _ = protocol.receive(sync)
            return protocol.failure(message) if message is not None else None
        except TimeoutError:
            if os.waitid(os.P_PIDFD, pidfd, os.WSTOPPED | os.WNOHANG | os.WNOWAIT):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                return Failure(
                    "namespaces", 0, "a process of the container stopped the new one before its program began"
                )


def enter(
    sandbox: Sandbox, spec: Spec, wanted: Process, stdio: tuple[int, int, int], sync: socket.socket, in_v2: bool
) -> None:
    """In the new process: cgroup, namespaces, program. A failure is reported, and the caller ends the process.

    A session of its own keeps it apart from this side: a signal to a process group crosses pid namespaces. No module
    can be imported once the files are the container's.
    """
    sys.meta_path.clear()
    try:
        os.setsid()
        with stage("cgroup", "join the container's cgroup"):
            sandbox.group.attach_self(in_v2=in_v2)
        with stage("namespaces", "join the container's namespaces"):
            p.setns(sandbox.pidfd, sum(CLONE_FLAGS[kind] for kind in sandbox.apart if kind != "pid"))
        with stage("keyring", "join a session keyring"):
            p.join_session_keyring()
        os.chdir("/")
        program = base64.b64decode(spec.linux.seccomp_filter)
        process.become(wanted, program, stdio, sync.fileno(), make_directory=False)
    except Exception as error:
        protocol.send(sync, protocol.failed(process.unexpected("exec", error)))
