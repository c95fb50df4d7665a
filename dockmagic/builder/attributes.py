"""Mode, owner, times and extended attributes of files on their way into a layer. Source: chown(2), xattr(7)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dockmagic.builder.tree import Found

_CANNOT_HAVE: Final = (errno.ENOTSUP, errno.EPERM)  # EPERM: "user." on a link or a device, an archive can ask for it


@dataclass(frozen=True, slots=True)
class Owner:
    """A user's and a group's number."""

    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a file has besides its content; `mode` without the type, times in ns."""

    mode: int
    owner: Owner
    mtime_ns: int
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def attributes_of(found: Found) -> Attributes:
    """All that is to be kept of something in a tree."""
    status = found.status
    return Attributes(
        stat.S_IMODE(status.st_mode), Owner(status.st_uid, status.st_gid), status.st_mtime_ns, found.xattrs
    )


def apply(file: Path | int, attributes: Attributes, *, link: bool = False) -> None:
    """Give a file that was just made, or is still open, its attributes.

    The order matters: a change of owner takes away the set-user-ID bit and the capabilities, any change the times.
    """
    is_open = isinstance(file, int)
    os.chown(file, attributes.owner.uid, attributes.owner.gid, follow_symlinks=is_open)
    if not link:
        os.chmod(file, attributes.mode)  # noqa: PTH101 - a descriptor is no path
    for name, value in attributes.xattrs.items():
        _set_xattr(file, name, value)
    os.utime(file, ns=(attributes.mtime_ns, attributes.mtime_ns), follow_symlinks=is_open)


def _set_xattr(file: Path | int, name: str, value: bytes) -> None:
    """Set an extended attribute, unless the file system or this kind of file can't have it."""
    try:
        os.setxattr(file, name, value, follow_symlinks=isinstance(file, int))
    except OSError as error:
        if error.errno not in _CANNOT_HAVE:
            raise
