"""The one file tree that a stack of layers makes, without mounting it: as a tar stream, or made in a directory.

Layers are directories in the overlay's form, the topmost first. The order of files and what is said of them are
`read_tree`'s; names never depend on the layer that a file comes from.
Source: Documentation/filesystems/overlayfs.rst, "Upper and Lower".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from dockmagic.image import attributes, overlay
from dockmagic.image.attributes import Owner, read_xattrs
from dockmagic.image.streams import Sink, output_errors
from dockmagic.image.tar_header import NS, Entry
from dockmagic.image.tar_writer import TarWriter
from dockmagic.image.tree_reader import NO_CONTENT, Links, entry_of, read_file
from dockmagic.image.tree_writer import TreeWriter
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STRICT: Final = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
_CHUNK: Final = 1 << 30
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

Opened = list[tuple[int, int]]  # which layer, and its open directory; topmost first


def flatten_tar(
    layers: Sequence[Path],
    out: Sink,
    *,
    mtime_s: int | None = None,
    without: Collection[bytes] = (),
    pads: bool = False,
) -> None:
    """Write the merged tree as a plain tar stream; `out` stays open.

    As in Docker, the root has no entry, and sockets are left out. The same layers give the same bytes. All files have
    the time `mtime_s` (s since 1970), if that is given. `without` are names to leave out, and `pads` allows for files
    that become shorter. Raises StoreError where a file can't be read; a reader that went away is a BrokenPipeError.
    """
    writer = TarWriter(out, pads=pads)
    with output_errors("write the archive"), closing(read_merged(layers)) as files:
        for entry, fd in files:
            if entry.name and entry.name not in without:
                writer.add(_timed(entry, mtime_s), fd)
        writer.finish()


def flatten_into(
    layers: Sequence[Path], directory: Path, owner: Owner | None = None, *, mtime_s: int | None = None
) -> None:
    """Make the merged tree in a directory, itself made where missing; what it holds already is replaced or stays.

    All files get `owner` where it is given, else they keep their own, which takes root; and likewise the time
    `mtime_s` (s since 1970). Symlinks in the directory are never followed out of it. Raises StoreError where the kernel
    refuses something.
    """
    with output_errors(f"write files to {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
        with closing(read_merged(layers)) as files, TreeWriter(directory) as tree:
            for entry, fd in files:
                if owner is not None:
                    entry.uid, entry.gid = owner
                if entry.name:
                    tree.create(_timed(entry, mtime_s), entry.name.split(b"/"), partial(_copy, fd))
            tree.finish()


def read_merged(layers: Sequence[Path | int]) -> Generator[tuple[Entry, int], None, None]:
    """Each file of the merged tree, with a descriptor of its content until the next (NO_CONTENT: it has none).

    A layer can be given as an open directory, which stays the caller's.

    The first entry is the root's own and has an empty name. Attributes of the overlay and of this machine are left out.
    A file that disappears meanwhile, because a container runs in the topmost layer, is left out. Raises OSError.
    """
    links: Links = {}
    with ExitStack() as stack:
        roots: list[int] = []
        for layer in layers:
            roots.append(os.dup(layer) if isinstance(layer, int) else os.open(layer, _DIRECTORY))
            stack.callback(os.close, roots[-1])
        waiting: list[tuple[bytes, Sequence[int]]] = [(b"", range(len(roots)))]
        while waiting:
            path, places = waiting.pop()
            with _opened(roots, places, path) as opened:
                if opened:
                    directories = yield from _directory(path, opened, links)
                    waiting += [(name, directories[name]) for name in sorted(directories, reverse=True)]


def _directory(path: bytes, opened: Opened, links: Links) -> Generator[tuple[Entry, int], None, dict[bytes, list[int]]]:
    """Entries of a directory and of the files in it; its subdirectories' paths, with the layers that have them."""
    top = opened[0][1]
    yield _carried(entry_of(path, os.fstat(top), read_xattrs(top))), NO_CONTENT
    prefix = path + b"/" if path else b""
    files, directories = _merge(opened)
    for name in sorted(files):
        with suppress(FileNotFoundError):
            for entry, fd in read_file(files[name], name, prefix + name, links):
                yield _carried(entry), fd
    return {prefix + name: places for name, places in directories.items()}


def _merge(opened: Opened) -> tuple[dict[bytes, int], dict[bytes, list[int]]]:
    """Names of files, with the open directory that has them, and of directories, with the layers that make them up."""
    files: dict[bytes, int] = {}
    directories: dict[bytes, list[int]] = {}
    closed: set[bytes] = set()  # names of which lower layers don't show anything
    for place, directory in opened:
        with os.scandir(directory) as listing:
            for item in listing:
                name = os.fsencode(item.name)
                if name in closed:
                    continue
                if item.is_dir(follow_symlinks=False):
                    directories.setdefault(name, []).append(place)
                    continue
                if name not in directories and not _is_whiteout(item):
                    files[name] = directory
                closed.add(name)
    return files, directories


def _is_whiteout(item: os.DirEntry[str]) -> bool:
    """Whether a file that is no directory is a whiteout, without asking for the status of what can't be one."""
    ordinary = item.is_file(follow_symlinks=False) or item.is_symlink()
    return not ordinary and overlay.is_whiteout(item.stat(follow_symlinks=False))


@contextmanager
def _opened(roots: Sequence[int], places: Sequence[int], path: bytes) -> Iterator[Opened]:
    """The directory at this path in each of these layers, down to the first that hides those below it."""
    opened: Opened = []
    try:
        for place in places:
            fd = _open_below(roots[place], path or b".")
            if fd is not None:
                opened.append((place, fd))
                if overlay.is_opaque(read_xattrs(fd)):
                    break
        yield opened
    finally:
        for _, fd in opened:
            os.close(fd)


def _open_below(root: int, path: bytes) -> int | None:
    """Descriptor of a directory; None where it isn't one, or not any more."""
    while True:
        try:
            return openat2(root, path, _DIRECTORY, resolve=_STRICT)
        except BlockingIOError:  # a rename somewhere on the machine made the kernel unsure
            continue
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return None


def _carried(entry: Entry) -> Entry:
    """The entry with those attributes only that mean the same elsewhere."""
    if entry.xattrs:
        entry.xattrs = attributes.carried(entry.xattrs)
    return entry


def _timed(entry: Entry, mtime_s: int | None) -> Entry:
    """The entry with this time, if there is one."""
    if mtime_s is not None:
        entry.mtime_ns = mtime_s * NS
    return entry


def _copy(source: int, target: int) -> None:
    """Give an empty file the content of another, inside the kernel."""
    while os.sendfile(target, source, None, _CHUNK):
        pass
