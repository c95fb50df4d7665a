"""One more process in a running container, as `exec` starts it."""

from __future__ import annotations

import base64
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.spec import Process, Spec
from dockmagic.runtime import process, protocol, terminal
from dockmagic.runtime.request import STREAMS, ExecRequest
from dockmagic.runtime.sandbox import CLONE_FLAGS, Sandbox, children_in, spawn
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.streams import Stdio, of_terminal
from dockmagic.runtime.terminal import received

_LOOK_S: Final = 0.1


@dataclass(slots=True)
class Execution:
    """A process started by exec, and the connection that asked for it, None for a health check.

    `on_end` takes its exit status. In the `foreground` it ends with the connection. Of its streams only those of a
    terminal pass through here.
    """

    pid: int
    pidfd: int
    connection: socket.socket | None
    foreground: bool
    stdio: Stdio
    on_end: Callable[[int], None]
    id: str = field(default_factory=lambda: os.urandom(32).hex())


def execute(
    sandbox: Sandbox,
    spec: Spec,
    asked: ExecRequest,
    descriptors: Sequence[int],
    connection: socket.socket | None,
    on_end: Callable[[int], None],
) -> Execution:
    """Start the process in the container's namespaces and cgroup; raises Failed.

    Only children of a process enter a pid namespace that it joins, so this process joins for the time of one fork.
    """
    given = dict(zip(asked.streams, descriptors, strict=True))
    stdio = [-1 if asked.process.terminal else given.get(name, -1) for name in STREAMS]
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
    except BaseException:
        _close(given.values())
        raise
    finally:
        os.close(null)
        theirs.close()
    return Execution(pid, pidfd, connection, asked.foreground, _streams(asked, given, ours, pidfd), on_end)


def _streams(asked: ExecRequest, given: Mapping[str, int], sync: socket.socket, pidfd: int) -> Stdio:
    """Wait for the program; the streams of its terminal where it has one, else none of them is ours. Raises Failed."""
    tty = asked.process.terminal
    if not tty:
        _close(given.values())
    made: list[int] = []
    with sync:
        failure = await_program(sync, pidfd, made)
    if failure is not None:
        _close((*made, *(given.values() if tty else ())))
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        raise Failed(failure)
    return of_terminal(received(made), given, None) if tty else Stdio()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def await_program(sync: socket.socket, pidfd: int, made: list[int]) -> Failure | None:
    """Wait until the process has become its program: None, else why it didn't and has ended.

    The ends of a terminal that it makes are added to `made`. Processes of the container see it on its way, and may
    stop it; it is ended then, since everything waits for it.
    """
    sync.settimeout(_LOOK_S)
    while True:
        try:
            message, descriptors = protocol.receive(sync)
            made += descriptors
            if message is None or message["event"] == "failed":
                return None if message is None else protocol.failure(message)
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
        if wanted.terminal:
            stdio = _terminal(wanted, sync)
        program = base64.b64decode(spec.linux.seccomp_filter)
        process.become(wanted, program, stdio, sync.fileno(), make_directory=False)
    except Exception as error:
        protocol.send(sync, protocol.failed(process.unexpected("exec", error)))


def _terminal(wanted: Process, sync: socket.socket) -> tuple[int, int, int]:
    """Make a terminal in the container, and have this process controlled by it: its three streams; raises Failed."""
    with stage("terminal", "make a terminal"):
        pair = terminal.open_pair(wanted.console_size)
        protocol.send(sync, {"event": "terminal"}, (pair.master, pair.slave))
        terminal.take_control(pair.slave)
    return pair.slave, pair.slave, pair.slave
