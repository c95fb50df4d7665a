"""Files of a directory as an archive's entries, in an order that depends on their names only.

A directory comes before what is in it, its files before its subdirectories, either sorted by the bytes of their names.
No symlink is followed. Sockets are left out: no archive can hold them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tarfile import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE
from typing import Final

from dockmagic.image import overlay
from dockmagic.image.attributes import read_xattrs
from dockmagic.image.tar_header import Entry
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

NO_CONTENT: Final = -1

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFREG: REGTYPE,
    stat.S_IFLNK: SYMTYPE,
    stat.S_IFCHR: CHRTYPE,
    stat.S_IFBLK: BLKTYPE,
    stat.S_IFIFO: FIFOTYPE,
    stat.S_IFDIR: DIRTYPE,
}

Links = dict[tuple[int, int], bytes]  # first path of each file with several names, by device and inode


def read_tree(root: Path) -> Generator[tuple[Entry, int], None, None]:
    """Each file's entry with a descriptor of its content (NO_CONTENT where it has none), which is good until the next.

    The first entry is the root's own and has an empty name; every entry has all of its extended attributes. A second
    name of a file is a hard link to the first. Raises OSError where a file can't be read.
    """
    links: Links = {}
    waiting = [b""]
    root_fd = os.open(root, _DIRECTORY)
    try:
        while waiting:
            path = waiting.pop()
            fd = openat2(root_fd, path or b".", _DIRECTORY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
            try:
                yield entry_of(path, os.fstat(fd), read_xattrs(fd)), NO_CONTENT
                prefix = path + b"/" if path else b""
                files, directories = _names(fd)
                for name in files:
                    yield from read_file(fd, name, prefix + name, links)
                waiting.extend(prefix + name for name in reversed(directories))
            finally:
                os.close(fd)
    finally:
        os.close(root_fd)


def read_file(directory_fd: int, name: bytes, path: bytes, links: Links) -> Iterator[tuple[Entry, int]]:
    """The entry of one file in an open directory, as in `read_tree`; nothing for a socket.

    `path` is the entry's name; `links` remembers the files with several names.
    """
    status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    if stat.S_ISSOCK(status.st_mode):
        return
    if status.st_nlink > 1 and not overlay.is_whiteout(status):  # the kernel makes all whiteouts one inode
        first = links.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            yield replace(entry_of(path, status, {}), kind=LNKTYPE, linkname=first, size=0, stored=0), NO_CONTENT
            return
    if stat.S_ISREG(status.st_mode):
        fd = os.open(name, _FILE, dir_fd=directory_fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):  # something else has taken its place
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            yield entry_of(path, status, read_xattrs(fd)), fd
        finally:
            os.close(fd)
    else:
        entry = entry_of(path, status, read_xattrs(b"/proc/self/fd/%d/%s" % (directory_fd, name)))
        if entry.kind == SYMTYPE:
            entry.linkname = os.fsencode(os.readlink(name, dir_fd=directory_fd))
        yield entry, NO_CONTENT


def _names(directory_fd: int) -> tuple[list[bytes], list[bytes]]:
    """Names in an open directory: those of files and those of subdirectories, each sorted."""
    files: list[bytes] = []
    directories: list[bytes] = []
    with os.scandir(directory_fd) as listing:
        for item in listing:
            (directories if item.is_dir(follow_symlinks=False) else files).append(os.fsencode(item.name))
    return sorted(files), sorted(directories)


def entry_of(path: bytes, status: os.stat_result, xattrs: Mapping[str, bytes]) -> Entry:
    """The entry that the result of stat(2) describes."""
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    size = status.st_size if kind == REGTYPE else 0
    entry = Entry(
        path, kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, size, status.st_mtime_ns, stored=size
    )
    entry.xattrs = xattrs
    if kind in (CHRTYPE, BLKTYPE):
        entry.major, entry.minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return entry
