"""Upkeep of the directories behind RUN --mount=type=cache (builder.caches): which there are, their sizes, removal.

    cache/<key>/size    the time of the last use that was measured (ns), and the bytes in the tree then

An entry that somebody uses is neither measured nor removed: both take its lock alone. Source: flock(2).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.image import upper
from dockmagic.image.workspace import Workspaces, store_errors

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class CacheMount:
    """An entry: the name of its directory, what Dockerfiles call it, bytes in it, and times in ns since 1970."""

    name: str
    id: str
    size_bytes: int
    created_ns: int
    used_ns: int
    in_use: bool


class CacheMounts:
    """The directory `cache` of a state root; any number of processes may have one."""

    def __init__(self, root: Path, workspaces: Workspaces) -> None:
        self._directory = root / "cache"
        self._workspaces = workspaces

    def list(self) -> list[CacheMount]:
        """All entries; one that was used since its last measure is measured, unless it is in use."""
        entries = sorted(self._directory.iterdir()) if self._directory.is_dir() else []
        found = []
        for entry in entries:
            with suppress(FileNotFoundError):  # removed at this moment
                found.append(self._look_at(entry))
        return found

    def total_bytes(self) -> int:
        """Bytes in all entries; walks only through those that were used since their last measure."""
        return sum(mount.size_bytes for mount in self.list())

    def remove(self, name: str) -> bool:
        """Remove an entry; whether that could be done: somebody may use it, or have removed it."""
        entry = self._directory / name
        with self._workspaces.new("trash-", hold=False) as trash, _alone(entry) as lock:
            if lock is None:
                return False
            with store_errors("remove a cache"):
                entry.rename(trash / name)
        return True

    def _look_at(self, entry: Path) -> CacheMount:
        """The entry as it is now; raises FileNotFoundError where it is gone."""
        with _alone(entry) as lock:
            used_ns = entry.stat().st_mtime_ns
            size = _measured(entry, used_ns)
            if size is None and lock is not None:
                size = _measure(entry, used_ns)
            made = (entry / "id").stat().st_mtime_ns
            name = (entry / "id").read_text(encoding="utf-8", errors="surrogateescape")
            return CacheMount(entry.name, name, size or 0, made, used_ns, lock is None)


@contextmanager
def _alone(entry: Path) -> Iterator[int | None]:
    """The descriptor that locks the entry against everybody, None where somebody uses it or it is gone."""
    lock = None
    with suppress(FileNotFoundError, NotADirectoryError):
        lock = os.open(entry, _DIRECTORY)
    try:
        yield lock if lock is not None and _locked(lock, entry) else None
    finally:
        if lock is not None:
            os.close(lock)


def _locked(lock: int, entry: Path) -> bool:
    """Whether the lock could be had at once, and is of what is at the path."""
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), entry.stat())
    return False


def _measured(entry: Path, used_ns: int) -> int | None:
    """The size as measured after the use at that time, None where that wasn't done yet."""
    with suppress(FileNotFoundError, ValueError):
        at_ns, size = map(int, (entry / "size").read_text().split())
        return size if at_ns == used_ns else None
    return None


def _measure(entry: Path, used_ns: int) -> int:
    """Bytes in the entry's tree, written down without changing the time of its last use."""
    size = upper.size(entry / "tree")
    with suppress(OSError):  # a full disk: it is measured again the next time
        (entry / "size").write_text(f"{used_ns} {size}")
        os.utime(entry, ns=(used_ns, used_ns))
    return size
