"""How an overlay's upper directory says that something of the layers below is gone, and which attributes are its own.

A whiteout is a character device 0/0, an opaque directory has an extended attribute. Source: the kernel's
Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

OPAQUE: Final = "trusted.overlay.opaque"
WHITEOUT_DEVICE: Final = os.makedev(0, 0)

_PRIVILEGED: Final = "trusted.overlay."
_UNPRIVILEGED: Final = "user.overlay."
_ELSEWHERE: Final = ("redirect", "metacopy")


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a file hides the one of its name in the layers below."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == WHITEOUT_DEVICE


def is_own_attribute(name: str) -> bool:
    """Whether the attribute belongs to the overlay, not to the file."""
    return name.startswith((_PRIVILEGED, _UNPRIVILEGED))


def is_opaque(xattrs: Mapping[str, bytes]) -> bool:
    """Whether a directory with these attributes hides the one below instead of being merged with it."""
    return xattrs.get(OPAQUE) == b"y" or xattrs.get(_UNPRIVILEGED + "opaque") == b"y"


def elsewhere(xattrs: Mapping[str, bytes]) -> str | None:
    """The attribute that says that a file's content or name is in another layer, None where the file is all here."""
    names = (prefix + end for prefix in (_PRIVILEGED, _UNPRIVILEGED) for end in _ELSEWHERE)
    return next((name for name in names if name in xattrs), None)


def make_whiteout(name: bytes, directory_fd: int) -> None:
    """Hide `name` of the layers below; FileExistsError where this layer has such a file."""
    os.mknod(name, stat.S_IFCHR | 0o600, WHITEOUT_DEVICE, dir_fd=directory_fd)


def make_opaque(directory_fd: int) -> None:
    """Hide all that the layers below have in an open directory."""
    os.setxattr(directory_fd, OPAQUE, b"y")
