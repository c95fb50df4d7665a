"""A root that paths are looked up in: a container's, which nothing leads out of, or the host's.

All symlinks are resolved by the kernel as if the root were `/` (openat2 with RESOLVE_IN_ROOT), so that it doesn't
matter what a container does to its files meanwhile. Source: openat2(2).
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption, NotFound
from dockmagic.files.rules import names_directory
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_MOST_LINKS: Final = 40  # as the kernel's
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR)
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Place:
    """A root by its descriptor, which is the caller's; `name` is the container's, "" for the host."""

    def __init__(self, fd: int, name: str = "") -> None:
        self.fd = fd
        self.name = name
        self._root_path = _path_of(fd)

    def shown(self, path: str) -> str:
        """The path as a user writes it."""
        return f"{self.name}:{path}" if self.name else path

    def status(self, path: str) -> os.stat_result | None:
        """What lstat says of a path, None where nothing is there. A "/" at its end asks for a directory."""
        try:
            with self.opened(path, _LOOK) as fd:
                return os.fstat(fd)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def settled(self, path: str) -> tuple[str, os.stat_result | None]:
        """The path that the links at the end of this one lead to, and what is there, if anything.

        Raises InvalidOption where they lead in a circle.
        """
        shown = self.shown(path)
        for _ in range(_MOST_LINKS):
            found = self.status(path)
            if found is None or not stat.S_ISLNK(found.st_mode):
                return path, found
            path = posixpath.join(posixpath.dirname(path), self._target_of(path))
        raise InvalidOption(f"{shown}: its links lead in a circle")

    def _target_of(self, path: str) -> str:
        """What a symlink holds."""
        above, name = posixpath.split(path)
        with self.opened(above, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) as fd:
            return os.readlink(name, dir_fd=fd)

    @contextmanager
    def opened(self, path: str, flags: int = _DIRECTORY) -> Iterator[int]:
        """Descriptor of what is at a path, by default of a directory to read, for the block. Raises OSError."""
        fd = self._open(path, flags, RESOLVE_IN_ROOT | (RESOLVE_NO_MAGICLINKS if self.name else 0))
        try:
            yield fd
        finally:
            os.close(fd)

    def parts(self, path: str) -> list[bytes]:
        """The parts of a directory's true path, no symlink in it, below the root; raises NotFound without one."""
        try:
            with self.opened(path) as fd:
                real = _path_of(fd)[len(self._root_path) :].strip(b"/")
                self._check_is_at(fd, real)
        except OSError as error:
            if error.errno not in (*_NOT_THERE, errno.ELOOP):
                raise
            raise NotFound("directory", self.shown(path), "make it first") from error
        return [part for part in real.split(b"/") if part]

    def _check_is_at(self, fd: int, real: bytes) -> None:
        """Raise OSError unless this path leads to the open directory: it may have been moved or removed meanwhile."""
        again = self._open(real or b".", _DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
        try:
            if not os.path.samestat(os.fstat(fd), os.fstat(again)):
                raise OSError(errno.ENOENT, "it was moved meanwhile", os.fsdecode(real))
        finally:
            os.close(again)

    def is_mount_point(self, path: str) -> bool:
        """Whether something is mounted on this path, which isn't the root's."""
        with self.opened(path, _LOOK) as fd, self.opened(posixpath.dirname(path.rstrip("/")) or "/") as parent:
            return _mount_of(fd) != _mount_of(parent)

    def _open(self, path: str | bytes, flags: int, resolve: int) -> int:
        """A descriptor; tried again where a rename somewhere on the machine made the kernel unsure."""
        while True:
            try:
                return openat2(self.fd, path, flags, resolve=resolve)
            except BlockingIOError:
                continue


@contextmanager
def host() -> Iterator[Place]:
    """The host's root, for the block."""
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Place(fd)
    finally:
        os.close(fd)


def is_directory(status: os.stat_result | None) -> bool:
    """Whether there is something, and it is a directory."""
    return status is not None and stat.S_ISDIR(status.st_mode)


def check_target(path: str, status: os.stat_result | None, shown: str) -> None:
    """Raise InvalidOption unless something can be copied to a path of which lstat says this."""
    if status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise InvalidOption(f"{shown} must be a directory or a regular file")
    if status is not None and names_directory(path) and not stat.S_ISDIR(status.st_mode):
        raise InvalidOption(f"{shown} is not a directory")


def _path_of(fd: int) -> bytes:
    """The path of an open file, as proc(5) has it."""
    return os.fsencode(Path(f"/proc/self/fd/{fd}").readlink())


def _mount_of(fd: int) -> bytes:
    """Identity of the mount that an open file is in, as proc(5) has it."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_bytes().splitlines()
    return next(line for line in lines if line.startswith(b"mnt_id:"))
