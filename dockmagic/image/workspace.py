"""Directories to work in, and the lock that keeps the store's content while somebody works with it.

A workspace lies on the file system of the layers, so that what was made in it can be renamed to its final name. It is
locked with flock(2) as long as it is used: the kernel drops the lock however its process ends, and `collect` removes
what nobody holds. A second lock, shared by all who work with the store, keeps a collector from taking away a layer that
one of them has found but not yet named in the database.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from dockmagic.errors import StoreError
from dockmagic.trees import close_to_others, remove_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HINTS = {
    errno.ENOSPC: "; free some space (for instance with `system prune`) and try again",
    errno.EDQUOT: "; the quota is used up",
    errno.EROFS: "; choose another state root with DOCKMAGIC_ROOT",
    errno.EACCES: "; choose another state root with DOCKMAGIC_ROOT",
    errno.EPERM: "; choose another state root with DOCKMAGIC_ROOT",
}


class Workspaces:
    """The directory `tmp` of a state root. Has no state of its own: any number of processes may have one."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "tmp"
        self._kept = root / "layers"
        with store_errors(f"use the state root {root}"):
            for directory in (root, self.directory, self._kept):  # they hold set-user-ID programs of any origin
                _make_private(directory)

    @contextmanager
    def new(self, prefix: str = "", *, hold: bool = True) -> Iterator[Path]:
        """Fresh directory (mode 0700), removed with all that is in it at the end, however that comes.

        Also holds the store's content meanwhile, unless told not to.
        """
        with self.hold() if hold else nullcontext():
            with store_errors("make a temporary directory"):
                path, lock = self._create(prefix)
            try:
                yield path
            finally:
                with suppress(OSError):  # what can't be removed now is collected later
                    remove_tree(path)
                os.close(lock)

    @contextmanager
    def claim(self, name: str, wait: Callable[[], None]) -> Iterator[Path]:
        """The workspace of this name, which one has at a time, in any process; removed at the end.

        Calls `wait` again and again while somebody else has it; what that raises ends the waiting.
        """
        with self.hold():
            while (lock := self._claim(self.directory / name)) is None:
                wait()
            try:
                yield self.directory / name
            finally:
                with suppress(OSError):  # what can't be removed now is collected later
                    remove_tree(self.directory / name)
                os.close(lock)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """While this is held, by any number, nobody takes layers or blobs out of the store."""
        fd = os.open(self._kept, _DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody holds the store's content; if so, nobody can until the end of the block."""
        fd = os.open(self._kept, _DIRECTORY)
        try:
            yield _try_lock(fd)
        finally:
            os.close(fd)

    def collect(self) -> int:
        """Remove the workspaces that a crash left behind; how many. Those in use stay."""
        removed = 0
        with os.scandir(self.directory) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            with suppress(OSError):
                removed += self._collect_one(self.directory / name)
        return removed

    def _create(self, prefix: str) -> tuple[Path, int]:
        """A new directory and the descriptor that locks it; another one where a collector was quicker than the lock."""
        while True:
            path = self.directory / f"{prefix}{secrets.token_hex(8)}"
            path.mkdir(mode=0o700)
            try:
                lock = os.open(path, _DIRECTORY)
            except FileNotFoundError:
                continue
            if _try_lock(lock) and path.exists():
                return path, lock
            os.close(lock)

    def _claim(self, path: Path) -> int | None:
        """Descriptor that locks the workspace, which is made where missing; None where somebody else has it."""
        with store_errors("make a temporary directory"):
            path.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = os.open(path, _DIRECTORY)
        except FileNotFoundError:  # given up by another at this moment
            return None
        if _try_lock(lock) and _is_at(lock, path):
            return lock
        os.close(lock)
        return None

    def _collect_one(self, path: Path) -> bool:
        """Whether a workspace was nobody's, and so removed."""
        lock = os.open(path, _DIRECTORY)
        try:
            if not _try_lock(lock):
                return False
            remove_tree(path)
            return True
        finally:
            os.close(lock)


@contextmanager
def store_errors(action: str) -> Iterator[None]:
    """Turn the OSError of a write to the state root into a StoreError: "cannot `action`: why"."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        raise StoreError(f"cannot {action}: {error.strerror or error}{hint}") from error


def _is_at(fd: int, path: Path) -> bool:
    """Whether the path still leads to this open directory."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _make_private(directory: Path) -> None:
    """Make a directory for nobody else, and close one that is there; raises PermissionError where that mustn't be."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_open, known = directory.stat().st_mode & 0o077, (directory / "layers").exists()
    if is_open and not known and any(directory.iterdir()):
        message = f"others can get into {directory}, which has other files in it; close it (chmod 700)"
        raise PermissionError(errno.EPERM, message)
    close_to_others(directory)


def _try_lock(fd: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
