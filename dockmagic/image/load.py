"""Images out of an archive into the store. Everything is checked before anything is stored; then all of it is, or none.

Source: Docker's reference of `image load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dockmagic.events import OnEvent, PullProgress, ignore
from dockmagic.image.archive_files import Archive, DirectoryArchive, TarArchive
from dockmagic.image.archive_read import Found, read_images, read_named
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.streams import Source
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that is in the store now, and the names that the archive has for it."""

    image: Image
    references: tuple[Reference, ...]


def load(
    source: Source | Path,
    *,
    store: ImageStore,
    snapshots: Snapshots,
    platform: Platform | None = None,
    limits: Limits = DEFAULT_LIMITS,
    on_event: OnEvent = ignore,
) -> list[Loaded]:
    """The images of an archive, stored and unpacked, their names now theirs; a Path is the directory of an OCI layout.

    Raises InvalidManifest, DigestMismatch, InvalidLayer or StoreError; then no image and no name has changed, and what
    was moved into the store is nobody's, for `ImageStore.collect` to take away.
    """
    with store.workspaces.new("load-") as workspace:
        archive: Archive
        if isinstance(source, Path):
            archive = DirectoryArchive(source, workspace, store)
        else:
            archive = TarArchive(source, workspace, store, limits)
        found = read_images(archive, platform, limits)
        for image in found:
            _unpack(image, store, snapshots, on_event)
            if image.layers:
                store.bring_to_disk(image.config.diff_ids)
        with store.at_once():
            return [Loaded(_add(image, store), image.references) for image in found]


def load_one(
    directory: Path,
    name: str,
    *,
    store: ImageStore,
    snapshots: Snapshots,
    platform: Platform | None = None,
    references: Sequence[Reference] = (),
    on_event: OnEvent = ignore,
) -> Image:
    """The image of this tag or digest in an OCI layout, stored and unpacked, under these names only.

    Raises InvalidManifest, DigestMismatch, InvalidLayer or StoreError.
    """
    with store.workspaces.new("load-") as workspace:
        found = read_named(DirectoryArchive(directory, workspace, store), name, platform)
        found = replace(found, references=tuple(references))
        _unpack(found, store, snapshots, on_event)
        if found.layers:
            store.bring_to_disk(found.config.diff_ids)
        with store.at_once():
            return _add(found, store)


def _unpack(found: Found, store: ImageStore, snapshots: Snapshots, on_event: OnEvent) -> None:
    """Move an image's layers into the store and unpack them, the lowest first."""
    for descriptor, _ in found.layers:
        on_event(PullProgress(descriptor.digest, "waiting", 0, descriptor.size))
    parent: Digest | None = None
    for (descriptor, file), diff_id in zip(found.layers, found.config.diff_ids, strict=True):
        digest, size = descriptor.digest, descriptor.size
        store.adopt(file.path, descriptor)
        with store.blob_path(digest).open("rb", buffering=0) as blob:
            layer = snapshots.unpack(parent, descriptor, diff_id, _Told(blob, descriptor, on_event))
        if layer.descriptor.digest != digest:  # it was there before, from another blob
            snapshots.verify(descriptor, diff_id)
        parent = layer.chain_id
        on_event(PullProgress(digest, "loaded", size, size))


class _Told:
    """A blob's bytes; it's told how many of them were read."""

    def __init__(self, blob: Source, descriptor: Descriptor, on_event: OnEvent) -> None:
        self._blob = blob
        self._descriptor = descriptor
        self._on_event = on_event
        self.taken = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        data = self._blob.read(size)
        self.taken += len(data)
        total = self._descriptor.size
        self._on_event(PullProgress(self._descriptor.digest, "extracting", min(self.taken, total), total))
        return data

    def abandon(self) -> None:
        """Nothing: it never has to wait."""


def _add(found: Found, store: ImageStore) -> Image:
    """The image, stored under its names."""
    return store.add_image(
        found.config,
        [descriptor for descriptor, _ in found.layers],
        references=found.references,
        raw_config=found.raw_config,
        raw_manifest=found.raw_manifest,
    )
