"""The last steps of a bundle's process: limits, identity, privileges, execve(2).

The numbers of the config are taken as they are: no name is looked up but the home directory. It doesn't end with the
command that made it. Source: runtime-spec config.md "Process", capabilities(7), ioprio_set(2), sched_setattr(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.linux.libc import checked, libc
from dockmagic.linux.seccomp import set_filter
from dockmagic.linux.syscalls import numbers
from dockmagic.oci.spec import IOPriority, Process, Rlimit, Scheduler
from dockmagic.runtime import process as base
from dockmagic.runtime import users
from dockmagic.runtime.stage import Failed, stage

_INFINITY: Final = (1 << 64) - 1
_DOMAINS: Final = {"LINUX": 0x0, "LINUX32": 0x8}
_POLICIES: Final = {
    "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}  # fmt: skip
_SCHED_FLAGS: Final = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}  # fmt: skip
_CLASSES: Final = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_CLASS_SHIFT: Final = 13
_WHO_PROCESS: Final = 1
_MOST_NUMBERS: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a process can't shake off: a filter of system calls and its flags, and an execution domain, "" for ours."""

    seccomp_filter: bytes = b""
    seccomp_flags: int = 0
    personality: str = ""


def become(process: Process, confinement: Confinement, stdio: Sequence[int], sync: int, preserved: int) -> NoReturn:
    """Turn into the process; raises Failed up to the very execve. `preserved` descriptors from 3 on stay open."""
    with stage("user", "read /etc/passwd"):
        environment = _environment(process)
    with stage("rlimits", "set resource limits"):
        _set_rlimits(process.rlimits)
    with stage("process.scheduler", "set the scheduling"):
        _schedule(process)
    with stage("stdio", "give the streams to the user"):
        _hand_over(stdio, process.user.uid)
    _close(sync, preserved)
    with stage("personality", "set the execution domain"):
        if confinement.personality:
            checked(libc.personality(ctypes.c_ulong(_DOMAINS[confinement.personality])), "personality")
    entered = _enter(process.cwd, privileged=True)
    _confine(process, confinement)
    if not entered:
        _enter(process.cwd, privileged=False)
    os.umask(process.user.umask)
    base.restore_signals()
    base.execute(process.args, environment)


def check_program(process: Process) -> None:
    """Raise Failed where the program isn't to be found in the container, so that its creation tells, not its start."""
    name, environment = process.args[0], _environment(process)
    names = [name] if "/" in name else [f"{d or '.'}/{name}" for d in environment.get("PATH", "").split(":")]
    paths = [os.path.join(process.cwd, path) for path in names]
    if any(os.path.isfile(path) and os.access(path, os.X_OK) for path in paths):
        return
    if any(os.path.exists(path) for path in paths):
        raise Failed(Failure("exec", errno.EACCES, f'exec: "{name}": permission denied'))
    where = "no such file or directory" if "/" in name else "executable file not found in $PATH"
    raise Failed(Failure("exec", errno.ENOENT, f'exec: "{name}": {where}'))


def _environment(process: Process) -> dict[str, str]:
    """The variables, and HOME of the user where it isn't among them."""
    environment = dict(entry.partition("=")[::2] for entry in process.env)
    if "HOME" not in environment:
        environment["HOME"] = users.home(process.user.uid, base.read_accounts("/etc/passwd"))
    return environment


def _set_rlimits(limits: Iterable[Rlimit]) -> None:
    for limit in limits:
        number = getattr(resource, limit.type, None)
        if number is None:
            raise Failed(Failure("rlimits", errno.EINVAL, f"process.rlimits: {limit.type} is no limit of this kernel"))
        soft, hard = (resource.RLIM_INFINITY if n >= _INFINITY else n for n in (limit.soft, limit.hard))
        try:
            resource.setrlimit(number, (soft, hard))
        except (ValueError, OSError) as error:
            reason = f"process.rlimits: {limit.type} {limit.soft} {limit.hard}: not permitted, or no possible limit"
            raise Failed(Failure("rlimits", errno.EPERM, reason)) from error


def _schedule(process: Process) -> None:
    if process.scheduler is not None:
        _set_scheduler(process.scheduler)
    if process.io_priority is not None:
        _set_io_priority(process.io_priority)


def _set_scheduler(wanted: Scheduler) -> None:
    """sched_setattr(2), for which Python has no function. Raises Failed, OSError."""
    if wanted.policy not in _POLICIES or not set(wanted.flags) <= set(_SCHED_FLAGS):
        raise Failed(Failure("process.scheduler", errno.EINVAL, f"process.scheduler: {wanted} isn't one"))
    flags = sum(_SCHED_FLAGS[name] for name in set(wanted.flags))
    times = (wanted.runtime, wanted.deadline, wanted.period)
    head = (48, _POLICIES[wanted.policy], flags, wanted.nice, wanted.priority)
    _call("sched_setattr", 0, struct.pack("=IIQiIQQQ", *head, *times), 0)


def _set_io_priority(wanted: IOPriority) -> None:
    if wanted.class_ not in _CLASSES:
        raise Failed(
            Failure("process.ioPriority", errno.EINVAL, f"process.ioPriority.class: {wanted.class_} isn't one")
        )
    _call("ioprio_set", _WHO_PROCESS, 0, _CLASSES[wanted.class_] << _CLASS_SHIFT | wanted.priority)


def _call(name: str, *arguments: int | bytes) -> None:
    number = numbers(os.uname().machine).get(name, -1)
    checked(libc.syscall(ctypes.c_long(number), *arguments), name)


def _hand_over(stdio: Sequence[int], uid: int) -> None:
    """Put the streams at 0, 1 and 2, owned by the user where they can be given away."""
    for number, descriptor in enumerate(stdio):
        if number != descriptor:
            os.dup2(descriptor, number)
        os.set_inheritable(number, True)
        if os.fstat(number).st_rdev != os.makedev(1, 3):
            with contextlib.suppress(OSError):
                os.fchown(number, uid, -1)


def _close(sync: int, preserved: int) -> None:
    """Close what comes from the host, but for what is to be handed on."""
    first = 3 + preserved
    for descriptor in range(3, first):
        os.set_inheritable(descriptor, True)
    os.closerange(first, sync)
    os.closerange(max(first, sync + 1), _MOST_NUMBERS)


def _enter(directory: str, *, privileged: bool) -> bool:
    """Enter the working directory, which is made where it is missing; False where only the user may. Raises Failed."""
    with stage("cwd", f"enter the working directory {directory}"):
        try:
            os.makedirs(directory, exist_ok=True)
            os.chdir(directory)
        except PermissionError:
            if privileged:
                return False
            raise
        os.getcwd()
        return True


def _confine(process: Process, confinement: Confinement) -> None:
    """Take on the user's identity, and only then what keeps system calls from being made."""
    if not process.no_new_privileges:  # then a filter needs CAP_SYS_ADMIN, which is about to go
        _filter(confinement)
    with stage("user", "take on the user's identity"):
        base.drop_bounding(process.capabilities.bounding)
        _take_identity(process)
    if process.no_new_privileges:
        p.prctl(p.PR_SET_NO_NEW_PRIVS, 1)
        _filter(confinement)


def _take_identity(process: Process) -> None:
    """Change groups, then the user, then capabilities; a user namespace without groups has none to change."""
    user = process.user
    try:
        os.setgroups(list(user.additional_gids))
    except PermissionError:
        if user.additional_gids:
            raise
    p.prctl(p.PR_SET_KEEPCAPS, 1)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    p.prctl(p.PR_SET_KEEPCAPS, 0)
    base.set_capabilities(process.capabilities)


def _filter(confinement: Confinement) -> None:
    if confinement.seccomp_filter:
        with stage("seccomp", "load the system call filter"):
            set_filter(confinement.seccomp_filter, confinement.seccomp_flags)
