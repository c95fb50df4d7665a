"""Directories of a tree that is being written: found inside its root only, made where missing, finished last.

A path's symlinks are resolved as if the root were `/` (openat2's RESOLVE_IN_ROOT), so no path leads outside. Owner,
mode, attributes and time of a directory are set at the end: its time changes with every file made in it, and setgid
bits, default ACLs or missing permissions would show in those files. Source: openat2(2).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from tarfile import DIRTYPE
from typing import Final, NamedTuple

from dockmagic.image import attributes, overlay
from dockmagic.image.lower import find_directory
from dockmagic.image.tar_header import Entry
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STRICT: Final = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
_INSIDE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_NOT_THERE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
_MAX_OPEN: Final = 128
_MAX_DEPTH: Final = 255  # whoever walks the tree later can keep a descriptor a level


class Directory(NamedTuple):
    """An open directory, and its path below the root with no symlink in it; the root's is empty."""

    fd: int
    path: bytes

    def child(self, name: bytes) -> bytes:
        """Path of what has this name in the directory."""
        return self.path + b"/" + name if self.path else name


class Directories:
    """The directories below a root, opened once; a Directory is good until the next `trim`.

    `lower` are the layers that the root lies upon, the topmost first: directories that nobody describes look as there,
    or have the time `made_ns`.
    """

    def __init__(self, root: Path, lower: Sequence[Path] = (), made_ns: int = 0) -> None:
        self._lower = lower
        self._made_ns = made_ns
        self._root = Directory(os.open(root, _DIRECTORY), b"")
        self._root_path = _path_of(self._root.fd)
        self._open = {b"": self._root}
        self._entries: dict[bytes, Entry] = {}
        self._stale = False
        self.has_removed = False  # anything, at any time

    def open(self, path: bytes) -> Directory:
        """The directory at `path` (parts joined by single slashes); it and its parents are made where missing.

        Raises ValueError where something else is in the way, or a symlink that leads to nothing inside the root.
        """
        return self._open.get(path) or self._enter(path)

    def make(self, parent: Directory, name: bytes, entry: Entry) -> Directory:
        """Directory `name` with what the entry says; one that is there stays, any other file is replaced.

        Where a whiteout is replaced, the directory of that name in the layers below stays hidden: it becomes opaque.
        """
        status = self.status(parent, name)
        is_new = status is None or not stat.S_ISDIR(status.st_mode)
        if is_new:
            self._check_depth(parent.child(name))
            if status is not None:
                self.remove(parent, name)
            os.mkdir(name, 0o700, dir_fd=parent.fd)
        directory = self._keep(parent.child(name), os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent.fd))
        if status is not None and overlay.is_whiteout(status):
            overlay.make_opaque(directory.fd)
        self._entries[directory.path] = entry
        return directory

    def describe_root(self, entry: Entry) -> None:
        """Let the root have what the entry says."""
        self._entries[b""] = entry

    def status(self, parent: Directory, name: bytes) -> os.stat_result | None:
        """What lstat says of `name`, None where there is nothing."""
        try:
            return os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, parent: Directory, name: bytes) -> None:
        """Remove a file, or a directory with all that is in it."""
        self._stale = self.has_removed = True
        status = self.status(parent, name)
        if status is not None and stat.S_ISDIR(status.st_mode):
            shutil.rmtree(name, dir_fd=parent.fd)
        else:
            os.unlink(name, dir_fd=parent.fd)

    def trim(self) -> None:
        """Close directories where too many are open, or where a path may have come to mean another one."""
        if self._stale or len(self._open) > _MAX_OPEN:
            self._close_all_but_root()
            self._stale = False

    def finish(self) -> None:
        """Set owner, mode, attributes and time of all directories that were made or described, deepest first."""
        self._close_all_but_root()
        for path in sorted(self._entries, reverse=True):
            try:
                fd = _open_below(self._root.fd, path or b".", _STRICT)
            except OSError as error:
                if error.errno in _NOT_THERE:
                    continue  # a later entry replaced it
                raise
            try:
                attributes.apply(fd, self._entries[path])
            finally:
                os.close(fd)

    def close(self) -> None:
        """Close all descriptors."""
        self._close_all_but_root()
        os.close(self._root.fd)

    def _close_all_but_root(self) -> None:
        del self._open[b""]
        for directory in self._open.values():
            os.close(directory.fd)
        self._open = {b"": self._root}

    def _enter(self, path: bytes) -> Directory:
        """Open a directory that isn't open yet: in one step where no symlink is in the way, else part by part."""
        self._check_depth(path)
        try:
            return self._keep(path, _open_below(self._root.fd, path, _STRICT))
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
        parent, _, name = path.rpartition(b"/")
        return self._find_or_make(path, self.open(parent), name)

    def _find_or_make(self, path: bytes, parent: Directory, name: bytes) -> Directory:
        """The directory `name`, through a symlink if it is one; a new one where nothing or a whiteout is there."""
        status = self.status(parent, name)
        if status is None:
            below = find_directory(self._lower, parent.child(name))
            return self.make(parent, name, below or Entry(name, DIRTYPE, 0o755, mtime_ns=self._made_ns))
        if overlay.is_whiteout(status):
            return self.make(parent, name, Entry(name, DIRTYPE, 0o755))
        try:
            fd = _open_below(self._root.fd, parent.child(name), _INSIDE)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            raise ValueError(f"{os.fsdecode(path)!r} on the way to it leads to no directory of this layer") from error
        real = _path_of(fd)[len(self._root_path) :].lstrip(b"/")
        return self._keep(path, fd, real)

    def _keep(self, path: bytes, fd: int, real: bytes | None = None) -> Directory:
        """Remember an open directory under the path that led to it."""
        previous = self._open.get(path)
        if previous is not None:
            os.close(previous.fd)
        directory = Directory(fd, path if real is None else real)
        self._open[path] = directory
        return directory

    def _check_depth(self, path: bytes) -> None:
        if path.count(b"/") >= _MAX_DEPTH:
            raise ValueError(f"directories nested more than {_MAX_DEPTH} deep aren't supported")


def _open_below(root_fd: int, path: bytes, resolve: int) -> int:
    """Descriptor of a directory; tried again where a rename somewhere on the machine made the kernel unsure."""
    while True:
        try:
            return openat2(root_fd, path, _DIRECTORY, resolve=resolve)
        except BlockingIOError:
            continue


def _path_of(fd: int) -> bytes:
    """The path of an open file, as proc(5) has it."""
    return os.fsencode(Path(f"/proc/self/fd/{fd}").readlink())
