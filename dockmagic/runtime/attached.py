"""Mounts on paths of the image, put there after pivot_root: what a bind shows, and what was composed for the container.

A volume may be another container's too, which can put a link in the place of a directory at any moment. So a mount is
made whole before it is shown, and its place is found once, below the root, and held by a descriptor: no path is walked
a second time, and none through a link of /proc's kind. Source: openat2(2), move_mount(2), mount_setattr(2); Docker for
what may be mounted inside /proc.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import mount as m
from dockmagic.linux.files import RESOLVE_NO_SYMLINKS, openat2
from dockmagic.oci.spec import READ_ONLY_TOP, Mount
from dockmagic.runtime import rootfs
from dockmagic.runtime.stage import Failed
from dockmagic.runtime.stubs import Stubs, make_stub

IN_PROC: Final = frozenset(
    f"/proc/{name}"
    for name in "cpuinfo diskstats loadavg meminfo net/dev slabinfo stat swaps uptime sys/kernel/ns_last_pid".split()
)
"""Files that tell of the machine, in whose place one about the container may be shown."""


def attach(mount: Mount, source: int, stubs: Stubs) -> None:
    """Show a detached mount at its place, which is made where it is missing; raises OSError, Failed."""
    set_attributes(mount, source)
    target = os.path.realpath(mount.destination)
    if rootfs.tree_of(target) == "/proc" and target not in IN_PROC:
        raise OSError(errno.EXDEV, "a link in the image leads into /proc", target)
    directory = stat.S_ISDIR(os.fstat(source).st_mode)
    place = _place(target, directory, stubs)
    try:
        if stat.S_ISDIR(os.fstat(place).st_mode) != directory:
            kinds = ("a directory", "a file") if directory else ("a file", "a directory")
            reason = f"{kinds[0]} can't be mounted on {mount.destination}, which is {kinds[1]} in the image"
            raise Failed(Failure("mounts", errno.ENOTDIR if directory else errno.EISDIR, reason))
        m.move_mount(source, "", place, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)
    finally:
        os.close(place)


def set_attributes(mount: Mount, source: int) -> None:
    """Make a detached mount as its options say: what it passes on, and whether it is for reading."""
    propagation = next((rootfs.PROPAGATION[o] for o in mount.options if o in rootfs.PROPAGATION), rootfs.PRIVATE)
    recursive = m.AT_RECURSIVE if propagation & m.MS_REC else 0
    m.mount_setattr(source, "", m.AT_EMPTY_PATH | recursive, 0, propagation & ~m.MS_REC)
    if "ro" in mount.options or READ_ONLY_TOP in mount.options:
        recursive = 0 if READ_ONLY_TOP in mount.options else m.AT_RECURSIVE
        m.mount_setattr(source, "", m.AT_EMPTY_PATH | recursive, m.MOUNT_ATTR_RDONLY)


def check(mounts: Iterable[Mount]) -> None:
    """Raise Failed for a mount inside /proc, which programs and this one have to be able to believe."""
    for mount in mounts:
        place = os.path.normpath(mount.destination)
        if rootfs.tree_of(place) == "/proc" and place not in IN_PROC and (place, mount.type) != ("/proc", "proc"):
            reason = f'"{mount.destination}" cannot be mounted because it is inside "/proc"; mount it elsewhere'
            raise Failed(Failure("mounts", errno.EINVAL, reason))


def _place(target: str, directory: bool, stubs: Stubs) -> int:
    """Descriptor of a path without links in it, made where it is missing; raises OSError where one has come to be."""
    try:
        return openat2(m.AT_FDCWD, target, os.O_PATH, resolve=RESOLVE_NO_SYMLINKS)
    except FileNotFoundError:
        make_stub("", target, directory=directory, stubs=stubs)
        return openat2(m.AT_FDCWD, target, os.O_PATH, resolve=RESOLVE_NO_SYMLINKS)
