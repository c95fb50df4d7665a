"""Files made in a directory from an archive's entries; nothing outside of it is ever made, changed or followed.

Every call names one file in an open directory and follows no symlink; only the directories on the way to it may be
symlinks, which Directories resolves inside the root, as Docker's chroot does. So nobody who writes to the tree
meanwhile can lead a call out of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tarfile import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE
from types import TracebackType
from typing import Final, TypeVar

from dockmagic.image import attributes, overlay, upper
from dockmagic.image.directories import Directories, Directory
from dockmagic.image.tar_header import Entry

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL: Final = {CHRTYPE: stat.S_IFCHR, BLKTYPE: stat.S_IFBLK, FIFOTYPE: stat.S_IFIFO}

Made = TypeVar("Made")
Content = Callable[[int], None]  # writes a file's content to a descriptor


def split(name: bytes) -> list[bytes]:
    """Parts of a path below the root: no slashes, no dots; ValueError where it would leave the root."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise ValueError("it leads out of the directory")
            parts.pop()
        elif part and part != b".":
            parts.append(part)
    return parts


class TreeWriter:
    """Makes files below `root`, which must be there and lies upon the layers `lower`; `finish` completes directories.

    Every method raises ValueError for what an archive may not ask, and OSError for what the kernel refuses.
    """

    def __init__(self, root: Path, lower: Sequence[Path] = (), *, made_ns: int = 0) -> None:
        """`made_ns` is the time (ns since 1970) of directories that only show in other names."""
        self._path = root
        self._directories = Directories(root, lower, made_ns)
        self._size_bytes = 0  # of the files that were made, replaced ones included
        status = root.stat()
        creator = (os.geteuid(), os.getegid())
        # Files in a setgid directory, and all on a file system mounted with grpid, get the directory's group.
        self._owner = creator if status.st_gid == creator[1] else None

    def __enter__(self) -> TreeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._directories.close()

    def finish(self) -> None:
        """Set owner, mode, attributes and time of the directories; nothing may be made after it."""
        self._directories.finish()

    def size(self) -> int:
        """Bytes in the regular files that were made, as of `upper.size`."""
        return upper.size(self._path) if self._directories.has_removed else self._size_bytes

    def create(self, entry: Entry, parts: list[bytes], content: Content) -> None:
        """Make the file at the path of these parts; what was there is replaced, but directories are merged."""
        self._directories.trim()
        if not parts:
            self._root(entry)
            return
        parent = self._directories.open(b"/".join(parts[:-1]))
        name = parts[-1]
        if entry.kind == REGTYPE:
            self._file(entry, parent, name, content)
        elif entry.kind == DIRTYPE:
            self._directories.make(parent, name, entry)
        elif entry.kind == LNKTYPE:
            self._hard_link(entry, parent, name)
        elif entry.kind == SYMTYPE:
            self._replace(parent, name, lambda: os.symlink(entry.linkname, name, dir_fd=parent.fd))
            attributes.apply_by_name(parent.fd, name, entry, self._owner)
        else:
            self._special(entry, parent, name)

    def whiteout(self, parts: list[bytes]) -> None:
        """Hide the file of this path in the layers below; what this layer itself has there stays.

        A directory of this layer's hides the one below only if it is opaque.
        """
        self._directories.trim()
        parent = self._directories.open(b"/".join(parts[:-1]))
        status = self._directories.status(parent, parts[-1])
        if status is None:
            overlay.make_whiteout(parts[-1], parent.fd)
        elif stat.S_ISDIR(status.st_mode):
            self.opaque(parts)

    def opaque(self, parts: list[bytes]) -> None:
        """Hide all that the layers below have in the directory of this path."""
        self._directories.trim()
        overlay.make_opaque(self._directories.open(b"/".join(parts)).fd)

    def _root(self, entry: Entry) -> None:
        if entry.kind != DIRTYPE:
            raise ValueError("only a directory can take the root's place")
        self._directories.describe_root(entry)

    def _file(self, entry: Entry, parent: Directory, name: bytes, content: Content) -> None:
        """A regular file, which is there as a whole or not at all."""
        fd = self._replace(parent, name, lambda: os.open(name, _NEW_FILE, 0o600, dir_fd=parent.fd))
        try:
            if entry.size:
                content(fd)
                self._size_bytes += entry.size
            attributes.apply(fd, entry, self._owner)
        except BaseException:
            with suppress(OSError):
                os.unlink(name, dir_fd=parent.fd)
            raise
        finally:
            os.close(fd)

    def _hard_link(self, entry: Entry, parent: Directory, name: bytes) -> None:
        """A second name for a file of this archive; what the entry says beyond that is ignored, as in GNU tar."""
        *directories, target_name = split(entry.linkname) or [b""]
        target = self._directories.open(b"/".join(directories))
        status = self._directories.status(target, target_name) if target_name else None
        if status is None or stat.S_ISDIR(status.st_mode) or overlay.is_whiteout(status):
            raise ValueError(f"it is a hard link to {os.fsdecode(entry.linkname)!r}, which is no file of this layer")
        if target.child(target_name) == parent.child(name):
            raise ValueError("it is a hard link to itself")
        self._replace(
            parent,
            name,
            lambda: os.link(target_name, name, src_dir_fd=target.fd, dst_dir_fd=parent.fd, follow_symlinks=False),
        )

    def _special(self, entry: Entry, parent: Directory, name: bytes) -> None:
        """A device or fifo; a device 0/0 would pass for a whiteout."""
        device = os.makedev(entry.major, entry.minor)
        if entry.kind == CHRTYPE and device == overlay.WHITEOUT_DEVICE:
            raise ValueError("a character device 0/0 would pass for a whiteout")
        kind = _SPECIAL[entry.kind]
        self._replace(parent, name, lambda: os.mknod(name, kind | 0o600, device, dir_fd=parent.fd))
        attributes.apply_by_name(parent.fd, name, entry, self._owner)

    def _replace(self, parent: Directory, name: bytes, make: Callable[[], Made]) -> Made:
        """Make something new; what has its name is removed first."""
        try:
            return make()
        except FileExistsError:
            self._directories.remove(parent, name)
            return make()
