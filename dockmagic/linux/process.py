"""Calls that make and change processes. Source: clone(2), setns(2), unshare(2), prctl(2), capset(2), keyctl(2)."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable
from typing import Final

from dockmagic.linux.libc import checked, libc

CLONE_NEWTIME: Final = 0x80
CLONE_FS: Final = 0x200
CLONE_PIDFD: Final = 0x1000
CLONE_PARENT: Final = 0x8000
CLONE_NEWNS: Final = 0x20000
CLONE_NEWCGROUP: Final = 0x2000000
CLONE_NEWUTS: Final = 0x4000000
CLONE_NEWIPC: Final = 0x8000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
CLONE_INTO_CGROUP: Final = 0x200000000

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

_SYS_CLONE: Final = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
_SYS_CLONE3: Final = 435
_SYS_RT_SIGACTION: Final = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
_SYS_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
_KEYCTL_JOIN_SESSION_KEYRING: Final = 1
_LINUX_CAPABILITY_VERSION_3: Final = 0x20080522


class _CloneArgs(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup"
        ).split()
    )


def clone3(flags: int, exit_signal: int, cgroup: int = 0) -> tuple[int, int]:
    """Fork into new namespaces: (pid, pidfd) in the parent, (0, -1) in the child.

    The caller must have one thread only: nothing runs Python's or the C library's fork handlers. `cgroup` is a
    descriptor of a cgroup v2 directory, used with CLONE_INTO_CGROUP. With CLONE_PARENT, where `exit_signal` must be 0,
    the new process is the caller's sibling.
    """
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs(flags=flags | CLONE_PIDFD, exit_signal=exit_signal, cgroup=cgroup)
    args.pidfd = ctypes.addressof(pidfd)
    pid = checked(libc.syscall(_SYS_CLONE3, ctypes.byref(args), ctypes.c_size_t(ctypes.sizeof(args))), "clone3")
    return pid, pidfd.value


def clone_sibling() -> int:
    """Fork a child of this process's own parent, in the pid namespace for children: its number here, 0 in the child.

    As with clone3, of which filters of system calls know nothing, the caller must have one thread only.
    """
    flags = ctypes.c_ulong(CLONE_PARENT | signal.SIGCHLD)
    return checked(libc.syscall(ctypes.c_long(_SYS_CLONE), flags, *[ctypes.c_void_p(None)] * 4), "clone")


def setns(fd: int, nstype: int) -> None:
    """Join the namespace behind `fd`, or with a pidfd all those of a process that `nstype` names."""
    checked(libc.setns(fd, nstype), "setns")


def unshare(flags: int) -> None:
    """Move this process into new namespaces of these kinds."""
    checked(libc.unshare(flags), "unshare")


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """Operate on this process."""
    arguments = (ctypes.c_ulong(argument) for argument in (arg2, arg3, arg4, arg5))
    return checked(libc.prctl(option, *arguments), "prctl")


class _SigAction(ctypes.Structure):
    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("restorer", ctypes.c_void_p),
        ("mask", ctypes.c_uint64),
    )


def rt_sigaction_default(signum: int) -> None:
    """Give a signal its default action, also one of those that the C library keeps to itself (32 and 33)."""
    action = ctypes.byref(_SigAction())
    arguments = (signum, action, None, ctypes.c_size_t(ctypes.sizeof(ctypes.c_uint64)))
    checked(libc.syscall(_SYS_RT_SIGACTION, *arguments), "rt_sigaction")


def set_name(name: str) -> None:
    """Name this process in ps and top; the kernel keeps 15 bytes."""
    checked(libc.prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0), "prctl")


def argument_area() -> tuple[int, int]:
    """Where this process's arguments and, after them, its environment are: first address, and the one behind the last.

    Source: proc_pid_stat(5), arg_start and env_end.
    """
    with open("/proc/self/stat") as file:  # noqa: PTH123 -- pathlib costs milliseconds of the launcher's start
        fields = file.read().rpartition(")")[2].split()
    return int(fields[45]), int(fields[48])


def overwrite(area: tuple[int, int], text: bytes) -> None:
    """Have this process's arguments read as `text`, and its environment as nothing."""
    start, end = area
    if end > start > 0:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, min(len(text), end - start))


def capset(effective: Iterable[int], permitted: Iterable[int], inheritable: Iterable[int]) -> None:
    """Set this process's capabilities, given by number."""
    header = (ctypes.c_uint32 * 2)(_LINUX_CAPABILITY_VERSION_3, 0)
    masks = [sum(1 << number for number in numbers) for numbers in (effective, permitted, inheritable)]
    words = [mask >> shift & 0xFFFFFFFF for shift in (0, 32) for mask in masks]
    checked(libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)(*words))), "capset")


def join_session_keyring() -> None:
    """Replace the inherited session keyring by a new one."""
    checked(libc.syscall(_SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, None), "keyctl")


def sethostname(name: str) -> None:
    """Set the hostname of this UTS namespace."""
    encoded = name.encode()
    checked(libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def setdomainname(name: str) -> None:
    """Set the NIS domain name of this UTS namespace."""
    encoded = name.encode()
    checked(libc.setdomainname(encoded, ctypes.c_size_t(len(encoded))), "setdomainname")
