"""The operation create: a container whose process waits for its start. Source: runtime-spec runtime.md "Create"."""

from __future__ import annotations

import datetime
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from dockmagic.bundle import check, hooks, idmap, init, limits, load, mounts, spawn, state
from dockmagic.bundle.begin import Confinement
from dockmagic.bundle.destroy import destroy
from dockmagic.errors import ContainerError, InvalidBundle, InvalidOption, Unsupported
from dockmagic.linux import mount as m
from dockmagic.oci.config import Config
from dockmagic.runtime import protocol
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.seccomp_json import WrongProfile, profile_filter
from dockmagic.runtime.stage import Failed, stage

Warn = Callable[[str], None]
_SECCOMP_FLAGS: Final = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}
_OF_FILTER: Final = ("defaultAction", "defaultErrnoRet", "architectures", "syscalls")


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What the command line says beside the id: see `dockmagic-oci create --help`."""

    bundle: str
    console_socket: str = ""
    pid_file: str = ""
    preserved: int = 0
    keyring: bool = True
    pivot: bool = True


def create(containers: state.Containers, container_id: str, options: CreateOptions, warn: Warn) -> state.Container:
    """Make the container; raises DockmagicError, and leaves nothing then."""
    bundle = os.path.realpath(options.bundle)
    config, text = load.read(bundle, warn)
    config = _granted(config, warn)
    _check_terminal(config, options)
    group = limits.group(container_id, config.linux.cgroups_path)
    directory = containers.reserve(container_id)
    created = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    record = state.Record(container_id, bundle, limits.path_of(group), created, own_cgroup=not group.exists())
    with open(f"{directory}/config.json", "wb") as file:
        file.write(text)
    state.write(directory, record)
    try:
        record = _make(directory, record, config, group, options)
    except BaseException:
        destroy(containers, containers.get(container_id), warn)
        raise
    if options.pid_file:
        write_pid(options.pid_file, record.pid)
    return state.Container(directory, record, config)


def _granted(config: Config, warn: Warn) -> Config:
    """The config with the capabilities that can be granted."""
    if config.process is None:
        return config
    process, warnings = check.grantable(config.process)
    for warning in warnings:
        warn(warning)
    return replace(config, process=process)


def _check_terminal(config: Config, options: CreateOptions) -> None:
    """Raise InvalidOption unless there is a console socket exactly where there is a terminal."""
    wanted = config.process is not None and config.process.terminal
    if wanted and not options.console_socket:
        raise InvalidOption("process.terminal: the terminal has nowhere to go; give --console-socket")
    if options.console_socket and not wanted:
        raise InvalidOption("--console-socket: process.terminal is not set, so there will be no terminal to send")


def _make(directory: str, record: state.Record, config: Config, group: Group, options: CreateOptions) -> state.Record:
    """Make the control group and the process, and bring it to the point where it waits; the completed record."""
    with ExitStack() as stack:
        ours, place = _place(stack, directory, record, config, group, options)
        kinds = [namespace.type for namespace in config.linux.namespaces if not namespace.path]
        joined = spawn.open_joined(config.linux.namespaces)

        def live() -> None:
            ours.close()  # else the process would never see the end of this one
            init.run(config, place)

        pid = _of_failure(lambda: spawn.spawn(group, kinds, joined, config.linux.time_offsets, live))
        place.sync.close()
        record = replace(record, pid=pid, ticks=state.ticks(pid))
        state.write(directory, record)
        _adjust(pid, config)
        _of_failure(lambda: _guide(ours, config, record))
    return record


def _of_failure(work: Callable[[], Any]) -> Any:
    """What the work gives; a failure that a process reports becomes a ContainerError."""
    try:
        return work()
    except Failed as error:
        raise ContainerError(error.failure.reason) from error


def _place(
    stack: ExitStack, directory: str, record: state.Record, config: Config, group: Group, options: CreateOptions
) -> tuple[socket.socket, init.Place]:
    """All that the process is given, and our end of the socket to it; the stack closes ours."""
    assert config.root is not None
    path = os.path.join(record.bundle, config.root.path)
    confinement = confine(config)
    try:
        with stage("root.path", f"open {path}"):
            root = m.open_tree(m.AT_FDCWD, path, m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_RECURSIVE)
        sources = mounts.open_sources(config.mounts, record.bundle)
        with stage("cgroup", "make the control group"):
            limits.make(group)
        limits.apply(group, config.linux.resources)
        with stage("cgroup", "show the control group"):
            cgroups = mounts.open_cgroups(group.paths(), group.hierarchies.v1)
    except Failed as error:
        raise ContainerError(error.failure.reason) from error
    for descriptor in (root, *sources.values(), *cgroups.values()):
        stack.callback(os.close, descriptor)
    ours, theirs = protocol.seqpacket_pair()
    listener = stack.enter_context(listen(directory))
    console = stack.enter_context(connect(options.console_socket)) if options.console_socket else None
    stack.enter_context(ours)
    return ours, init.Place(
        path, root, sources, cgroups, theirs, listener, console, confinement, options.preserved, options.keyring,
        options.pivot,
    )  # fmt: skip


def confine(config: Config) -> Confinement:
    """The config's filter of system calls and execution domain; raises InvalidBundle and Unsupported."""
    personality, wanted = config.linux.personality, config.linux.seccomp
    domain = personality.domain if personality else ""
    if not wanted:
        return Confinement(personality=domain)
    for key in ("listenerPath", "listenerMetadata"):
        if wanted.get(key):
            raise Unsupported(f"linux.seccomp.{key}", "nobody can be notified of system calls; leave it out")
    flags = 0
    for flag in wanted.get("flags") or ():
        if flag not in _SECCOMP_FLAGS:
            raise Unsupported(f"linux.seccomp.flags: {flag}", f"there are {', '.join(_SECCOMP_FLAGS)}")
        flags |= _SECCOMP_FLAGS[flag]
    capabilities = frozenset(config.process.capabilities.bounding) if config.process else frozenset[str]()
    profile = {key: wanted[key] for key in _OF_FILTER if wanted.get(key) is not None}
    try:
        return Confinement(profile_filter(json.dumps(profile), capabilities), flags, domain)
    except WrongProfile as error:
        raise InvalidBundle(f"linux.seccomp: {error.why}") from error


def listen(directory: str) -> socket.socket:
    """The socket at which the process waits for its start. The directory's path may be longer than a socket's may."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    holder = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{holder}/{state.START_SOCKET}")
    finally:
        os.close(holder)
    listener.listen(1)
    return listener


def connect(path: str) -> socket.socket:
    """A connection to the console socket; raises InvalidOption."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    holder = -1
    try:
        holder = os.open(os.path.dirname(os.path.abspath(path)), os.O_PATH | os.O_CLOEXEC)
        connection.connect(f"/proc/self/fd/{holder}/{os.path.basename(path)}")
    except OSError as error:
        connection.close()
        raise InvalidOption(f"--console-socket {path}: {error.strerror}") from error
    finally:
        if holder >= 0:
            os.close(holder)
    return connection


def _adjust(pid: int, config: Config) -> None:
    """What only this side may do: map ids, and say how early the kernel kills the process for want of memory."""
    try:
        user = config.namespace("user")
        if user is not None and not user.path:
            idmap.write(pid, config.linux.uid_mappings, config.linux.gid_mappings)
        if config.process is not None:
            set_oom_score(pid, config.process.oom_score_adj)
    except OSError as error:
        raise ContainerError(f"prepare the process: {error.filename}: {error.strerror}") from error


def set_oom_score(pid: int, adjustment: int | None) -> None:
    """Say how early the kernel kills the process for want of memory; raises ContainerError where that isn't allowed."""
    if adjustment is None:
        return
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w") as file:
            file.write(str(adjustment))
    except PermissionError as error:
        raise ContainerError(f"process.oomScoreAdj: {adjustment} is not permitted here") from error


def _guide(sync: socket.socket, config: Config, record: state.Record) -> None:
    """Bring the process through its preparation, with the hooks at their place; raises Failed, ContainerError."""
    creating = state.document(record, config, "creating")
    protocol.send(sync, {"event": "mapped"})
    _expect(sync)
    hooks.run("prestart", config.hooks.prestart, creating)
    hooks.run("createRuntime", config.hooks.create_runtime, creating)
    protocol.send(sync, {"event": "go", "state": creating})
    _expect(sync)


def _expect(sync: socket.socket) -> Mapping[str, Any]:
    """The next message of the process; raises Failed, and ContainerError where it has ended."""
    try:
        message, _ = protocol.receive(sync)
    except ConnectionResetError:
        message, _ = protocol.receive(sync)
    if message is None:
        raise ContainerError("the process ended while it was being prepared; it may have run out of memory")
    if message["event"] == "failed":
        raise Failed(protocol.failure(message))
    return message


def write_pid(path: str, pid: int) -> None:
    """Write a process's number to a file, so that no reader sees an empty one; raises InvalidOption."""
    above, name = os.path.split(path)
    temporary = os.path.join(above, f".{name}.new")
    try:
        with open(temporary, "w") as file:
            file.write(str(pid))
        os.rename(temporary, path)
    except OSError as error:
        raise InvalidOption(f"--pid-file {path}: {error.strerror}") from error
