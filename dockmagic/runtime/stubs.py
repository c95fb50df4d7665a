"""Names that a container's making needs in the image's tree: mount points for /proc, /etc/hosts and the like.

They are made where the image lacks them, and taken out of the upper directory when the container has ended, so that
neither a layer nor a list of changes shows them. Those that every container needs are kept as a layer of their own for
the next containers of the image, which then have nothing to make. A build makes an image a step, so its steps have one
layer with all these names, which lies below those of any image and shows where they have nothing.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Sequence
from typing import Final

from dockmagic.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

STANDARD: Final = {
    "/dev": True,
    "/proc": True,
    "/sys": True,
    "/etc/hosts": False,
    "/etc/hostname": False,
    "/etc/resolv.conf": False,
    "/.dockerenv": False,
}
"""What every container needs, and whether it is a directory."""
Stub = tuple[str, int, int, int, int]
"""Path inside the root, and its directory's mode, uid, gid and mtime (ns) before it was made."""
Stubs = list[Stub]


def make_stub(base: str, path: str, *, directory: bool, stubs: Stubs) -> None:
    """Make an empty directory or file at `base + path`, its parents too, and write down what was made.

    The directory that it is in keeps its time. Raises OSError where a link is on the way to it.
    """
    root = os.open(base or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _make_below(root, path, directory, stubs)
    finally:
        os.close(root)


def _make_below(root: int, path: str, directory: bool, stubs: Stubs) -> None:
    above, name = os.path.split(path)
    try:
        parent = _open_directory(root, above)
    except FileNotFoundError:
        _make_below(root, above, True, stubs)
        parent = _open_directory(root, above)
    try:
        before = os.fstat(parent)
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o755, dir_fd=parent))
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(parent)
    stubs.append((path, before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns))


def make_layer(directory: str, stubs: Sequence[Sequence[int | str]]) -> None:
    """Make a layer directory with the stubs of STANDARD, their parents being like those of the image."""
    parents: dict[str, Sequence[int | str]] = {}
    for stub in stubs:
        path = str(stub[0])
        if path in STANDARD:
            parents.setdefault(os.path.dirname(path), stub)
            os.makedirs(directory + os.path.dirname(path), exist_ok=True)
            if STANDARD[path]:
                os.mkdir(directory + path, 0o755)
            else:
                os.close(os.open(directory + path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o755))
    for parent, (_, mode, uid, gid, mtime) in parents.items():
        os.chown(directory + parent, int(uid), int(gid))
        os.chmod(directory + parent, stat.S_IMODE(int(mode)))
        os.utime(directory + parent, ns=(int(mtime), int(mtime)))


def make_lowest_layer(directory: str) -> None:
    """Make the layer that lies below those of any image. Raises OSError."""
    mode, uid, gid, mtime = 0o755, os.geteuid(), os.getegid(), time.time_ns()
    make_layer(directory, [(path, mode, uid, gid, mtime) for path in STANDARD])


def remove_standard(upper: str, lower: Sequence[str]) -> None:
    """Take out of `upper` what a process left of the lowest layer's names, unless a layer of the image has them too.

    That is what marks them as gone, and what is empty of them.
    """
    left = [path for path in (*STANDARD, "/etc") if os.path.lexists(upper + path)]
    if not left:
        return
    root = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in left:
            with contextlib.suppress(OSError):
                _remove_trace(root, path, lower)
    finally:
        os.close(root)


def _remove_trace(root: int, path: str, lower: Sequence[str]) -> None:
    """Do that for one name; raises OSError where there is nothing to do."""
    above, name = os.path.split(path)
    parent = _open_directory(root, above)
    try:
        now, status = os.fstat(parent), os.stat(name, dir_fd=parent, follow_symlinks=False)
        if any(os.path.lexists(layer + path) for layer in lower):
            return
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            os.unlink(name, dir_fd=parent)
        else:
            _remove_empty(parent, name)
        os.utime(parent, ns=(now.st_atime_ns, now.st_mtime_ns))
    finally:
        os.close(parent)


def remove_stubs(upper: str, lower: Sequence[str], stubs: Sequence[Sequence[int | str]]) -> None:
    """Take out of `upper` the stubs that are still empty, and the directories that were copied up for their sake.

    The container may have put links in their way, which mean something else on the host: none is followed.
    """
    root = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path, *before in reversed(stubs):
            with contextlib.suppress(OSError):
                _remove_stub(root, str(path), before, lower)
    finally:
        os.close(root)


def _remove_stub(root: int, path: str, before: Sequence[int | str], lower: Sequence[str]) -> None:
    """Remove one stub; raises OSError where it isn't as it was made."""
    above, name = os.path.split(path)
    parent = _open_directory(root, above)
    try:
        now = os.fstat(parent)
        _remove_empty(parent, name)
        if above == "/":
            return
        os.utime(parent, ns=(now.st_atime_ns, now.st_mtime_ns))
        opaque = "trusted.overlay.opaque" in os.listxattr(parent)
    finally:
        os.close(parent)
    if not opaque and [now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns] == before:
        _remove_copy(root, above, lower)


def _open_directory(root: int, path: str) -> int:
    """Descriptor of a directory below `root`; raises OSError where a link is on the way to it."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    return openat2(root, path.lstrip("/") or ".", flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def _remove_empty(parent: int, name: str) -> None:
    """Remove an empty file or directory; whatever holds something was filled by the container and stays."""
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        os.rmdir(name, dir_fd=parent)
    elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
        os.unlink(name, dir_fd=parent)


def _remove_copy(root: int, path: str, lower: Sequence[str]) -> None:
    """Remove a directory that is a bare copy of a lower one, with nothing in it."""
    if any(os.path.isdir(layer + path) for layer in lower):
        above, name = os.path.split(path)
        parent = _open_directory(root, above)
        try:
            os.rmdir(name, dir_fd=parent)
        finally:
            os.close(parent)
