"""Digest of what a COPY copies: names, kinds, modes, owners, extended attributes, bytes and link targets; no times.

The digest is part of the step's cache key, so it has to change with everything that ends up in the layer, and with
nothing else. Source: Dockerfile reference, "Impact on build caching".
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterable
from typing import Final

from dockmagic.builder.sources import Item, Source
from dockmagic.builder.tree import Found

_SETTLED_NS: Final = 100_000_000  # a file changed more lately could change again within the same tick of its clock
_SHORT: Final = 12  # hexadecimal digits that tell a file's versions apart
_PIECE: Final = 1 << 20

_State = tuple[int, int, int, int, int]
Described = tuple[str, bytes]
"""An item's path, with "/" at the end of a directory's, and all that counts of it."""


class FileHashes:
    """sha256 of files, remembered as long as size, times and inode stay the same; serves any number of builds.

    A file with many names, such as busybox, is read once.
    """

    def __init__(self) -> None:
        self._known: dict[_State, bytes] = {}
        self._lock = threading.Lock()

    def of(self, found: Found) -> bytes:
        """Hash of a regular file's bytes; raises OSError if it can't be read."""
        status = found.status
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        with self._lock:
            known = self._known.get(state)
        if known is None:
            known = _hash(found)
            if time.time_ns() - status.st_ctime_ns > _SETTLED_NS:
                with self._lock:
                    self._known[state] = known
        return known


def content_digest(sources: Iterable[Source], hashes: FileHashes, *, root_owned: bool) -> str:
    """Hexadecimal digest of the sources; with `root_owned` their owners don't count."""
    return digest_of(described(sources, hashes, root_owned=root_owned))


def file_digests(sources: Iterable[Source], hashes: FileHashes, *, root_owned: bool) -> dict[str, str]:
    """A short digest of each item by its path; directories end with "/"."""
    return digests_of(described(sources, hashes, root_owned=root_owned))


def described(sources: Iterable[Source], hashes: FileHashes, *, root_owned: bool) -> list[Described]:
    """Every item of the sources; takes all the time that their digests take."""
    return [
        (item.found.path + "/" * item.found.is_dir, _description(source, item, hashes, root_owned))
        for source in sources
        for item in source.items
    ]


def digest_of(items: Iterable[Described]) -> str:
    """Hexadecimal digest of them all."""
    total = hashlib.sha256()
    for _, description in items:
        total.update(description)
    return total.hexdigest()


def digests_of(items: Iterable[Described]) -> dict[str, str]:
    """A short digest of each by its path."""
    return {path: hashlib.sha256(description).hexdigest()[:_SHORT] for path, description in items}


def _description(source: Source, item: Item, hashes: FileHashes, root_owned: bool) -> bytes:
    """What is known of an item: parts with their lengths, as many for each but for extended attributes, the last."""
    found, status = item.found, item.found.status
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
    owner = "0 0" if root_owned else f"{status.st_uid} {status.st_gid}"
    parts = [
        b"" if source.is_dir else os.fsencode(source.name),
        os.fsencode(item.below),
        f"{kind:o} {mode:o} {owner} {len(found.xattrs)}".encode(),
        _content(found, kind, hashes),
    ]
    for name, value in found.xattrs.items():
        parts += [os.fsencode(name), value]
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(8), part)])


def _content(found: Found, kind: int, hashes: FileHashes) -> bytes:
    """What is in it, as far as that isn't in other items: a hash, a link's target, a device's number."""
    if kind == stat.S_IFREG:
        return hashes.of(found)
    if kind == stat.S_IFLNK:
        return os.fsencode(found.target)
    return str(found.status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0).encode()


def _hash(found: Found) -> bytes:
    """Hash of the file as it is now, read in pieces."""
    total, piece = hashlib.sha256(), min(found.status.st_size + 1, _PIECE)
    file = found.open()
    try:
        while data := os.read(file, piece):
            total.update(data)
    finally:
        os.close(file)
    return total.digest()
