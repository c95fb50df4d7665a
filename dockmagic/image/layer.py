"""Layers: a tar archive as the image-spec has it, and the directory of an overlay that it stands for.

The archive says that something is gone by files named `.wh.…`, the overlay by devices and attributes; this module
knows both and turns one into the other. Source: image-spec layer.md.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from tarfile import CHRTYPE
from typing import Final

from dockmagic.errors import DockmagicError, InvalidLayer, StoreError
from dockmagic.image import attributes, overlay
from dockmagic.image.limits import DEFAULT_LIMITS, Limits, refuse
from dockmagic.image.streams import Sink, Source
from dockmagic.image.tar_header import Entry
from dockmagic.image.tar_reader import TarReader
from dockmagic.image.tar_writer import TarWriter
from dockmagic.image.tree_reader import NO_CONTENT, read_tree
from dockmagic.image.tree_writer import TreeWriter, split

_MARK: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_MARK_MODE: Final = 0o600
_SHOWN_BYTES: Final = 300  # of a name, in a message
_RESERVED: Final = b".wh..wh."  # what else begins so belongs to aufs
# What the kernel says of a bad archive; anything else is about this machine.
_ARCHIVE_ERRORS: Final = frozenset(
    (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EMLINK)
)


def pack(tree: Path, out: Sink, *, without: Collection[bytes] = ()) -> None:
    """Write the plain tar stream of a layer whose upper directory is `tree`; the same tree gives the same bytes.

    The directory itself has no entry, as in Docker, nor have the names `without`. StoreError where the tree can't be
    read or `out` can't be written; InvalidLayer where it holds a name that would mean something else in an archive.
    """
    writer = TarWriter(out)
    try:
        with closing(read_tree(tree)) as files:
            for entry, fd in files:
                if entry.name in without:
                    continue
                _add(writer, entry, fd)
        writer.finish()
    except OSError as error:
        where = "" if error.filename is None else f": {os.fsdecode(error.filename)!r}"
        raise StoreError(f"can't pack the layer in {tree}: {error.strerror}{where}") from error


def _add(writer: TarWriter, entry: Entry, fd: int) -> None:
    """Write a file of the tree as the archive has it."""
    parent, slash, name = entry.name.rpartition(b"/")
    if name.startswith(_MARK):
        raise InvalidLayer(f"{os.fsdecode(entry.name)!r} can't be in a layer: names beginning with .wh. mean a removal")
    if entry.kind == CHRTYPE and entry.major == entry.minor == 0:
        writer.add(Entry(parent + slash + _MARK + name, mode=_MARK_MODE), NO_CONTENT)
        return
    hides = overlay.is_opaque(entry.xattrs)
    if entry.xattrs:
        _check_complete(entry)
        entry.xattrs = attributes.carried(entry.xattrs)
    if entry.name:
        writer.add(entry, fd)
    if hides:
        writer.add(Entry(entry.name + b"/" + _OPAQUE if entry.name else _OPAQUE, mode=_MARK_MODE), NO_CONTENT)


def _check_complete(entry: Entry) -> None:
    """Raise StoreError for a file that is in part in another layer."""
    elsewhere = overlay.elsewhere(entry.xattrs)
    if elsewhere is not None:
        raise StoreError(
            f"{os.fsdecode(entry.name)!r} isn't complete in its layer ({elsewhere}); "
            "mount overlays with redirect_dir=off and metacopy=off"
        )


def unpack(source: Source, directory: Path, *, lower: Sequence[Path] = (), limits: Limits = DEFAULT_LIMITS) -> int:
    """Make the tree of a layer in an empty directory from its plain tar stream, which is read to its end; its size.

    That is the size of the files in it, as of `upper.size`. Names are below the directory even if they begin with a
    slash, as in Docker; a name that leads out of it is an InvalidLayer, as is anything else that a layer must not hold.
    Directories that only show in other names are as in the layers `lower`, the topmost first, or else root's with mode
    0755. StoreError where this machine is what refuses. After an error the directory holds a part of the tree and is of
    no use.
    """
    try:
        with TreeWriter(directory, lower) as tree:
            _place_all(tree, TarReader(source), limits)
            tree.finish()
            return tree.size()
    except OSError as error:
        raise StoreError(f"can't unpack a layer into {directory}: {error.strerror or error}{_hint(error)}") from error


def _place_all(tree: TreeWriter, reader: TarReader, limits: Limits) -> None:
    """Make what all entries stand for, as long as they keep to the limits."""
    size_bytes = 0
    for count, entry in enumerate(reader, 1):
        size_bytes += entry.size
        if count > limits.max_entries:
            refuse("layer", "entries", limits.max_entries)
        if size_bytes > limits.max_bytes:
            refuse("layer", "bytes", limits.max_bytes)
        try:
            _place(tree, entry, reader)
        except (OSError, ValueError) as error:
            raise _refusal(entry, error) from error


def _place(tree: TreeWriter, entry: Entry, reader: TarReader) -> None:
    """Make what an entry stands for: a file, or the absence of one."""
    parts = split(entry.name)
    for name in entry.xattrs:
        if name.startswith("trusted.overlay."):
            raise ValueError(f"the attribute {name} would pass for the overlay's own")
    if _MARK in entry.name and any(part.startswith(_MARK) for part in parts):
        _mark(tree, parts)
    else:
        tree.create(entry, parts, reader.copy)


def _mark(tree: TreeWriter, parts: list[bytes]) -> None:
    """Do what a name with a mark in it says."""
    *parents, name = parts
    if name == _OPAQUE and not any(part.startswith(_MARK) for part in parents):
        tree.opaque(parents)
    elif any(part.startswith(_RESERVED) for part in parts):
        return
    elif any(part.startswith(_MARK) for part in parents):
        raise ValueError("a directory's name can't begin with .wh.")
    else:
        hidden = name.removeprefix(_MARK)
        if hidden in (b"", b".", b".."):
            raise ValueError("it is a whiteout of no file")
        tree.whiteout([*parents, hidden])


def _refusal(entry: Entry, error: OSError | ValueError) -> DockmagicError:
    """The error that names the entry, and says who is to blame: the archive or this machine."""
    name = os.fsdecode(entry.name[:_SHOWN_BYTES])
    if isinstance(error, ValueError):
        return InvalidLayer(f"the layer's entry {name!r} is refused: {error}")
    if error.errno in _ARCHIVE_ERRORS:
        return InvalidLayer(f"the layer's entry {name!r} can't be unpacked: {error.strerror}")
    return StoreError(f"can't unpack {name!r} of a layer: {error.strerror or error}{_hint(error)}")


def _hint(error: OSError) -> str:
    """What helps, as the end of a message."""
    return "; it takes root to make devices and to give files to others" if error.errno == errno.EPERM else ""
