"""What dead processes left in the kernel and in /run: found by asking who still answers, and removed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack

from dockmagic.runtime import protocol
from dockmagic.runtime.cgroup.group import Group, leftovers
from dockmagic.runtime.cgroup.hierarchy import Hierarchies
from dockmagic.runtime.request import CONTROL_SOCKET, RESOLVER_LOCK, RESOLVER_LOG, RESOLVER_SOCKET, root_key
from dockmagic.trees import make_private, remove_tree

YOUNG_S = 10.0  # what is younger may be in the making
_TRIES = 20


def collect(state_root: str, run_dir: str, hierarchies: Hierarchies, *, groups_older_than_s: float = YOUNG_S) -> None:
    """Remove cgroups without processes and run-time files without a monitor, unless they may be in the making."""
    now = time.time()
    prefix = f"{root_key(state_root)}-"
    for name in leftovers(hierarchies, ()):
        group = Group(hierarchies, name)
        if name.startswith(prefix) and _older(group.paths().values(), now - groups_older_than_s) and not group.pids():
            group.remove(timeout_s=0)
    with contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(run_dir)):
            if entry.is_dir() and len(entry.name) == 32:
                _collect_directory(entry.path)
    _collect_resolver(run_dir)


def _collect_resolver(run_dir: str) -> None:
    """Remove the files of a resolver that was killed."""
    with contextlib.suppress(OSError), lock(f"{run_dir}/{RESOLVER_LOCK}", fcntl.LOCK_EX | fcntl.LOCK_NB):
        for name in (RESOLVER_SOCKET, RESOLVER_LOG, RESOLVER_LOCK):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{run_dir}/{name}")


def _older(paths: Iterable[str], time_s: float) -> bool:
    """Whether the first of these paths that exists has not changed since that time."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(path).st_ctime <= time_s
    return True


def _collect_directory(path: str) -> None:
    """Remove a container's run-time directory unless it has a monitor, or is being started."""
    with contextlib.suppress(OSError), lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        try:
            protocol.connect(f"{path}/{CONTROL_SOCKET}").close()
        except (ConnectionRefusedError, FileNotFoundError):
            remove_tree(path)


def runs(directory: str) -> bool:
    """Whether the container with this run-time directory runs, or is being started."""
    try:
        with lock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
            protocol.connect(f"{directory}/{CONTROL_SOCKET}").close()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def any_runs(run_dir: str) -> bool:
    """Whether any container with run-time files in this directory runs, or is being started."""
    with contextlib.suppress(FileNotFoundError):
        return any(runs(f"{run_dir}/{name}") for name in os.listdir(run_dir) if len(name) == 32)
    return False


def claim(directory: str | os.PathLike[str]) -> ExitStack:
    """Make a directory where there is none, and protect it from collectors while the returned context lasts.

    It is made again where a collector was quicker than the lock. Raises OSError.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            make_private(os.fspath(directory))
            held = lock(directory, fcntl.LOCK_SH)
            if os.path.exists(directory):
                return held
            held.close()
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory)


def lock(path: str | os.PathLike[str], operation: int) -> ExitStack:
    """Hold a flock(2) on the directory or file while the returned context lasts."""
    stack = ExitStack()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        stack.close()
        raise
    return stack


def discard(directory: str | os.PathLike[str]) -> None:
    """Remove a directory that others may be about to remove, or to look at: it is gone from its place at once.

    What can't be removed stays beside it under another name, for `runtime.container` to collect.
    """
    aside = os.path.join(os.path.dirname(directory), f".{os.urandom(8).hex()}")
    with contextlib.suppress(OSError):
        os.rename(directory, aside)
        remove_tree(aside)
