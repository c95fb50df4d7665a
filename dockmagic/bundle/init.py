"""A container's process 1, from its birth in the namespaces to the program that it becomes.

    create                                  init
      |-- mapped -------------------------->|   ids are mapped
      |                                     |   root, mounts, devices
      |<- mounted --------------------------|
      |   hooks: prestart, createRuntime    |
      |-- go ------------------------------>|   hooks: createContainer; pivot_root, masks, names, terminal
      |<- ready ----------------------------|
    start                                   |   waits at its listening socket
      |-- start --------------------------->|   hooks: startContainer
      |<- failed | EOF ---------------------|   EOF: execve(2) went well

Nothing of Python is imported once the files are the container's. Source: runtime-spec runtime.md "Lifecycle".
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from dockmagic.bundle import devices, hooks, mounts, options
from dockmagic.bundle.begin import Confinement, become, check_program
from dockmagic.linux import mount as m
from dockmagic.linux import process as p
from dockmagic.linux.interfaces import link_up
from dockmagic.oci.config import Config
from dockmagic.runtime import process as base
from dockmagic.runtime import protocol, rootfs, terminal
from dockmagic.runtime.stage import stage


@dataclass(frozen=True, slots=True)
class Place:
    """What `create` has got ready: sockets, and detached mounts of the host's.

    `root` is that of the root directory at `path`; `sources` those of the bind mounts; `cgroups` the container's own.
    """

    path: str
    root: int
    sources: Mapping[int, int]
    cgroups: Mapping[str, int]
    sync: socket.socket
    listener: socket.socket
    console: socket.socket | None
    confinement: Confinement
    preserved: int
    keyring: bool
    pivot: bool


def run(config: Config, place: Place) -> NoReturn:
    """The whole life of process 1 in Python; a failure is reported, never raised."""
    connection = place.sync
    try:
        _prepare(config, place)
        protocol.send(place.sync, {"event": "ready"})
        place.sync.close()
        connection, _ = place.listener.accept()
        place.listener.close()
        _start(config, place, connection)
    except Exception as error:
        protocol.send(connection, protocol.failed(base.unexpected("init", error)))
    finally:
        os._exit(1)


def _prepare(config: Config, place: Place) -> None:
    """All up to the point where only the start is waited for; raises Failed."""
    sys.meta_path.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    p.prctl(p.PR_SET_DUMPABLE, 0)
    _await(place.sync, "mapped")
    with stage("rootfs", f"enter {place.path}"):
        os.chdir(place.path)  # while this process may, as the host's root
    if _is_new(config, "user"):
        be_root()
    if _is_new(config, "network"):
        with stage("network", "switch the loopback interface on"):
            link_up("lo")
    _make_root(config, place)
    protocol.send(place.sync, {"event": "mounted"})
    state = _await(place.sync, "go")["state"]
    hooks.run("createContainer", config.hooks.create_container, state)
    with stage("rootfs", "enter the root"):
        _enter_root(place)
    _finish(config)
    if config.process is not None and config.process.terminal:
        _make_terminal(config, place)
    _protect(config)
    if config.process is not None:
        check_program(config.process)
    if place.keyring:
        with stage("keyring", "join a session keyring"):
            p.join_session_keyring()


def _is_new(config: Config, kind: str) -> bool:
    namespace = config.namespace(kind)
    return namespace is not None and not namespace.path


def be_root() -> None:
    """Be the user namespace's root, where it has one."""
    with stage("user", "become root of the user namespace"):
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        p.prctl(p.PR_SET_DUMPABLE, 0)


def _await(sync: socket.socket, event: str) -> Mapping[str, Any]:
    """The message that is waited for; at the end of the connection this process has no reason to live."""
    message, _ = protocol.receive(sync)
    if message is None or message["event"] != event:
        os._exit(1)
    return message


def _make_root(config: Config, place: Place) -> None:
    """Put the root and everything in it together, at the working directory; raises Failed."""
    with stage("rootfs", f"mount the root {place.path}"):
        m.mount("", "/", "", m.MS_REC | m.MS_SLAVE)
        m.move_mount(place.root, "", m.AT_FDCWD, ".", m.MOVE_MOUNT_F_EMPTY_PATH)
        m.mount("", f"/proc/self/fd/{place.root}", "", m.MS_REC | m.MS_SLAVE)
    mounts.attach_all(place.root, config.mounts, place.sources, place.cgroups)
    if not any(mount.destination.rstrip("/") == "/dev" and mounts.is_bind(mount) for mount in config.mounts):
        devices.make(place.root, config.linux.devices)
    for name, value in config.linux.sysctl.items():
        with stage("linux.sysctl", f"set {name} to {value!r}"):
            _set_parameter(name, value)


def _set_parameter(name: str, value: str) -> None:
    """Write a kernel parameter of this process's namespaces; a slash stands for a dot where there are dots too."""
    path = name if "/" in name and "." not in name.partition("/")[0] else name.replace(".", "/")
    descriptor = os.open(f"/proc/sys/{path}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def _enter_root(place: Place) -> None:
    """Make the root this mount namespace's; without pivot_root(2) the old one stays below, out of reach."""
    os.fchdir(place.root)
    if place.pivot:
        m.pivot_root(".", ".")
        m.mount("", ".", "", m.MS_SLAVE | m.MS_REC)
        m.umount2(".", m.MNT_DETACH)
    else:
        m.mount(".", "/", "", m.MS_MOVE)
        os.chroot(".")
    os.chdir("/")


def _finish(config: Config) -> None:
    """Propagation and names; raises Failed."""
    if config.linux.rootfs_propagation:
        with stage("linux.rootfsPropagation", "set the propagation of the root"):
            m.mount("", "/", "", options.PROPAGATION[config.linux.rootfs_propagation])
    with stage("hostname", "set the names"):
        if config.hostname:
            p.sethostname(config.hostname)
        if config.domainname:
            p.setdomainname(config.domainname)


def _protect(config: Config) -> None:
    """Hide what is masked and write-protect the rest, the root last; raises Failed."""
    for path in config.linux.masked_paths:
        with stage("linux.maskedPaths", f"mask {path}"):
            rootfs.Mask(path).execute("")
    for path in config.linux.readonly_paths:
        with stage("linux.readonlyPaths", f"write-protect {path}"):
            _write_protect(path)
    if config.root is not None and config.root.readonly:
        with stage("root.readonly", "write-protect the root"):
            m.mount_setattr(m.AT_FDCWD, "/", 0, m.MOUNT_ATTR_RDONLY)


def _write_protect(path: str) -> None:
    """Make a path read-only, with its other attributes as they are; a missing one is fine."""
    try:
        m.mount(path, path, "", m.MS_BIND | m.MS_REC)
    except FileNotFoundError:
        return
    m.mount_setattr(m.AT_FDCWD, path, 0, m.MOUNT_ATTR_RDONLY)


def _make_terminal(config: Config, place: Place) -> None:
    """Make the terminal, have it as the streams, and hand its other end over; raises Failed."""
    assert config.process is not None
    assert place.console is not None
    with stage("terminal", "make a terminal"):
        pair = terminal.open_pair(config.process.console_size)
        terminal.make_console(pair.slave)
        terminal.take_control(pair.slave)
        give_terminal(place.console, pair)


def give_terminal(console: socket.socket, pair: terminal.Pair) -> None:
    """Send the master to the console socket, and have the slave as the streams; the rest is closed."""
    os.set_blocking(pair.master, True)
    socket.send_fds(console, [os.readlink(f"/proc/self/fd/{pair.slave}").encode()], [pair.master])
    for number in range(3):
        os.dup2(pair.slave, number)
    console.close()
    pair.close()


def _start(config: Config, place: Place, connection: socket.socket) -> NoReturn:
    """Become the program; raises Failed."""
    state = _await(connection, "start")["state"]
    hooks.run("startContainer", config.hooks.start_container, state)
    assert config.process is not None
    become(config.process, place.confinement, (0, 1, 2), connection.fileno(), place.preserved)
