"""Directories made for nobody else, and trees removed whatever their shape: a container may make any."""

from __future__ import annotations

import errno
import os
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_private(path: str) -> None:
    """Make the directory, and the one above it, for nobody else; os.makedirs gives its mode to the last one only."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        make_private(path)


def remove_tree(directory: str | os.PathLike[str]) -> None:
    """Remove a directory with all that is in it, whatever its depth and its modes. Does nothing if it isn't there.

    Sub-directories are moved up to the top one by one, so that neither recursion nor long paths are needed. Stops with
    OSError (EBUSY, EXDEV) at a mount point, whose content belongs to somebody else.
    """
    try:
        top = os.open(directory, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        device = os.fstat(top).st_dev
        pending = _empty(top, top)
        while pending:
            name = pending.pop()
            pending += _empty_child(top, name, device)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(directory)


def _empty_child(top: int, name: str, device: int) -> list[str]:
    """Do the same for a sub-directory that was moved to `top`; raises OSError at a mount point."""
    os.chmod(name, 0o700, dir_fd=top)
    fd = os.open(name, _DIRECTORY, dir_fd=top)
    try:
        if os.fstat(fd).st_dev != device:
            raise OSError(errno.EXDEV, "a file system is mounted here", name)
        return _empty(fd, top)
    finally:
        os.close(fd)


def _empty(fd: int, top: int) -> list[str]:
    """Remove the files of a directory and move its sub-directories to `top`; their names there."""
    moved: list[str] = []
    with os.scandir(fd) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                name = f".{os.urandom(8).hex()}"
                os.chmod(entry.name, 0o700, dir_fd=fd)  # a move changes "..", which needs the right to write
                os.rename(entry.name, name, src_dir_fd=fd, dst_dir_fd=top)
                moved.append(name)
            else:
                os.unlink(entry.name, dir_fd=fd)
    return moved
