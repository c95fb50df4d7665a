"""From the last steps of a container's making to its program: identity, limits, privileges, execve(2).

Runs in the new process, inside its namespaces and its root, and never returns. Everything it needs was imported
before: the container's files are not the host's, and nothing of them may be run or read as Python.
Source: runtime-spec config.md "POSIX process", capabilities(7) "Transformation of capabilities during execve()".
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.linux.files import RESOLVE_NO_MAGICLINKS, openat2
from dockmagic.linux.mount import AT_FDCWD
from dockmagic.linux.seccomp import set_filter
from dockmagic.oci.defaults import ALL_CAPABILITIES
from dockmagic.oci.spec import Capabilities, Process, Rlimit, User
from dockmagic.runtime import users
from dockmagic.runtime.inside import reach
from dockmagic.runtime.stage import Failed, describe, stage

_NUMBERS: Final = {name: number for number, name in enumerate(ALL_CAPABILITIES)}
# An interpreter in a script's first line that doesn't exist gives ENOENT too.
_NOT_FOUND: Final = (errno.ENOENT, errno.ENOTDIR)
_NULL: Final = os.makedev(1, 3)
_RLIMIT_LOCKS: Final = 10  # the module `resource` has no name for it
_MAX_FILE: Final = 16 << 20  # bytes of /etc/passwd or /etc/group
_MAX_CAPABILITIES: Final = 64
_MAX_DESCRIPTORS: Final = (1 << 31) - 1


def become(process: Process, seccomp_filter: bytes, stdio: tuple[int, int, int], sync: int) -> NoReturn:
    """Turn into the process of the spec, a missing working directory being made; raises Failed up to the very execve.

    Of the descriptors only `sync` stays open until then.
    """
    go_in = partial(change_directory, process.cwd, make=True)
    execute(process.args, settle(process, seccomp_filter, stdio, sync, go_in))


def settle(
    process: Process, seccomp_filter: bytes, stdio: tuple[int, int, int], sync: int, go_in: Callable[[], None]
) -> Mapping[str, str]:
    """Be all that the process of the spec is, but for its program: what its environment is to be; raises Failed.

    `go_in` changes to its directory.
    """
    credentials = _credentials(process.user)
    environment = _environment(process.env, credentials.home)
    with stage("rlimits", "set resource limits"):
        _set_rlimits(process.rlimits)
        set_oom_score(process.oom_score_adj)
    with stage("stdio", "give the streams to the user"):
        hand_over(stdio, credentials.uid)
    close_all_but(sync)
    go_in()
    _confine(process, credentials, seccomp_filter)
    os.umask(process.user.umask)
    restore_signals()
    return environment


def confine(process: Process, seccomp_filter: bytes) -> None:
    """Be who the process of the spec is, without its capabilities but CAP_KILL of root, and die with the parent.

    Raises Failed.
    """
    credentials, own = _credentials(process.user), process.capabilities
    kept = tuple(name for name in own.permitted if name == "CAP_KILL" and credentials.uid == 0)
    few = Capabilities(bounding=own.bounding, effective=kept, permitted=kept)
    _confine(replace(process, capabilities=few), credentials, seccomp_filter)


def _confine(process: Process, credentials: users.Credentials, seccomp_filter: bytes) -> None:
    """Take on the user's identity, and only then what keeps system calls from being made."""
    if not process.no_new_privileges:  # then a filter needs CAP_SYS_ADMIN, which is about to go
        _filter(seccomp_filter)
    with stage("user", "take on the user's identity"):
        drop_bounding(process.capabilities.bounding)
        _take_identity(credentials, process.capabilities)
    if process.no_new_privileges:
        p.prctl(p.PR_SET_NO_NEW_PRIVS, 1)
        _filter(seccomp_filter)
    p.prctl(p.PR_SET_PDEATHSIG, signal.SIGKILL)  # changing identity has cleared it


def _credentials(user: User) -> users.Credentials:
    """Who the process is, by the container's own files."""
    with stage("user", "read /etc/passwd and /etc/group"):
        passwd, group = read_accounts("/etc/passwd"), read_accounts("/etc/group")
    try:
        return users.resolve(user, passwd, group)
    except users.UnknownUser as error:
        raise Failed(Failure("user", errno.EINVAL, str(error))) from error


def read_accounts(path: str) -> str:
    """Content of a regular file that the container may have replaced by anything: no pipe may hold us up here.

    Nor may a link lead to a file that only this process has open.

    No more is read than the file is long, so that a link to something of the kernel's in /proc gives nothing.
    """
    try:
        descriptor = openat2(AT_FDCWD, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, resolve=RESOLVE_NO_MAGICLINKS)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if status.st_size > _MAX_FILE:
            raise OSError(errno.EFBIG, f"larger than {_MAX_FILE >> 20} MB", path)
        return os.pread(descriptor, status.st_size, 0).decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)


def _environment(entries: Iterable[str], home: str) -> dict[str, str]:
    """The variables, and HOME where the image and the user left it open."""
    environment = dict(entry.split("=", 1) for entry in entries)
    if not environment.get("HOME"):
        environment["HOME"] = home
    return environment


def _set_rlimits(limits: Iterable[Rlimit]) -> None:
    """Set the limits; raising one above the hard limit takes CAP_SYS_RESOURCE, which not every host has."""
    for limit in limits:
        try:
            resource.setrlimit(_rlimit(limit), (limit.soft, limit.hard))
        except (ValueError, OSError) as error:
            name = limit.type.removeprefix("RLIMIT_").lower()
            hard = resource.getrlimit(_rlimit(limit))[1]
            reason = f"--ulimit {name}={limit.soft}:{limit.hard}: not allowed here; the host's own limit is {hard}"
            raise Failed(Failure("rlimits", errno.EPERM, reason)) from error


def _rlimit(limit: Rlimit) -> int:
    """The limit's number. Source: asm-generic/resource.h."""
    return _RLIMIT_LOCKS if limit.type == "RLIMIT_LOCKS" else int(getattr(resource, limit.type))


def set_oom_score(adjustment: int | None) -> None:
    """Say how early the kernel kills this process for want of memory; below the present score that takes a capability.

    Source: proc(5), /proc/pid/oom_score_adj.
    """
    if adjustment is None:
        return
    descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(adjustment).encode())
    except PermissionError as error:
        present = os.pread(descriptor, 16, 0).decode().strip()
        reason = f"--oom-score-adj {adjustment}: not allowed here; the least that this host allows is {present}"
        raise Failed(Failure("rlimits", errno.EACCES, reason)) from error
    finally:
        os.close(descriptor)


def change_directory(path: str, *, make: bool) -> None:
    """Enter the working directory, with `make` one that is missing; getcwd(2) fails in one not below the root."""
    with stage("cwd", f"enter the working directory {path}"):
        try:
            os.chdir(path)
        except FileNotFoundError:
            if not make:
                raise
            _enter_new(path)
        os.getcwd()


def _enter_new(path: str) -> None:
    """Make a directory, and enter it; a link to a process's root, which may be the host's, isn't followed to it."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    place = reach(root, path, directory=True)
    os.fchdir(place)
    os.close(place)
    os.close(root)


def hand_over(stdio: tuple[int, int, int], uid: int) -> None:
    """Put the streams at 0, 1 and 2, owned by the user, so that /dev/stdout can be opened.

    The null device comes from the host, and who has a descriptor of a node may change its mode: the container's own
    takes its place.
    """
    for number, descriptor in enumerate(stdio):
        if os.fstat(descriptor).st_rdev == _NULL:
            _open_null(number)
            continue
        os.dup2(descriptor, number)
        try:
            os.fchown(number, uid, -1)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EROFS, errno.EINVAL):
                raise


def close_all_but(sync: int) -> None:
    """Close what comes from the host: a path of the container's may lead through /proc/self/fd."""
    os.closerange(3, sync)
    os.closerange(sync + 1, _MAX_DESCRIPTORS)


def _open_null(number: int) -> None:
    """Open the container's /dev/null as `number`; whatever else the container has put there is not handed over."""
    descriptor = os.open("/dev/null", os.O_RDWR | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _NULL:
        raise OSError(errno.ENODEV, "not the null device", "/dev/null")
    os.dup2(descriptor, number)
    os.close(descriptor)


def _filter(seccomp_filter: bytes) -> None:
    if seccomp_filter:
        with stage("seccomp", "load the system call filter"):
            set_filter(seccomp_filter)


def drop_bounding(keep: Iterable[str]) -> None:
    """Take every capability out of the bounding set that isn't to be kept, also those that we don't know."""
    kept = {_NUMBERS[name] for name in keep}
    for number in range(_MAX_CAPABILITIES):
        if number not in kept:
            try:
                p.prctl(p.PR_CAPBSET_DROP, number)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return


def _take_identity(credentials: users.Credentials, capabilities: Capabilities) -> None:
    """Change groups, then the user, then capabilities; without ambient ones execve empties those of a non-root user."""
    os.setgroups(list(dict.fromkeys((credentials.gid, *credentials.groups))))
    os.setresgid(credentials.gid, credentials.gid, credentials.gid)
    p.prctl(p.PR_SET_KEEPCAPS, 1)
    os.setresuid(credentials.uid, credentials.uid, credentials.uid)
    p.prctl(p.PR_SET_KEEPCAPS, 0)
    set_capabilities(capabilities)


def set_capabilities(capabilities: Capabilities) -> None:
    """Have these capabilities, but for the bounding set, and no others."""
    sets = (capabilities.effective, capabilities.permitted, capabilities.inheritable)
    p.capset(*([_NUMBERS[name] for name in names] for names in sets))
    p.prctl(p.PR_CAP_AMBIENT, p.PR_CAP_AMBIENT_CLEAR_ALL)
    for name in capabilities.ambient:
        p.prctl(p.PR_CAP_AMBIENT, p.PR_CAP_AMBIENT_RAISE, _NUMBERS[name])


def restore_signals() -> None:
    """Python ignores these two, and a monitor blocks one for a while; a program expects the default."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def execute(args: tuple[str, ...], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the program, searched in the container's own PATH as execvp(3) does."""
    name = args[0]
    if not name:
        raise Failed(Failure("exec", errno.ENOENT, 'exec: "": executable file not found in $PATH'))
    candidates = [name] if "/" in name else [f"{d or '.'}/{name}" for d in environment.get("PATH", "").split(":")]
    refused: OSError | None = None
    for path in candidates:
        try:
            os.execve(path, args, environment)
        except OSError as error:
            if error.errno not in _NOT_FOUND:
                refused = refused or error
    if refused is not None:
        reason = (refused.strerror or "").lower()
        raise Failed(Failure("exec", refused.errno or 0, f'exec: "{name}": {reason}'))
    where = "no such file or directory" if "/" in name else "executable file not found in $PATH"
    raise Failed(Failure("exec", errno.ENOENT, f'exec: "{name}": {where}'))


def rehearse(process: Process) -> None:
    """Use what `become` will use, without changing anything (see `init.rehearse`)."""
    credentials = _credentials(process.user)
    _environment(("A=B",), credentials.home)
    _set_rlimits(())
    change_directory("/", make=False)
    os.dup2(0, 0)
    base64.b64decode("")
    with contextlib.suppress(OSError):
        set_filter(b"")  # refused: an empty program is none
    drop_bounding(ALL_CAPABILITIES)
    p.prctl(p.PR_SET_KEEPCAPS, 0)
    restore_signals()
    with contextlib.suppress(Failed):
        execute(("/trial/none",), {})


def unexpected(stage_name: str, error: Exception) -> Failure:
    """What to report of an error that nobody foresaw. A traceback would read source files, the container's by now."""
    if isinstance(error, Failed):
        return error.failure
    if isinstance(error, OSError):
        return Failure(stage_name, error.errno or 0, describe(error))
    return Failure(stage_name, errno.EINVAL, str(error))


def exit_status(failure: Failure) -> int:
    """Docker's status for a failed start: 127 not found, 126 can't be run, 125 anything else."""
    if failure.stage != "exec":
        return 125
    return 127 if failure.errno in _NOT_FOUND else 126
