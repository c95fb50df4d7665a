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
from collections.abc import Iterable, Iterator
from typing import Final

from dockmagic.builder.attributes import Owner, attributes_of
from dockmagic.builder.sources import Item, Source
from dockmagic.builder.tree import Found

_SETTLED_NS: Final = 100_000_000  # a file changed more lately could change again within the same tick of its clock
_SHORT: Final = 12  # hexadecimal digits that tell a file's versions apart

_State = tuple[int, int, int, int, int]


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
    total = hashlib.sha256()
    for source in sources:
        for item in source.items:
            for part in _description(source, item, hashes, root_owned):
                total.update(len(part).to_bytes(8))
                total.update(part)
    return total.hexdigest()


def file_digests(sources: Iterable[Source], hashes: FileHashes, *, root_owned: bool) -> dict[str, str]:
    """A short digest of each item by its path; directories end with "/"."""
    digests: dict[str, str] = {}
    for source in sources:
        for item in source.items:
            total = hashlib.sha256()
            for part in _description(source, item, hashes, root_owned):
                total.update(len(part).to_bytes(8))
                total.update(part)
            digests[item.found.path + "/" * item.found.is_dir] = total.hexdigest()[:_SHORT]
    return digests


def _description(source: Source, item: Item, hashes: FileHashes, root_owned: bool) -> Iterator[bytes]:
    """What is known of an item, always the same number of parts but for extended attributes, which come last."""
    found, kept = item.found, attributes_of(item.found)
    owner = Owner() if root_owned else kept.owner
    kind = stat.S_IFMT(found.status.st_mode)
    yield b"" if source.is_dir else os.fsencode(source.name)
    yield os.fsencode(item.below)
    yield f"{kind:o} {kept.mode:o} {owner.uid} {owner.gid} {len(kept.xattrs)}".encode()
    if kind == stat.S_IFREG:
        yield hashes.of(found)
    elif kind == stat.S_IFLNK:
        yield os.fsencode(found.target)
    else:
        yield str(found.status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0).encode()
    for name, value in kept.xattrs.items():
        yield os.fsencode(name)
        yield value


def _hash(found: Found) -> bytes:
    descriptor = found.open()
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").digest()
