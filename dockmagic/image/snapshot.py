"""Unpacked layers, one directory for each chain ID, ready to be the lower directories of an overlay mount.

A layer is made in a workspace and renamed to `layers/<chain id>` inside the transaction that writes its row: the row is
the truth, and a directory without one was left by a crash. Until an image of it is stored, a layer, and its blob where
it was made here, isn't forced to the disk; its row names the boot it was made in, and counts as absent after the next.
Whoever makes layers holds the store's content (`Workspaces.hold` or `new`) until an image or the build cache names
them.
Source: image-spec config.md "Layer ChainID"; Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch, NotFound, StoreError
from dockmagic.image import upper
from dockmagic.image.limits import DEFAULT_LIMITS, Guarded, Limits
from dockmagic.image.readahead import ReadAhead
from dockmagic.image.store import ImageStore
from dockmagic.image.streams import Abandonable, Source
from dockmagic.image.workspace import Workspaces, store_errors
from dockmagic.linux.sync import boot_id
from dockmagic.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from dockmagic.oci.digest import Digest, chain_ids, next_chain_id

_CHUNK = 1 << 20
_FIND: Final = """
    SELECT * FROM layers WHERE chain_id IN (SELECT value FROM json_each(?)) AND boot_id IN ('', ?)
"""
_ADD: Final = """
    INSERT OR REPLACE INTO layers
        (chain_id, parent, diff_id, digest, media_type, compressed_size, size_bytes, boot_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_SET_BLOB: Final = "UPDATE layers SET digest = ?, media_type = ?, compressed_size = ? WHERE chain_id = ?"


@dataclass(frozen=True, slots=True)
class Layer:
    """An unpacked layer; `descriptor` is of its blob, `size_bytes` that of the files in it."""

    chain_id: Digest
    parent: Digest | None
    diff_id: Digest
    descriptor: Descriptor
    size_bytes: int


class Snapshots:
    """The directory `layers` of a state root; any number of processes may have one at the same time."""

    def __init__(
        self,
        root: Path,
        database: Database,
        store: ImageStore,
        workspaces: Workspaces,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`limits` are for all layers that are unpacked."""
        self._directory = root / "layers"
        self._database = database
        self._store = store
        self._workspaces = workspaces
        self._limits = limits

    def path(self, chain_id: Digest) -> Path:
        """Where the layer's directory is, or would be."""
        return Path(f"{self._directory}/{chain_id.hex}")

    def get(self, chain_id: Digest) -> Layer | None:
        """The layer of this chain ID, None where it isn't unpacked."""
        return self._find([chain_id]).get(chain_id)

    def get_whole(self, chain_id: Digest) -> Layer | None:
        """As `get`, but None where the layer's blob is lost, too: an image can't be made of it then."""
        found = self.get(chain_id)
        return found if found is not None and self._store.has_blob(found.descriptor.digest) else None

    def lower(self, diff_ids: Sequence[Digest]) -> tuple[Path, ...]:
        """Directories of these layers, topmost first as overlay wants them; raises StoreError without one of them."""
        chains = chain_ids(diff_ids)
        found = self._find(chains)
        for chain_id in chains:
            if chain_id not in found:
                raise StoreError(f"layer {chain_id.short} is missing from the store; `system fsck` tries to restore it")
        return tuple(self.path(chain_id) for chain_id in reversed(chains))

    def prepare(self, parent: Digest | None, directory: Path) -> None:
        """Make an empty directory for what comes on top of `parent`, with the mode and owner of the root below it."""
        directory.mkdir()
        mode, owner = 0o755, (os.geteuid(), os.getegid())
        if parent is not None:
            status = self.path(parent).stat()
            mode, owner = status.st_mode & 0o7777, (status.st_uid, status.st_gid)
        if owner != (os.geteuid(), os.getegid()):
            os.chown(directory, *owner)
        directory.chmod(mode)

    def commit(self, parent: Digest | None, directory: Path) -> Layer:
        """Turn an overlay's upper directory, not mounted any more, into the layer on top of `parent`; idempotent.

        The directory is moved away unless the layer is here already, which gets its blob back if that was lost. What
        isn't needed of it, and of the archive made beside it, is left to the caller, whose workspace it is in. Raises
        StoreError where the disk is full.
        """
        blob = directory.with_name(f"{directory.name}.blob")
        with self._workspaces.hold():
            with store_errors("store a layer"):
                size_bytes = upper.clean(directory)
                descriptor, diff_id = _pack(directory, blob)
            made = Layer(next_chain_id(parent, diff_id), parent, diff_id, descriptor, size_bytes)
            present = self.get_whole(made.chain_id)
            if present is not None:
                return present
            self._store.adopt(blob, descriptor, durable=False)
            return self._publish(made, directory)

    def unpack(
        self, parent: Digest | None, descriptor: Descriptor, diff_id: Digest, source: Abandonable | None = None
    ) -> Layer:
        """Unpack a blob into the layer on top of `parent`; idempotent. A layer without its blob gets this one.

        `source` gives the blob's bytes while they arrive; by its end the blob must be in the store.
        Raises NotFound without the blob or the parent, DigestMismatch unless the blob has this diff ID, InvalidLayer,
        or StoreError where the disk is full.
        """
        chain_id = next_chain_id(parent, diff_id)
        present = self.get(chain_id)
        if present is not None:
            return self._with_blob(present, descriptor, source)
        lower = self._stack(parent)
        with self._workspaces.new("unpack-") as workspace:
            directory = workspace / "layer"
            with store_errors(f"unpack layer {diff_id.short}"):
                self.prepare(parent, directory)
                size_bytes = self._extract(descriptor, diff_id, directory, lower, source)
            return self._publish(Layer(chain_id, parent, diff_id, descriptor, size_bytes), directory)

    def verify(self, descriptor: Descriptor, diff_id: Digest) -> None:
        """Raise DigestMismatch unless the blob unpacks to an archive of this diff ID, or InvalidLayer."""
        with self._plain(descriptor, diff_id) as stream:
            stream.drain()

    def _stack(self, chain_id: Digest | None) -> list[Path]:
        """Directories of this layer and those below it, topmost first; raises NotFound without one of them."""
        paths: list[Path] = []
        while chain_id is not None:
            found = self.get(chain_id)
            if found is None:
                raise NotFound("layer", chain_id, "layers have to be unpacked from the lowest up")
            paths.append(self.path(chain_id))
            chain_id = found.parent
        return paths

    def _extract(
        self,
        descriptor: Descriptor,
        diff_id: Digest,
        directory: Path,
        lower: Sequence[Path],
        source: Abandonable | None,
    ) -> int:
        """Unpack the blob and check the whole of its tar stream against the diff ID; the size of its files."""
        from dockmagic.image import layer

        with self._plain(descriptor, diff_id, source) as stream, ExitStack() as stack:
            ahead = stack.enter_context(ReadAhead(stream))
            if source is not None:
                stack.callback(source.abandon)
            size_bytes = layer.unpack(ahead, directory, lower=lower, limits=self._limits)
            while ahead.read(_CHUNK):  # what comes after the archive's end counts too
                pass
        return size_bytes

    @contextmanager
    def _plain(self, descriptor: Descriptor, diff_id: Digest, source: Abandonable | None = None) -> Iterator[_Hashed]:
        """Plain bytes of a blob, all of them to be read; DigestMismatch at the end unless they have this diff ID."""
        from dockmagic.image import compression

        path = self._store.blob_path(descriptor.digest)
        with ExitStack() as stack:
            file = stack.enter_context(_opened(path, descriptor)) if source is None else None
            blob = file or source
            assert blob is not None
            plain = stack.enter_context(compression.open_layer(blob))
            size = 0 if file is None else os.fstat(file.fileno()).st_size
            so_far = (lambda: size) if source is None else lambda: source.taken
            stream = _Hashed(Guarded(plain, so_far, self._limits), diff_id.algorithm)
            yield stream
        if stream.digest != diff_id:
            raise DigestMismatch(f"layer {descriptor.digest}", expected=diff_id, actual=stream.digest)
        if not path.exists():
            raise _missing(descriptor)

    def _with_blob(self, layer: Layer, descriptor: Descriptor, source: Abandonable | None) -> Layer:
        """The layer, with this blob if its own is lost. Raises NotFound, DigestMismatch or InvalidLayer."""
        if self._store.has_blob(layer.descriptor.digest):
            return layer
        with self._plain(descriptor, layer.diff_id, source) as stream:
            stream.drain()
        return self._set_blob(layer, descriptor)

    def _set_blob(self, layer: Layer, descriptor: Descriptor) -> Layer:
        """The layer, which this blob belongs to from now on."""
        with self._database.transaction() as transaction:
            values = (descriptor.digest, descriptor.media_type, descriptor.size, layer.chain_id)
            transaction.execute(_SET_BLOB, values)
        return replace(layer, descriptor=descriptor)

    def _publish(self, made: Layer, directory: Path) -> Layer:
        """Give the directory its final name and its row, or find that another process was quicker."""
        with self._database.transaction() as transaction:
            present = self.get(made.chain_id)
            if present is not None:
                whole = self._store.has_blob(present.descriptor.digest)
                return present if whole else self._set_blob(present, made.descriptor)
            target = self.path(made.chain_id)
            with store_errors("store a layer"):
                if target.exists():
                    target.rename(directory.with_name(f"{directory.name}.left-by-a-crash"))
                directory.rename(target)
            transaction.execute(_ADD, _row(made))
        return made

    def _find(self, chains: Sequence[Digest]) -> dict[Digest, Layer]:
        """Those of the layers that are unpacked."""
        rows = self._database.query(_FIND, (json.dumps(chains), boot_id()))
        found = (_layer(row) for row in rows)
        return {item.chain_id: item for item in found if self.path(item.chain_id).exists()}


class _Hashed:
    """A stream that knows the digest of what was read from it."""

    def __init__(self, source: Source, algorithm: str) -> None:
        self._source = source
        self._hash = hashlib.new(algorithm)

    @property
    def digest(self) -> Digest:
        """Digest of all bytes so far."""
        return Digest(f"{self._hash.name}:{self._hash.hexdigest()}")

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        data = self._source.read(size)
        self._hash.update(data)
        return data

    def drain(self) -> None:
        """Read what is left."""
        while self.read(_CHUNK):
            pass


def _opened(path: Path, descriptor: Descriptor) -> BinaryIO:
    """The blob's file; raises NotFound where it isn't here."""
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise _missing(descriptor) from error


def _missing(descriptor: Descriptor) -> NotFound:
    return NotFound("blob", descriptor.digest, "pull the image again")


def _pack(directory: Path, blob: Path) -> tuple[Descriptor, Digest]:
    """Descriptor of the layer archive of this directory, written to `blob`, and its diff ID."""
    from dockmagic.image import compression, layer  # what a build that finds all in its cache does without

    with blob.open("wb") as out:
        writer = compression.LayerWriter(out)
        layer.pack(directory, writer)
        writer.close()
    return Descriptor(OCI_LAYER_GZIP, writer.digest, writer.size), writer.diff_id


def _layer(row: sqlite3.Row) -> Layer:
    """The layer of a row."""
    return Layer(
        chain_id=Digest(row["chain_id"]),
        parent=Digest(row["parent"]) if row["parent"] else None,
        diff_id=Digest(row["diff_id"]),
        descriptor=Descriptor(row["media_type"], Digest(row["digest"]), row["compressed_size"]),
        size_bytes=row["size_bytes"],
    )


def _row(made: Layer) -> tuple[str | int | None, ...]:
    """The row of a layer that was made in this boot."""
    blob = made.descriptor
    return (
        made.chain_id,
        made.parent,
        made.diff_id,
        blob.digest,
        blob.media_type,
        blob.size,
        made.size_bytes,
        boot_id(),
    )
