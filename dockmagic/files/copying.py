"""Files copied from one root to another, or out of and into tar streams.

What comes out of a container is only read by names in open directories, what goes into one is only made there, so that
nothing it does meanwhile leads out of it. A file is copied as a whole or not at all; those before it stay when a copy
is interrupted. Owners are the destination's (root's in a container, on the host those of this process) unless they are
asked for. Source: Docker's reference of `container cp`.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tarfile import DIRTYPE, LNKTYPE
from typing import Final

from dockmagic.builder.data import copy_data
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.files.place import Place, check_target, is_directory
from dockmagic.files.rules import Landing, Source, Target, entry_name, landing, split
from dockmagic.image.attributes import Owner, carried
from dockmagic.image.compression import open_layer
from dockmagic.image.flatten import read_merged
from dockmagic.image.limits import Guarded, Limits, refuse
from dockmagic.image.meter import Meter
from dockmagic.image.streams import Counted, Sink
from dockmagic.image.streams import Source as Stream
from dockmagic.image.tar_header import Entry
from dockmagic.image.tar_reader import TarReader
from dockmagic.image.tar_writer import TarWriter
from dockmagic.image.tree_reader import read_file
from dockmagic.image.tree_writer import Content, TreeWriter
from dockmagic.image.tree_writer import split as parts_of

_IN: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_WHAT: Final = "archive"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: how many bytes of files, and where to, as the user writes it."""

    size_bytes: int
    target: str


def copy(
    source: Place,
    path: str,
    target: Place,
    to: str,
    *,
    owner: Owner | None,
    follow: bool = False,
    meter: Meter | None = None,
) -> Copied:
    """Copy what is at an absolute path of one place to that of another; `follow` takes what a link leads to.

    `owner` gets all that is made; None keeps the owners. Raises NotFound, InvalidOption, OSError.
    """
    read_from, status = source.settled(path) if follow else (path, source.status(path))
    if status is None:
        raise NotFound("file", source.shown(path))
    place = _landing(Source(path, is_directory(status)), target, to)
    with closing(entries_of(source, read_from, place.name)) as files:
        made = ((entry, partial(copy_data, fd)) for entry, fd in files)
        return Copied(_write(target, place.directory, made, owner, meter), target.shown(to))


def copy_to_stream(source: Place, path: str, out: Sink, *, follow: bool = False) -> Copied:
    """Write what is at an absolute path as a plain tar stream; raises NotFound, InvalidOption, OSError."""
    read_from = source.settled(path)[0] if follow else path
    writer, size_bytes = TarWriter(out, pads=True), 0
    with closing(entries_of(source, read_from, entry_name(path))) as files:
        for entry, fd in files:
            writer.add(entry, fd)
            size_bytes += entry.size
    writer.finish()
    return Copied(size_bytes, "-")


def copy_from_stream(
    stream: Stream, target: Place, to: str, *, owner: Owner | None, limits: Limits, meter: Meter | None = None
) -> Copied:
    """Unpack a tar stream, compressed or not, into a directory that is there; raises InvalidOption, InvalidLayer."""
    directory, status = target.settled(to)
    if not is_directory(status):
        raise InvalidOption(f"{target.shown(to)} must be a directory: an archive is unpacked into it")
    counted = Counted(stream)
    with open_layer(counted, _WHAT) as plain:
        reader = TarReader(Guarded(plain, lambda: counted.size, limits, _WHAT), _WHAT)
        entries = ((entry, reader.copy) for entry in _limited(reader, limits))
        return Copied(_write(target, directory, entries, owner, meter), target.shown(to))


def entries_of(place: Place, path: str, name: str) -> Generator[tuple[Entry, int], None, None]:
    """What is at a path as entries called `name`, each with a descriptor of its content until the next.

    Raises NotFound, InvalidOption for a socket, OSError.
    """
    status = place.status(path)
    if status is None:
        raise NotFound("file", place.shown(path))
    if stat.S_ISSOCK(status.st_mode):
        raise InvalidOption(f"{place.shown(path)} is a socket, which can't be copied")
    if stat.S_ISDIR(status.st_mode):
        with place.opened(path) as fd, closing(read_merged([fd])) as files:
            for entry, content in files:
                yield _named(entry, os.fsencode(name)), content
        return
    above, last = split(path)
    with place.opened(above, _IN) as fd:
        for entry, content in read_file(fd, os.fsencode(last), os.fsencode(name), {}):
            entry.xattrs = carried(entry.xattrs)
            yield entry, content


def _named(entry: Entry, name: bytes) -> Entry:
    """The entry of a tree as one of an archive in which the tree is called so."""
    entry.name = name + b"/" + entry.name if entry.name else name
    if entry.kind == LNKTYPE:
        entry.linkname = name + b"/" + entry.linkname
    return entry


def _landing(source: Source, target: Place, to: str) -> Landing:
    """Where the source goes; raises InvalidOption where it can't, NotFound where its directory isn't there."""
    path, status = target.settled(to)
    shown = target.shown(to)
    check_target(path, status, shown)
    return landing(source, Target(path, status is not None, is_directory(status), shown))


def _limited(reader: TarReader, limits: Limits) -> Iterable[Entry]:
    """The archive's entries, no more of them than the limits allow."""
    for count, entry in enumerate(reader, 1):
        if count > limits.max_entries:
            refuse(_WHAT, "entries", limits.max_entries)
        yield entry


def _write(
    place: Place,
    directory: str,
    files: Iterable[tuple[Entry, Content]],
    owner: Owner | None,
    meter: Meter | None,
) -> int:
    """Make the files in a directory that is there; how many bytes they hold."""
    above = place.parts(directory)
    size_bytes = 0
    with TreeWriter(Path(f"/proc/self/fd/{place.fd}"), made_ns=time.time_ns()) as tree:
        try:
            for entry, content in files:
                names = _parts_of(entry.name)
                if names:
                    _fit(place, entry, [*above, *names], owner)
                    _create(tree, entry, above, names, content)
                    size_bytes += entry.size
                    if meter is not None:
                        meter.add(entry.size)
        finally:
            tree.finish()
    return size_bytes


def _create(tree: TreeWriter, entry: Entry, above: list[bytes], names: list[bytes], content: Content) -> None:
    """Make what an entry stands for; raises InvalidOption for what can't be."""
    if entry.kind == LNKTYPE:
        entry.linkname = b"/".join([*above, *_parts_of(entry.linkname)])
    try:
        tree.create(entry, [*above, *names], content)
    except ValueError as error:
        raise _refused(entry.name, error) from error


def _fit(place: Place, entry: Entry, parts: list[bytes], owner: Owner | None) -> None:
    """Give the entry its owner, and look at what is in its place.

    A directory that is there keeps its owner. Raises InvalidOption where a directory would take a file's place or the
    other way round, and where something is mounted on a file that would have to be removed.
    """
    if owner is not None:
        entry.uid, entry.gid = owner
    path = "/" + os.fsdecode(b"/".join(parts))
    status = place.status(path)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode) != (entry.kind == DIRTYPE):
        kinds = ("a directory", "a file") if stat.S_ISDIR(status.st_mode) else ("no directory", "one")
        raise InvalidOption(f"{place.shown(path)} is {kinds[0]}; {kinds[1]} can't take its place")
    if entry.kind == DIRTYPE:
        entry.uid, entry.gid = (entry.uid, entry.gid) if owner is None else (status.st_uid, status.st_gid)
    elif place.is_mount_point(path):
        raise InvalidOption(f"{place.shown(path)} can't be replaced: a file is mounted on it; write to its source")


def _parts_of(name: bytes) -> list[bytes]:
    """Parts of an entry's name; raises InvalidOption where it leads out of the archive."""
    try:
        return parts_of(name)
    except ValueError as error:
        raise _refused(name, error) from error


def _refused(name: bytes, error: ValueError) -> InvalidOption:
    return InvalidOption(f"{os.fsdecode(name[:300])!r} can't be copied: {error}")
