"""Owner, mode, extended attributes and time of files, as archives carry them.

Only attributes that mean the same on every machine are carried: capabilities, ACLs, and those of users and trusted
processes. Labels of a machine's security modules and the overlay's own attributes are left out on both ways. Sources:
xattr(7), capabilities(7) "File capabilities", acl(5).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from tarfile import SYMTYPE
from typing import Final

from dockmagic.image import overlay
from dockmagic.image.tar_header import Entry

_CARRIED: Final = frozenset(("security.capability", "system.posix_acl_access", "system.posix_acl_default"))
_CARRIED_SPACES: Final = ("user.", "trusted.")
_PERMISSIONS: Final = 0o7777

Owner = tuple[int, int]  # uid, gid


def read_xattrs(file: int | bytes) -> dict[str, bytes]:
    """Extended attributes of an open file, or of a path whose last part isn't followed.

    None where the file system has no such thing.
    """
    follow = isinstance(file, int)
    try:
        names = os.listxattr(file, follow_symlinks=follow)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return {}
    return {name: os.getxattr(file, name, follow_symlinks=follow) for name in names}


def carried(xattrs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The attributes that belong into an archive."""
    return {
        name: value
        for name, value in xattrs.items()
        if (name in _CARRIED or name.startswith(_CARRIED_SPACES)) and not overlay.is_own_attribute(name)
    }


def apply(fd: int, entry: Entry, owner: Owner | None = None) -> None:
    """Give an open file what the entry says; `owner` is the one that it is known to have.

    A change of owner clears setuid bits and capabilities, so it comes first; the time comes last.
    """
    if owner != (entry.uid, entry.gid):
        os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode & _PERMISSIONS)
    if entry.xattrs:
        _set_xattrs(fd, entry.xattrs)
    os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))


def apply_by_name(directory_fd: int, name: bytes, entry: Entry, owner: Owner | None = None) -> None:
    """The same for a file that can't be opened: a symlink, device or fifo that was made just now."""
    if owner != (entry.uid, entry.gid):
        os.chown(name, entry.uid, entry.gid, dir_fd=directory_fd, follow_symlinks=False)
    if entry.kind != SYMTYPE:
        _chmod_special(directory_fd, name, entry.mode & _PERMISSIONS)
    # Only files and directories can have attributes of users: xattr(7), "Extended attribute namespaces".
    xattrs = {key: value for key, value in entry.xattrs.items() if not key.startswith("user.")}
    if xattrs:
        _set_xattrs(b"/proc/self/fd/%d/%s" % (directory_fd, name), xattrs)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory_fd, follow_symlinks=False)


def _chmod_special(directory_fd: int, name: bytes, mode: int) -> None:
    """Change the mode of a device or fifo, but not of what a link leads to that somebody has put in its place."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(name))
        os.chmod(b"/proc/self/fd/%d" % fd, mode)  # noqa: PTH101 - a descriptor's name
    finally:
        os.close(fd)


def _set_xattrs(file: int | bytes, xattrs: Mapping[str, bytes]) -> None:
    """Set the attributes that are carried; as in Docker, those that the file system doesn't know are left out."""
    for name, value in carried(xattrs).items():
        try:
            os.setxattr(file, name, value, follow_symlinks=isinstance(file, int))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                error.add_note(f"setxattr {name}")
                raise
