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
from dockmagic.image.attributes import carried

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
        stat.S_IMODE(status.st_mode), Owner(status.st_uid, status.st_gid), status.st_mtime_ns, xattrs_of(found)
    )


def xattrs_of(found: Found) -> dict[str, bytes]:
    """Extended attributes that an image can carry, sorted; a link's own, {} where the file system has none."""
    location = found.location
    try:
        names = os.listxattr(location, follow_symlinks=False)
    except OSError:
        return {}
    return dict(sorted(carried({name: os.getxattr(location, name, follow_symlinks=False) for name in names}).items()))


def apply(location: Path, attributes: Attributes, *, link: bool = False) -> None:
    """Give a file that was just made its attributes.

    The order matters: a change of owner takes away the set-user-ID bit and the capabilities, any change the times.
    """
    os.chown(location, attributes.owner.uid, attributes.owner.gid, follow_symlinks=False)
    if not link:
        location.chmod(attributes.mode)
    for name, value in attributes.xattrs.items():
        _set_xattr(location, name, value)
    os.utime(location, ns=(attributes.mtime_ns, attributes.mtime_ns), follow_symlinks=False)


def _set_xattr(location: Path, name: str, value: bytes) -> None:
    """Set an extended attribute, unless the file system or this kind of file can't have it."""
    try:
        os.setxattr(location, name, value, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_HAVE:
            raise
