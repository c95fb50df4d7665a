"""Paths of a container, found or made inside its root, which no link can leave. Source: openat2(2)."""

from __future__ import annotations

import errno
import os
import posixpath
from typing import Final

from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_INSIDE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_MOST_LINKS: Final = 40


def find(root: int, path: str, *, links: bool = True) -> int:
    """Descriptor (O_PATH) of what the path leads to in `root`, with `links` through links; raises OSError."""
    resolve = _INSIDE if links else _INSIDE | RESOLVE_NO_SYMLINKS
    return openat2(root, path.lstrip("/") or ".", os.O_PATH, 0, resolve)


def find_or_make(root: int, path: str, *, directory: bool, links: bool = True) -> int:
    """As `find`, but an empty directory or file is made where there is nothing, with the directories above it."""
    for _ in range(_MOST_LINKS):
        try:
            return find(root, path, links=links)
        except FileNotFoundError:
            path = _make(root, posixpath.normpath(path), directory=directory, links=links)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make(root: int, path: str, *, directory: bool, links: bool) -> str:
    """Make the last part of a path; the path to look at next, which differs where a link leads to nothing."""
    above, name = posixpath.split(path.rstrip("/"))
    parent = find_or_make(root, above, directory=True, links=links)
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o755, dir_fd=parent))
        return path
    except FileExistsError:
        if not links:
            raise
        return posixpath.join(above, os.readlink(name, dir_fd=parent))
    finally:
        os.close(parent)


def is_below(root: int, found: int, path: str) -> bool:
    """Whether what was found lies at `path` of the root, or below it."""
    base = os.readlink(f"/proc/self/fd/{root}")
    place = os.readlink(f"/proc/self/fd/{found}").removeprefix(base.rstrip("/"))
    return place == path or place.startswith(f"{path}/")
