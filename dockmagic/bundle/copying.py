"""What lies below a tmpfs copied into it, as the option tmpcopyup asks for. Source: runtime-spec config.md "Mounts"."""

from __future__ import annotations

import os
import shutil
import stat
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC


def copy_tree(source: int, target: int) -> None:
    """Copy all in one directory, by descriptor, to another: files, links, devices, owners, modes and times."""
    with os.scandir(source) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            _copy_directory(source, target, name)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(source, target, name)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        _dress(target, name, status)


def _copy_directory(source: int, target: int, name: str) -> None:
    os.mkdir(name, 0o700, dir_fd=target)
    inner, copy = os.open(name, _DIRECTORY, dir_fd=source), os.open(name, _DIRECTORY, dir_fd=target)
    try:
        copy_tree(inner, copy)
    finally:
        os.close(inner)
        os.close(copy)


def _copy_file(source: int, target: int, name: str) -> None:
    reading = os.open(name, os.O_RDONLY | _FILE, dir_fd=source)
    writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=target)
    with os.fdopen(reading, "rb") as one, os.fdopen(writing, "wb") as other:
        shutil.copyfileobj(one, other)


def _dress(target: int, name: str, status: os.stat_result) -> None:
    """Give a copy the owner, the mode and the times of what it is a copy of."""
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
