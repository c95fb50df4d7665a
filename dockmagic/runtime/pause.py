"""A container that stands still for a moment, and goes on whatever happens to who asked for it.

A file `frozen` in the container's directory names its cgroup and is locked as long as somebody wants it to stand still;
one that nobody holds was left by a process that was killed, and the container is let go by the next who looks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dockmagic.errors import ContainerError
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group

_MARK: Final = "frozen"


@contextlib.contextmanager
def paused(directory: Path, cgroup: str) -> Iterator[None]:
    """No process of the container whose directory this is runs in the block.

    Who comes second waits. Raises ContainerError where the processes can't be stopped; then they go on.
    """
    group = Group(hierarchy.detect(), cgroup)
    mark = directory / _MARK
    with _marked(mark, cgroup):
        try:
            try:
                _freeze(group)
                yield
            finally:
                _thaw(group)
        finally:  # once more: an interrupt can come between any two steps
            _thaw(group)
            mark.unlink(missing_ok=True)


def collect(containers: Path) -> None:
    """Let those go on that a process wanted to stand still which is no more."""
    for mark in list(containers.glob(f"*/{_MARK}")):
        with contextlib.suppress(OSError), mark.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _thaw(Group(hierarchy.detect(), file.read().decode()))
            mark.unlink(missing_ok=True)


@contextlib.contextmanager
def _marked(mark: Path, cgroup: str) -> Iterator[None]:
    """Hold the mark, once whoever has it now is done with it."""
    while True:
        with mark.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file.fileno(), mark):
                continue
            file.truncate(0)
            file.write(cgroup.encode())
            file.flush()
            yield
            return


def _is_at(fd: int, path: Path) -> bool:
    """Whether this open file still has its name."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _freeze(group: Group) -> None:
    """Stop the processes; raises ContainerError where that can't be."""
    why = "they didn't stop in time"
    try:
        group.freeze()
    except OSError as error:
        why = error.strerror or str(error)
    if not group.is_frozen():
        raise ContainerError(f"cannot pause the container's processes: {why}; try again, or use --pause=false")


def _thaw(group: Group) -> None:
    """Let the processes go on; a group that is gone has none."""
    with contextlib.suppress(OSError):
        group.thaw()
