"""One more process in a container of a bundle: the operation exec of OCI runtimes' command lines."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from dockmagic.bundle import check, create, init, load, spawn, state
from dockmagic.bundle.begin import Confinement, become
from dockmagic.errors import ContainerError, InvalidBundle, InvalidOption
from dockmagic.linux import process as p
from dockmagic.oci.spec import Capabilities, Process, User
from dockmagic.runtime import process as base
from dockmagic.runtime import protocol, terminal
from dockmagic.runtime.processors import parse_list
from dockmagic.runtime.stage import Failed, stage

_KINDS: Final = ("user", "cgroup", "ipc", "uts", "network", "pid", "time", "mount")


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """What the command line says beside the id; what isn't given is the container's own."""

    args: tuple[str, ...] = ()
    process: str = ""
    cwd: str = ""
    env: tuple[str, ...] = ()
    user: str = ""
    additional_gids: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()
    tty: bool = False
    no_new_privileges: bool = False
    console_socket: str = ""
    pid_file: str = ""
    preserved: int = 0


def execute(container: state.Container, options: ExecOptions, warn: Callable[[str], None]) -> int:
    """Start the process; its number. It is this process's child. Raises InvalidState and ContainerError."""
    container.require("exec in")
    process, warnings = check.grantable(_process(container, options))
    for warning in warnings:
        warn(warning)
    if process.terminal != bool(options.console_socket):
        raise InvalidOption("a terminal and --console-socket go together; give both or none")
    confinement = create.confine(container.config)
    with ExitStack() as stack:
        ours, theirs = protocol.seqpacket_pair()
        stack.enter_context(ours)
        console = stack.enter_context(create.connect(options.console_socket)) if options.console_socket else None
        target = os.pidfd_open(container.record.pid)
        stack.callback(os.close, target)

        def live() -> None:
            ours.close()
            _live(target, process, confinement, theirs, console, options.preserved)

        try:
            pid = _spawn(container, process, live)
        except Failed as error:
            raise ContainerError(error.failure.reason) from error
        theirs.close()
        create.set_oom_score(pid, process.oom_score_adj)
        if options.pid_file:
            create.write_pid(options.pid_file, pid)
        _await_program(ours, pid)
    return pid


def _spawn(container: state.Container, process: Process, live: Callable[[], None]) -> int:
    """A child in the container's control group and in those namespaces that are joined by a fork; raises Failed."""
    own = container.record.pid
    joined = {kind: os.open(f"/proc/{own}/ns/{spawn.FILES.get(kind, kind)}", os.O_RDONLY) for kind in ("pid", "time")}
    affinity = process.exec_cpu_affinity
    try:
        if affinity and affinity.initial:
            os.sched_setaffinity(0, parse_list(affinity.initial))
        return spawn.spawn(container.group, (), joined, {}, live)
    finally:
        for descriptor in joined.values():
            os.close(descriptor)


def _live(
    target: int,
    process: Process,
    confinement: Confinement,
    sync: socket.socket,
    console: socket.socket | None,
    preserved: int,
) -> None:
    """In the new process: the other namespaces, the terminal, the program. A failure is reported."""
    sys.meta_path.clear()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        p.prctl(p.PR_SET_DUMPABLE, 0)
        with stage("namespaces", "join the container's namespaces"):
            kinds = tuple(_other(target))
            p.setns(target, sum(spawn.FLAGS[kind] for kind in kinds))
        if "user" in kinds:
            init.be_root()
        os.chdir("/")
        with stage("keyring", "join a session keyring"):
            p.join_session_keyring()
        if console is not None:
            with stage("terminal", "make a terminal"):
                pair = terminal.open_pair(process.console_size)
                terminal.take_control(pair.slave)
                init.give_terminal(console, pair)
        if process.exec_cpu_affinity and process.exec_cpu_affinity.final:
            os.sched_setaffinity(0, parse_list(process.exec_cpu_affinity.final))
        become(process, confinement, (0, 1, 2), sync.fileno(), preserved)
    except Exception as error:
        protocol.send(sync, protocol.failed(base.unexpected("exec", error)))
    finally:
        os._exit(1)


def _other(target: int) -> Iterable[str]:
    """Kinds of namespaces in which a process is and this one isn't; its number is in what a pidfd says of itself."""
    with open(f"/proc/self/fdinfo/{target}") as file:
        pid = next(line.split()[1] for line in file if line.startswith("Pid:"))
    for kind in _KINDS:
        name = spawn.FILES.get(kind, kind)
        with contextlib.suppress(FileNotFoundError):
            theirs, ours = os.stat(f"/proc/{pid}/ns/{name}"), os.stat(f"/proc/self/ns/{name}")
            if kind not in ("pid", "time") and not os.path.samestat(theirs, ours):
                yield kind


def _await_program(sync: socket.socket, pid: int) -> None:
    """Wait until the process has become the program; raises ContainerError where it can't."""
    try:
        message, _ = protocol.receive(sync)
    except ConnectionResetError:
        message = None
    if message is not None:
        os.waitpid(pid, 0)
        raise ContainerError(protocol.failure(message).reason)


def _process(container: state.Container, options: ExecOptions) -> Process:
    """The process of a file, or the container's own with what the options change. Raises InvalidBundle."""
    if options.process:
        return load.read_process(options.process)
    own = container.config.process
    if own is None:
        raise InvalidBundle("process: the container has none; describe one in a file and give --process")
    if not options.args:
        raise InvalidOption("there is no command to execute; name one after the container's id, or give --process")
    return replace(
        own,
        args=options.args,
        cwd=options.cwd or own.cwd,
        env=(*own.env, *options.env),
        user=_user(own.user, options),
        capabilities=_with(own.capabilities, options.capabilities),
        terminal=options.tty,
        console_size=None,
        no_new_privileges=own.no_new_privileges or options.no_new_privileges,
    )


def _with(own: Capabilities, more: tuple[str, ...]) -> Capabilities:
    """The capabilities with some more in all sets but the ambient one."""

    def joined(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*names, *more)))

    effective, permitted = joined(own.effective), joined(own.permitted)
    return Capabilities(joined(own.bounding), effective, joined(own.inheritable), permitted, own.ambient)


def _user(own: User, options: ExecOptions) -> User:
    """The user of "uid[:gid]". Raises InvalidOption."""
    if not options.user:
        return replace(own, additional_gids=(*own.additional_gids, *options.additional_gids))
    uid, _, gid = options.user.partition(":")
    if not uid.isdecimal() or (gid and not gid.isdecimal()):
        raise InvalidOption(f"--user {options.user}: give numbers, as UID or UID:GID")
    return User(int(uid), int(gid or own.gid), own.umask, options.additional_gids)
