"""Names that a container's making needs in the image's tree: mount points for /proc, /etc/hosts and the like.

They are made where the image lacks them, and taken out of the upper directory when the container has ended, so that
neither a layer nor a list of changes shows them.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence

Stub = tuple[str, int, int, int, int]
"""Path inside the root, and its directory's mode, uid, gid and mtime (ns) before it was made."""
Stubs = list[Stub]


def make_stub(base: str, path: str, *, directory: bool, stubs: Stubs) -> None:
    """Make an empty directory or file at `base + path`, its parents too, and write down what was made."""
    parent = os.path.dirname(path)
    if parent not in ("", "/") and not os.path.lexists(base + parent):
        make_stub(base, parent, directory=True, stubs=stubs)
    before = os.stat(base + (parent or "/"))
    if directory:
        os.mkdir(base + path, 0o755)
    else:
        os.close(os.open(base + path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755))
    stubs.append((path, before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns))


def remove_stubs(upper: str, lower: Sequence[str], stubs: Sequence[Sequence[int | str]]) -> None:
    """Take out of `upper` the stubs that are still empty, and the directories that were copied up for their sake."""
    for path, mode, uid, gid, mtime in reversed(stubs):
        parent = os.path.dirname(str(path))
        with contextlib.suppress(OSError):
            _remove_empty(upper + str(path))
            _restore(upper, parent, lower, (int(mode), int(uid), int(gid), int(mtime)))


def _remove_empty(path: str) -> None:
    """Remove an empty file or directory; whatever holds something was filled by the container and stays."""
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        os.rmdir(path)
    elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
        os.unlink(path)


def _restore(upper: str, parent: str, lower: Sequence[str], before: tuple[int, int, int, int]) -> None:
    """Give the directory its time back; if nothing else is in it, it is a bare copy of a lower one and goes."""
    if parent == "/":
        return
    mode, uid, gid, mtime = before
    status = os.lstat(upper + parent)
    os.utime(upper + parent, ns=(status.st_atime_ns, mtime))
    unchanged = (status.st_mode, status.st_uid, status.st_gid) == (mode, uid, gid)
    if unchanged and not _opaque(upper + parent) and any(os.path.isdir(layer + parent) for layer in lower):
        os.rmdir(upper + parent)


def _opaque(path: str) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path, follow_symlinks=False)
