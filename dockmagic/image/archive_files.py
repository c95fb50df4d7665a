"""The files of an archive of images, out of a tar stream or a directory, with their digests.

A tar stream is read once, and what is in it lies in a workspace until somebody moves it into the store; blobs that the
store has already aren't written again. Names only ever are keys of a table, and links are followed in that table, so
that no archive can name a file outside of itself. Raises InvalidManifest for whatever is wrong with an archive.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from tarfile import DIRTYPE, LNKTYPE, REGTYPE, SYMTYPE
from typing import Final, Protocol

from dockmagic.errors import InvalidLayer, InvalidManifest
from dockmagic.image.blobs import BlobStore
from dockmagic.image.compression import open_layer
from dockmagic.image.hashing import Hashing
from dockmagic.image.limits import DEFAULT_LIMITS, Guarded, Limits
from dockmagic.image.streams import Counted, Source
from dockmagic.image.tar_header import Entry
from dockmagic.image.tar_reader import TarReader
from dockmagic.image.tree_writer import split
from dockmagic.image.workspace import store_errors
from dockmagic.linux.files import RESOLVE_BENEATH, openat2
from dockmagic.oci.digest import Digest

_MOST_LINKS: Final = 40
_BLOBS: Final = "blobs"
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class File:
    """A file of an archive, and where its bytes lie now: in a workspace, or in the store already."""

    path: Path
    digest: Digest
    size: int


class Archive(Protocol):
    """Files by their names, which are relative and have no dots in them."""

    def find(self, name: str) -> File | None:
        """The file of this name, links followed; None where there is none."""


def plain_name(name: str, base: str = "") -> str:
    """A name inside an archive without dots and slashes that say nothing, `base` being the directory it starts from.

    Raises InvalidManifest where it leads out of the archive.
    """
    try:
        return os.fsdecode(b"/".join(split(os.fsencode(f"{base}/{name}"))))
    except ValueError as error:
        raise InvalidManifest(f"the archive's {name[:300]!r} is refused: {error}") from error


class TarArchive:
    """All of a tar stream, compressed or not, read to its end and laid out in the directory `place`."""

    def __init__(self, source: Source, place: Path, blobs: BlobStore, limits: Limits = DEFAULT_LIMITS) -> None:
        """Raises InvalidManifest for a damaged archive and one beyond the limits, StoreError where the disk is full."""
        self._place = place
        self._blobs = blobs
        self._limits = limits
        self._files: dict[str, File] = {}
        self._links: dict[str, str] = {}
        counted = Counted(source)
        try:
            with open_layer(counted, "archive") as plain:
                guarded = Guarded(plain, lambda: counted.size, limits, "archive")
                self._take(TarReader(guarded, "archive"))
        except InvalidLayer as error:
            raise InvalidManifest(str(error)) from error

    def find(self, name: str) -> File | None:
        """The file of this name, links followed; None where there is none."""
        for _ in range(_MOST_LINKS):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        raise InvalidManifest(f"the archive's links lead in a circle at {name!r}")

    def _take(self, reader: TarReader) -> None:
        """Take every entry of the stream."""
        for count, entry in enumerate(reader, 1):
            if count > self._limits.max_archive_files:
                raise InvalidManifest(f"the archive holds more than {self._limits.max_archive_files} files")
            name = plain_name(os.fsdecode(entry.name))
            if entry.kind == REGTYPE:
                self._add(name, self._file(name, entry, reader))
            elif entry.kind == SYMTYPE:
                self._link(name, plain_name(os.fsdecode(entry.linkname), os.path.dirname(name)))  # noqa: PTH120 - a name in a tar
            elif entry.kind == LNKTYPE:
                self._link(name, plain_name(os.fsdecode(entry.linkname)))
            elif entry.kind != DIRTYPE:
                raise InvalidManifest(f"the archive's {name!r} is a device or a fifo, which no archive of images holds")

    def _add(self, name: str, file: File) -> None:
        """Remember a file; one that is there twice has to be the same."""
        known = self._files.setdefault(name, file)
        if known.digest != file.digest or name in self._links:
            raise _twice(name)

    def _link(self, name: str, target: str) -> None:
        """Remember a link."""
        if name in self._files or self._links.setdefault(name, target) != target:
            raise _twice(name)

    def _file(self, name: str, entry: Entry, reader: TarReader) -> File:
        """The present entry's content, in the workspace unless the store has it."""
        known = self._stored(name, entry.size)
        if known is not None:
            return known
        path = self._place / str(len(self._files))
        with Hashing(_algorithm(name)) as hashing:
            with store_errors("lay out an archive"), path.open("wb", buffering=0) as file:
                reader.copy(file.fileno(), hashing.update if entry.segments is None else None)
            return File(path, hashing.digest, entry.size) if entry.segments is None else _measured(path, name)

    def _stored(self, name: str, size: int) -> File | None:
        """The blob of this name in the store."""
        digest = _digest_in(name)
        if digest is None or not self._blobs.has_blob(digest):
            return None
        path = self._blobs.blob_path(digest)
        return File(path, digest, size) if path.stat().st_size == size else None


class DirectoryArchive:
    """An image layout in a directory; a file is copied into `place` when it is asked for."""

    def __init__(self, directory: Path, place: Path, blobs: BlobStore) -> None:
        self._directory = directory
        self._place = place
        self._blobs = blobs
        self._files: dict[str, File] = {}

    def find(self, name: str) -> File | None:
        """The file of this name, None where there is none; links that lead out of the directory are refused."""
        if name not in self._files:
            found = self._stored(name) or self._copied(name)
            if found is None:
                return None
            self._files[name] = found
        return self._files[name]

    def _stored(self, name: str) -> File | None:
        digest = _digest_in(name)
        if digest is None or not self._blobs.has_blob(digest):
            return None
        path = self._blobs.blob_path(digest)
        return File(path, digest, path.stat().st_size)

    def _copied(self, name: str) -> File | None:
        """A copy of the file, which nobody else changes."""
        root = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = openat2(root, os.fsencode(name), _READ, resolve=RESOLVE_BENEATH)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidManifest(f"can't read {self._directory / name}: {error.strerror}") from error
        finally:
            os.close(root)
        path = self._place / str(len(self._files))
        with os.fdopen(fd, "rb") as source:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise InvalidManifest(f"{self._directory / name} is no regular file")
            with store_errors("copy an image layout"), path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        return _measured(path, name)


def read_document(file: File, limits: Limits, what: str) -> bytes:
    """Bytes of a JSON document; raises InvalidManifest where it is too long to be one."""
    if file.size > limits.max_document_bytes:
        raise InvalidManifest(f"{what} has {file.size} bytes; at most {limits.max_document_bytes} are allowed")
    return file.path.read_bytes()


def _digest_in(name: str) -> Digest | None:
    """The digest that a name in a layout stands for."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != _BLOBS:
        return None
    try:
        return Digest(f"{parts[1]}:{parts[2]}")
    except InvalidManifest:
        return None


def _algorithm(name: str) -> str:
    """The algorithm that the digest of a file has to have: that of its name in a layout."""
    expected = _digest_in(name)
    return expected.algorithm if expected is not None else "sha256"


def _measured(path: Path, name: str) -> File:
    """The file with its digest."""
    algorithm = _algorithm(name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, algorithm).hexdigest()
        return File(path, Digest(f"{algorithm}:{digest}"), os.fstat(file.fileno()).st_size)


def _twice(name: str) -> InvalidManifest:
    """The error for a name that means two things."""
    return InvalidManifest(f"the archive holds {name!r} twice, with different contents")
