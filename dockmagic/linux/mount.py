"""Mount calls. Source: mount(2), umount2(2), pivot_root(2), fsopen(2), open_tree(2), mount_setattr(2) and kin."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from dockmagic.linux.libc import checked, libc

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_SYNCHRONOUS: Final = 0x10
MS_REMOUNT: Final = 0x20
MS_MANDLOCK: Final = 0x40
MS_DIRSYNC: Final = 0x80
MS_NOSYMFOLLOW: Final = 0x100
MS_NOATIME: Final = 0x400
MS_NODIRATIME: Final = 0x800
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_UNBINDABLE: Final = 0x20000
MS_PRIVATE: Final = 0x40000
MS_SLAVE: Final = 0x80000
MS_SHARED: Final = 0x100000
MS_RELATIME: Final = 0x200000
MS_SILENT: Final = 0x8000
MS_I_VERSION: Final = 0x800000
MS_STRICTATIME: Final = 0x1000000
MS_LAZYTIME: Final = 0x2000000

MNT_DETACH: Final = 0x2

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
OPEN_TREE_CLONE: Final = 0x1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
MOVE_MOUNT_T_SYMLINKS: Final = 0x10
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40

FSOPEN_CLOEXEC: Final = 0x1
FSMOUNT_CLOEXEC: Final = 0x1
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_CMD_CREATE: Final = 6

MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR_ATIME: Final = 0x70  # a mask; the value 0 in it is relatime
MOUNT_ATTR_NOATIME: Final = 0x10
MOUNT_ATTR_STRICTATIME: Final = 0x20
MOUNT_ATTR_NODIRATIME: Final = 0x80
MOUNT_ATTR_IDMAP: Final = 0x100000
MOUNT_ATTR_NOSYMFOLLOW: Final = 0x200000

# The numbers of system calls added since Linux 5.0 are the same on every architecture.
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_FSOPEN: Final = 430
_SYS_FSCONFIG: Final = 431
_SYS_FSMOUNT: Final = 432
_SYS_MOUNT_SETATTR: Final = 442
_SYS_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}[os.uname().machine]


def mount(source: str, target: str, fstype: str, flags: int, data: str = "") -> None:
    """Mount `source` on `target`."""
    encoded = (os.fsencode(source), os.fsencode(target), os.fsencode(fstype))
    checked(libc.mount(*encoded, ctypes.c_ulong(flags), os.fsencode(data)), "mount", target)


def umount2(target: str, flags: int = 0) -> None:
    """Unmount what is on `target`; MNT_DETACH does so as soon as nobody uses it."""
    checked(libc.umount2(os.fsencode(target), flags), "umount2", target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace, and put the old one on `put_old`."""
    checked(libc.syscall(_SYS_PIVOT_ROOT, os.fsencode(new_root), os.fsencode(put_old)), "pivot_root", new_root)


def open_tree(dirfd: int, path: str, flags: int) -> int:
    """Descriptor of a mount; with OPEN_TREE_CLONE of a detached copy of it."""
    result = libc.syscall(_SYS_OPEN_TREE, dirfd, os.fsencode(path), ctypes.c_uint(flags))
    return checked(result, "open_tree", path)


def move_mount(from_dirfd: int, from_path: str, to_dirfd: int, to_path: str, flags: int) -> None:
    """Attach a mount, often a detached one, on a path; a symbolic link in the last place is not followed."""
    encoded = (os.fsencode(from_path), to_dirfd, os.fsencode(to_path))
    checked(libc.syscall(_SYS_MOVE_MOUNT, from_dirfd, *encoded, ctypes.c_uint(flags)), "move_mount", to_path)


def fsopen(fstype: str, flags: int = FSOPEN_CLOEXEC) -> int:
    """Descriptor of a file system that is being configured."""
    return checked(libc.syscall(_SYS_FSOPEN, os.fsencode(fstype), ctypes.c_uint(flags)), "fsopen", fstype)


def fsconfig(fd: int, command: int, key: str | None = None, value: str | None = None) -> None:
    """Set an option of the file system behind `fd`, or create it."""
    encoded = (None if key is None else os.fsencode(key), None if value is None else os.fsencode(value))
    checked(libc.syscall(_SYS_FSCONFIG, fd, ctypes.c_uint(command), *encoded, 0), "fsconfig", value or key)


def fsmount(fd: int, attributes: int, flags: int = FSMOUNT_CLOEXEC) -> int:
    """Descriptor of a detached mount of the file system behind `fd`, with MOUNT_ATTR_* attributes."""
    return checked(libc.syscall(_SYS_FSMOUNT, fd, ctypes.c_uint(flags), ctypes.c_uint(attributes)), "fsmount")


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def mount_setattr(
    dirfd: int, path: str, flags: int, attr_set: int, propagation: int = 0, *, attr_clr: int = 0, userns_fd: int = 0
) -> None:
    """Change attributes of a mount, and with AT_RECURSIVE of all mounts below it.

    With MOUNT_ATTR_IDMAP `userns_fd` is the user namespace whose mappings the mount gets.
    """
    attributes = _MountAttr(attr_set, attr_clr, propagation, userns_fd)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    arguments = (os.fsencode(path), ctypes.c_uint(flags), ctypes.byref(attributes), size)
    checked(libc.syscall(_SYS_MOUNT_SETATTR, dirfd, *arguments), "mount_setattr", path)
