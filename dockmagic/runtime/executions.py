"""One more process in a running container, as `exec` starts it."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.spec import Process, Spec
from dockmagic.runtime import process, protocol, terminal
from dockmagic.runtime.request import STREAMS, ExecRequest
from dockmagic.runtime.sandbox import CLONE_FLAGS, Sandbox, spawn
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.streams import Stdio, of_terminal
from dockmagic.runtime.terminal import received

_LOOK_S: Final = 0.1
_STOPPED: Final = "a process of the container stopped the new one before its program began"
_NOT_BORN: Final = "the process ended before its program began; is it allowed to make another one (clone)?"


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

    It is forked by a helper, as a child of this process (see `enter`).
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
        with stage("exec", "enter the container"):
            helper = spawn(0, sandbox.group, live)[1]
    except BaseException:
        _close(given.values())
        raise
    finally:
        os.close(null)
        theirs.close()
    pid, streams = _born(asked, given, ours, helper)
    return Execution(pid, os.pidfd_open(pid), connection, asked.foreground, streams, on_end)


def _born(asked: ExecRequest, given: Mapping[str, int], sync: socket.socket, helper: int) -> tuple[int, Stdio]:
    """Wait for the program: its process, and the streams of its terminal where it has one. Raises Failed."""
    tty = asked.process.terminal
    if not tty:
        _close(given.values())
    made: list[int] = []
    with sync:
        pid, failure = await_program(sync, made)
    os.waitid(os.P_PIDFD, helper, os.WEXITED)
    os.close(helper)
    if failure is not None:
        _close((*made, *(given.values() if tty else ())))
        if pid:
            os.waitid(os.P_PID, pid, os.WEXITED)
        raise Failed(failure)
    return pid, of_terminal(received(made), given, None) if tty else Stdio()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def await_program(sync: socket.socket, made: list[int]) -> tuple[int, Failure | None]:
    """Wait until the process has become its program, or has ended: its number, 0 for none, and why it didn't.

    The ends of a terminal that it makes are added to `made`. Processes of the container see it on its way, and may
    stop it; it is ended then, since everything waits for it.
    """
    pid, failure = 0, None
    sync.settimeout(_LOOK_S)
    while True:
        try:
            message, descriptors = protocol.receive(sync)
        except TimeoutError:
            if pid and os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT):
                os.kill(pid, signal.SIGKILL)
                failure = Failure("namespaces", 0, _STOPPED)
            continue
        made += descriptors
        if message is None:
            return pid, failure or (None if pid else Failure("exec", 0, _NOT_BORN))
        if message["event"] == "failed":
            failure = protocol.failure(message)
        elif message["event"] == "born" and _is_child(message["pid"]):
            pid = message["pid"]


def _is_child(pid: int) -> bool:
    """Whether this is a child of this process: who traces one of them could say anything in its name."""
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False


def enter(
    sandbox: Sandbox, spec: Spec, wanted: Process, stdio: tuple[int, int, int], sync: socket.socket, in_v2: bool
) -> None:
    """In a helper, which enters the container and gives up all rights that aren't the container's; the caller ends it.

    Only then it forks the process that becomes the program: that alone is in the container's pid namespace, so that
    who may trace others there never finds one with more rights than its own, or with descriptors of the host. A failure
    is reported. No module can be imported once the files are the container's.
    """
    sys.meta_path.clear()
    try:
        with stage("cgroup", "join the container's cgroup"):
            sandbox.group.attach_self(in_v2=in_v2)
        with stage("rlimits", "set resource limits"):
            process.set_oom_score(wanted.oom_score_adj)  # in the container's /proc there is no helper
        with stage("namespaces", "join the container's namespaces"):
            p.setns(sandbox.pidfd, sum(CLONE_FLAGS[kind] for kind in sandbox.apart))
        with stage("keyring", "join a session keyring"):
            p.join_session_keyring()
        os.chdir("/")
        if wanted.terminal:
            stdio = _terminal(wanted, sync)
        _settle(replace(wanted, oom_score_adj=None), base64.b64decode(spec.linux.seccomp_filter), stdio, sync)
    except Exception as error:
        protocol.send(sync, protocol.failed(process.unexpected("exec", error)))


def _settle(wanted: Process, program: bytes, stdio: tuple[int, int, int], sync: socket.socket) -> None:
    """Settle, fork, and in the new process become the program; raises Failed."""
    outside = False

    def go_in() -> None:
        nonlocal outside
        try:
            process.change_directory(wanted.cwd, make=False)
        except Failed as error:  # a path through /proc/self leads to something in the new process only
            if error.failure.errno != errno.ENOENT:
                raise
            os.chdir("/")
            outside = True

    environment = process.settle(wanted, program, stdio, sync.fileno(), go_in)
    with stage("exec", "fork"):
        pid = p.clone_sibling()
    if pid:
        os.write(sync.fileno(), json.dumps({"event": "born", "pid": pid}).encode())
        return
    os.setsid()
    p.prctl(p.PR_SET_PDEATHSIG, signal.SIGKILL)
    if wanted.terminal:
        with stage("terminal", "control the terminal"):
            terminal.take_control(0)
    if outside:
        process.change_directory(wanted.cwd, make=False)
    process.execute(wanted.args, environment)


def _terminal(wanted: Process, sync: socket.socket) -> tuple[int, int, int]:
    """Make a terminal in the container: its three streams; raises Failed."""
    with stage("terminal", "make a terminal"):
        pair = terminal.open_pair(wanted.console_size)
        protocol.send(sync, {"event": "terminal"}, (pair.master, pair.slave))
    return pair.slave, pair.slave, pair.slave
