"""Kernel parameters of a container's own namespaces. Source: namespaces(7), ipc_namespaces(7), sysctl(8)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Final

from dockmagic.errors import Failure, InvalidOption
from dockmagic.linux import mount as m
from dockmagic.runtime.stage import Failed

_OF_IPC: Final = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)


def check(name: str, *, host_network: bool, host_ipc: bool = False) -> None:
    """Raise InvalidOption unless the parameter belongs to a namespace that the container has of its own."""
    if name.startswith("net."):
        if host_network:
            raise InvalidOption(f"--sysctl {name}: with --network host it would be the host's; choose another network")
    elif name in _OF_IPC or name.startswith("fs.mqueue."):
        if host_ipc:
            raise InvalidOption(f"--sysctl {name}: with --ipc host it would be the host's; leave --ipc out")
    else:
        raise InvalidOption(
            f"--sysctl {name}: it isn't in a namespace of the container's own; there are net.*, fs.mqueue.*, "
            "kernel.msg*, kernel.sem and kernel.shm*"
        )


def set_parameters(parameters: Mapping[str, str], directory: str) -> None:
    """Write the parameters of this process's namespaces, through a /proc of its own on a new `directory`/sysctl.

    The container's own /proc has its parameters write-protected by then. Raises Failed for one that is refused.
    """
    place = f"{directory}/sysctl"
    os.mkdir(place)
    m.mount("proc", place, "proc", m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC)
    try:
        for name, value in parameters.items():
            _write(f"{place}/sys/{path_of(name)}", name, value)
    finally:
        m.umount2(place, m.MNT_DETACH)
        os.rmdir(place)


def preset(parameters: Mapping[str, str]) -> dict[str, str]:
    """Write parameters of this process's namespaces while the host's /proc is in sight; what they were before, by name.

    That takes a tenth of the time of `set_parameters`. Those that are write-protected there are left as they are.
    """
    before = {}
    for name, value in parameters.items():
        path = f"/proc/sys/{path_of(name)}"
        with contextlib.suppress(OSError, Failed):
            with open(path) as file:
                was = file.read().strip()
            _write(path, name, value)
            before[name] = was
    return before


def path_of(name: str) -> str:
    """Where a parameter is below /proc/sys; a slash in its name stands for a dot, as with sysctl(8).

    >>> path_of("net.ipv4.conf.eth0/1.rp_filter")
    'net/ipv4/conf/eth0.1/rp_filter'
    """
    return name.translate({ord("."): "/", ord("/"): "."})


def _write(path: str, name: str, value: str) -> None:
    """Write one parameter."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        why = "this kernel has no such parameter" if isinstance(error, FileNotFoundError) else error.strerror
        raise Failed(Failure("sysctl", error.errno or 0, f"--sysctl {name}={value}: {why}")) from error
