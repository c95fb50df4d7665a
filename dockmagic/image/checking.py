"""Finding what is wrong with a store: every blob, layer, image and name against what it should be.

The caller holds the store's content. Nothing is changed. Source: fsck(8); SQLite's PRAGMA integrity_check.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from dockmagic.database import Database
from dockmagic.errors import DockmagicError, InvalidReference
from dockmagic.image import compression, layer, upper
from dockmagic.image.inventory import Inventory, StoredImage, WantedLayer
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.digest import Digest, chain_ids
from dockmagic.oci.reference import Reference

UNREADABLE: Final = "can't be read"  # how a problem begins that may be the disk's, and pass
_DANGLING_CACHE: Final = "SELECT key FROM build_cache WHERE chain_id NOT IN (SELECT chain_id FROM layers)"


class Kind(StrEnum):
    """What is damaged."""

    DATABASE = "database"
    BLOB = "blob"
    LAYER = "layer"
    IMAGE = "image"
    NAME = "name"
    CACHE = "build cache"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the thing of this name; `images` suffer from it, by name or ID."""

    kind: Kind
    name: str
    problem: str
    images: tuple[str, ...] = ()


class Checker:
    """Checks a state root; `full` also compares each layer's files with its archive."""

    def __init__(self, database: Database, store: ImageStore, snapshots: Snapshots, *, full: bool = False) -> None:
        self._database = database
        self._store = store
        self._snapshots = snapshots
        self._full = full

    def faults(self, inventory: Inventory) -> list[Fault]:
        """All that is wrong; blobs come before the layers that are made of them, and these from below."""
        return [
            *self._database_faults(),
            *self._blob_faults(inventory),
            *self._layer_faults(inventory),
            *(fault for image in inventory.images.values() for fault in _image_faults(image)),
            *self._name_faults(),
            *self._cache_faults(),
        ]

    def _database_faults(self) -> Iterator[Fault]:
        """What SQLite itself finds."""
        for row in self._database.query("PRAGMA integrity_check(10)"):
            if row[0] != "ok":
                yield Fault(Kind.DATABASE, self._database.path.name, str(row[0]))

    def _blob_faults(self, inventory: Inventory) -> Iterator[Fault]:
        """Blobs that are lost, or aren't what their digest says."""
        for digest in sorted(inventory.blobs):
            problem = blob_problem(self._store.blob_path(digest), digest)
            if problem:
                yield Fault(Kind.BLOB, digest, problem, tuple(sorted(inventory.blobs[digest])))

    def _layer_faults(self, inventory: Inventory) -> Iterator[Fault]:
        """Layers that aren't unpacked, or not as they should be."""
        for wanted in inventory.from_below():
            problem = self._layer_problem(wanted, inventory)
            if problem:
                yield Fault(Kind.LAYER, wanted.chain_id, problem, tuple(sorted(wanted.images)))

    def _layer_problem(self, wanted: WantedLayer, inventory: Inventory) -> str:
        """What is wrong with a layer, "" for nothing."""
        directory = self._snapshots.path(wanted.chain_id)
        if wanted.size_bytes is None:
            return "isn't unpacked"
        if not wanted.row_is_right:
            return "its row names another parent or content"
        if wanted.parent is not None and wanted.parent not in inventory.layers:
            return "the layer below it is missing"
        try:
            if not stat.S_ISDIR(directory.lstat().st_mode):
                return "is no directory"
            size = upper.size(directory)
        except FileNotFoundError:
            return "its directory is missing"
        except OSError as error:
            return f"{UNREADABLE}: {error.strerror}"
        if size != wanted.size_bytes:
            return f"its files have {size} bytes instead of {wanted.size_bytes}"
        return self._tree_problem(wanted, inventory) if self._full else ""

    def _tree_problem(self, wanted: WantedLayer, inventory: Inventory) -> str:
        """Whether the tree is what one of the layer's archives unpacks to; "" also where there is none to compare."""
        try:
            packed = tree_digest(self._snapshots.path(wanted.chain_id))
        except DockmagicError as error:
            return str(error)
        if packed == wanted.diff_id:
            return ""
        for digest in wanted.blobs:
            path = self._store.blob_path(digest)
            if blob_problem(path, digest) == "":
                return "" if packed == self._unpacked_digest(path, wanted, inventory) else "its files were changed"
        return ""

    def _unpacked_digest(self, blob: Path, wanted: WantedLayer, inventory: Inventory) -> Digest | None:
        """Digest of the archive of what a blob unpacks to on the layer's parent; None where it can't be unpacked."""
        lower: list[Path] = []
        parent = wanted.parent
        while parent is not None and parent in inventory.layers:
            lower.append(self._snapshots.path(parent))
            parent = inventory.layers[parent].parent
        with self._store.workspaces.new("check-") as workspace:
            directory = workspace / "layer"
            try:
                self._snapshots.prepare(wanted.parent, directory)
                with blob.open("rb") as archive, compression.open_layer(archive) as plain:
                    layer.unpack(plain, directory, lower=lower)
                return tree_digest(directory)
            except (DockmagicError, OSError):
                return None

    def _name_faults(self) -> Iterator[Fault]:
        """Names that can't be read, or of images that aren't there."""
        known = {row["id"] for row in self._database.query("SELECT id FROM images")}
        for row in self._database.query("SELECT reference, image_id FROM tags ORDER BY reference"):
            if row["image_id"] not in known:
                yield Fault(Kind.NAME, row["reference"], "the image is missing")
            elif not _is_reference(row["reference"]):
                yield Fault(Kind.NAME, row["reference"], "isn't a name of an image")

    def _cache_faults(self) -> Iterator[Fault]:
        """Rows of the build cache whose layer isn't there, or whose note can't be read."""
        for row in self._database.query(_DANGLING_CACHE):
            yield Fault(Kind.CACHE, row["key"], "its layer is missing")
        for row in self._database.query("SELECT key, config FROM build_cache WHERE chain_id IS NULL"):
            if not _is_object(row["config"]):
                yield Fault(Kind.CACHE, row["key"], "its note can't be read")


def blob_problem(path: Path, digest: Digest) -> str:
    """What is wrong with a blob: it is lost, isn't a file, can't be read, or is something else; "" for nothing."""
    try:
        with open(path, "rb", opener=_no_link) as blob:
            if not stat.S_ISREG(os.fstat(blob.fileno()).st_mode):
                return "is no file"
            actual = hashlib.file_digest(blob, digest.algorithm).hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return "is no file" if error.errno in (errno.ELOOP, errno.EISDIR) else f"{UNREADABLE}: {error.strerror}"
    return "" if actual == digest.hex else "is damaged: its content isn't what its digest says"


def tree_digest(directory: Path) -> Digest:
    """Digest of the archive that a layer's directory packs to. Raises what `layer.pack` raises."""
    sink = _Hash()
    layer.pack(directory, sink)
    return Digest.sha256(sink.hash.hexdigest())


class _Hash:
    """Takes bytes for their digest alone."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """Take bytes."""
        self.hash.update(data)
        return len(data)


def _image_faults(image: StoredImage) -> Iterable[Fault]:
    """What is wrong with an image whose blobs are what they should be."""
    config, manifest = image.config, image.manifest
    if config is None or manifest is None:
        return  # a blob's fault, unless its text is no such document
    problem = ""
    expected = [(blob.digest, blob.size) for blob in manifest.layers]
    if manifest.config.digest != image.id:
        problem = "its manifest is that of another image"
    elif len(config.diff_ids) != len(manifest.layers):
        problem = "its config and its manifest have different numbers of layers"
    elif image.layers != [(chain, *blob) for chain, blob in zip(chain_ids(config.diff_ids), expected, strict=True)]:
        problem = "its rows name other layers than its manifest"
    if problem:
        yield Fault(Kind.IMAGE, image.id, problem, (image.label,))


def _no_link(path: str, flags: int) -> int:
    """Open a file, but not through a symbolic link, and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _is_reference(text: str) -> bool:
    try:
        return str(Reference.parse(text)) == text
    except InvalidReference:
        return False


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
