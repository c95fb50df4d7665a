"""ADD of a local archive: its entries, unpacked as `tar -x` would in a root that is the destination.

Unlike a layer, an archive knows no whiteouts: a name such as `.wh.x` is a file's. Nothing leaves the destination: links
on the way to an entry are followed inside it, also where the entry is a directory; ".." is refused. Source: Dockerfile
reference, "ADD", "Adding local tar archives"; BuildKit, which tells an archive by its content.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, SYMTYPE
from typing import BinaryIO, Final

from dockmagic.builder import paths
from dockmagic.builder.attributes import Attributes, Owner, apply
from dockmagic.builder.tree import Found
from dockmagic.builder.upper import Upper
from dockmagic.errors import BuildError, InvalidLayer
from dockmagic.image.attributes import carried
from dockmagic.image.compression import open_layer
from dockmagic.image.tar_header import BLOCK, Entry, decode
from dockmagic.image.tar_reader import TarReader

_NODES: Final = {CHRTYPE: stat.S_IFCHR, BLKTYPE: stat.S_IFBLK, FIFOTYPE: stat.S_IFIFO}


def is_archive(found: Found) -> bool:
    """Whether a regular file is a tar archive with something in it, compressed or not; told by content."""
    try:
        with _plain(found) as stream:
            decode(stream.read(BLOCK).ljust(BLOCK, b"\0"))
    except (ValueError, InvalidLayer):
        return False
    return True


def unpack(found: Found, upper: Upper, target: str, owner: Owner | None) -> None:
    """Unpack the archive into the directory `target`; `owner` None keeps the owners that it names.

    Raises BuildError for an archive that is damaged or has entries that would leave the root.
    """
    directories: list[tuple[Path, Attributes]] = []
    try:
        with _plain(found) as stream:
            reader = TarReader(stream)
            for entry in reader:
                made = _unpack_entry(reader, entry, upper, target, owner)
                directories += [] if made is None else [made]
    except InvalidLayer as error:
        raise BuildError(f"cannot unpack {found.path}: {error}") from error
    for place, attributes in reversed(directories):
        if place.is_dir():  # a later entry may have taken its place
            apply(place, attributes)


def _unpack_entry(
    reader: TarReader, entry: Entry, upper: Upper, target: str, owner: Owner | None
) -> tuple[Path, Attributes] | None:
    """Make what the entry describes; a directory comes back, to get its attributes when it is full."""
    path = _inside(entry.name, upper, target, follow_last=entry.kind == DIRTYPE)
    if path == target:
        return None  # the archive's own root, or a link to it
    attributes = Attributes(
        entry.mode & 0o7777, owner or Owner(entry.uid, entry.gid), entry.mtime_ns, carried(entry.xattrs)
    )
    upper.make_directories(paths.parent(path), Owner())
    if entry.kind == DIRTYPE:
        return upper.make_directory(path), attributes
    if entry.kind == SYMTYPE:
        upper.symlink(path, os.fsdecode(entry.linkname), attributes)
    elif entry.kind == LNKTYPE:
        existing = upper.bring_up(_inside(entry.linkname, upper, target))
        upper.link(path, existing)
    elif entry.kind in _NODES:
        upper.node(path, _NODES[entry.kind], os.makedev(entry.major, entry.minor), attributes)
    else:
        upper.create(path, reader.copy, attributes)
    return None


def _inside(name: bytes, upper: Upper, target: str, *, follow_last: bool = False) -> str:
    """Path in the image of a name in the archive, links on the way followed; raises BuildError for one that leaves."""
    text = os.fsdecode(name)
    if paths.climbs_out(text):
        raise BuildError(f"the archive has an entry {text!r}, which would leave the destination; it isn't unpacked")
    return upper.tree.resolve(paths.relative(text), top=target, follow_last=follow_last).path


@contextmanager
def _plain(found: Found) -> Iterator[BinaryIO]:
    """The file's bytes, uncompressed."""
    with os.fdopen(found.open(), "rb") as file, open_layer(file) as stream, io.BufferedReader(stream) as whole:
        yield whole
