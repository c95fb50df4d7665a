"""A container that stays as it is, running or not, while somebody works on its files."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from dockmagic.errors import DockmagicError, NotFound
from dockmagic.runtime import leftovers
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.state import ContainerState


@contextmanager
def held(rows: Containers, row: Row) -> Iterator[ContainerState]:
    """The container's state; for the block it isn't started, and one that doesn't run is ours alone.

    Raises NotFound, at the end too where it has been removed meanwhile.
    """
    with present(rows, row), _locked(rows, row) as now:
        yield now


@contextmanager
def present(rows: Containers, row: Row) -> Iterator[None]:
    """Raise NotFound unless the container is there at the beginning and at the end, whatever else may have failed."""
    _check_there(rows, row)
    try:
        yield
    except (OSError, DockmagicError):
        _check_there(rows, row)
        raise
    _check_there(rows, row)


@contextmanager
def _locked(rows: Containers, row: Row) -> Iterator[ContainerState]:
    """The state under a lock: shared with others who use a running container, else for one alone."""
    for operation in (fcntl.LOCK_SH, fcntl.LOCK_EX):
        with leftovers.lock(rows.directory(row.id), operation):
            now = rows.state(row.id)
            if now.running or operation == fcntl.LOCK_EX:
                yield now
                return


def _check_there(rows: Containers, row: Row) -> None:
    """Raise NotFound where the container has been removed."""
    if not rows.directory(row.id).exists():
        raise NotFound("container", row.name, "it has been removed")
