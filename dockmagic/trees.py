"""Directories made for nobody else, and trees removed whatever their shape: a container may make any."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LEVELS: Final = 8


def make_private(path: str) -> None:
    """Make the directory, and the one above it, for nobody else; os.makedirs gives its mode to the last one only."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)


def close_to_others(path: str | os.PathLike[str]) -> None:
    """Let nobody else into a directory that is there; raises PermissionError where it is another user's."""
    fd = os.open(path, _DIRECTORY)
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"{os.fspath(path)} belongs to another user (uid {status.st_uid})")
        if status.st_mode & 0o077:
            os.fchmod(fd, 0o700)
    finally:
        os.close(fd)


def remove_tree(directory: str | os.PathLike[str]) -> None:
    """Remove a directory with all that is in it, whatever its depth and its modes. Does nothing if it isn't there.

    What is some levels down is moved up to the top, so that neither much recursion nor long paths are needed. Stops
    with OSError (EBUSY, EXDEV) at a mount point, whose content belongs to somebody else.
    """
    try:
        top = os.open(directory, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        device = os.fstat(top).st_dev
        pending = _empty(top, top, device, _LEVELS)
        while pending:
            name = pending.pop()
            pending += _remove(top, name, top, device, _LEVELS)
    finally:
        os.close(top)
    os.rmdir(directory)


def _remove(parent: int, name: str, top: int, device: int, levels: int) -> list[str]:
    """Remove a sub-directory; the names, in `top`, of what was moved there. Raises OSError at a mount point."""
    try:
        os.rmdir(name, dir_fd=parent)
        return []
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if status.st_dev != device:
        raise OSError(errno.EXDEV, "a file system is mounted here", name)
    if status.st_mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=parent)
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        moved = _empty(fd, top, device, levels)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)
    return moved


def _empty(fd: int, top: int, device: int, levels: int) -> list[str]:
    """Remove all that is in a directory, or move to `top` what is more than `levels` down; the names there."""
    moved: list[str] = []
    with os.scandir(fd) as entries:
        for entry in list(entries):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=fd)
            elif levels:
                moved += _remove(fd, entry.name, top, device, levels - 1)
            else:
                moved.append(_move(fd, entry.name, top))
    return moved


def _move(fd: int, name: str, top: int) -> str:
    """Move a sub-directory to `top`; its name there."""
    moved = f".{os.urandom(8).hex()}"
    os.chmod(name, 0o700, dir_fd=fd)  # a move changes "..", which needs the right to write
    os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=top)
    return moved
