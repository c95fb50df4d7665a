"""Upkeep of a state root: what takes how much of the disk, and Docker's ways to get some of it back."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockmagic.builder.records import CacheRecord
from dockmagic.builder.upkeep import NO_LIMIT, CacheUpkeep, Space
from dockmagic.database import Database
from dockmagic.image import pruning, upper, usage
from dockmagic.image.fsck import Report, fsck
from dockmagic.image.pruning import Pruned
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.digest import Digest
from dockmagic.oci.selection import Selection
from dockmagic.runtime import leftovers
from dockmagic.runtime.client import Client
from dockmagic.runtime.container import Containers as Rows
from dockmagic.runtime.container import Row
from dockmagic.volumes.verbs import Volumes, VolumeUse

_EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class ImageUse:
    """An image; `shared_bytes` of its `size_bytes` other images have, too. `containers` were made of it."""

    image: Image
    size_bytes: int
    shared_bytes: int
    containers: int


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """A container, whether it runs, and the bytes that it has written."""

    row: Row
    running: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What takes space. `image_bytes` counts every layer once; of these no container needs `unused_image_bytes`."""

    images: tuple[ImageUse, ...]
    image_bytes: int
    unused_image_bytes: int
    containers: tuple[ContainerUse, ...]
    cache: tuple[CacheRecord, ...] = field(repr=False)
    volumes: tuple[VolumeUse, ...] = ()


class Upkeep:
    """The upkeep of a state root."""

    def __init__(
        self, root: Path, database: Database, store: ImageStore, snapshots: Snapshots, rows: Rows, client: Client
    ) -> None:
        self._root = root
        self._database = database
        self._store = store
        self._snapshots = snapshots
        self._rows = rows
        self._client = client
        self._cache = CacheUpkeep(root, database, store)
        self._volumes = Volumes(root, database)

    def usage(self) -> DiskUsage:
        """What images, containers, volumes and the build cache take. Raises StoreError for a damaged image."""
        layers = usage.stored_layers(self._database)
        chains = usage.image_chains(self._database)
        images = self._store.list_images()
        made = usage.container_images(self._database)
        needed = {chain for image_id in made for chain in chains.get(image_id, ())}
        listed = {image.id for image in images}
        held = {chain for image_id in listed for chain in chains.get(image_id, ())}
        return DiskUsage(
            tuple(_image_use(image, images, layers, made.count(image.id)) for image in images),
            usage.disk_bytes(held, layers),
            usage.disk_bytes(held, layers) - usage.disk_bytes(held & needed, layers),
            tuple(map(self._container_use, self._rows.rows())),
            tuple(self._cache.records()),
            self._volumes.usage(),
        )

    def cache(self) -> list[CacheRecord]:
        """What the build cache consists of."""
        return self._cache.records()

    def prune_cache(
        self,
        *,
        all: bool = False,
        takes: Callable[[CacheRecord], bool] = lambda record: True,
        space: Space = NO_LIMIT,
    ) -> Pruned:
        """Remove build cache that no image shares (or `all`), least recently used first, as far as `space` says."""
        return self._cache.prune(takes, all=all, space=space)

    def prune_images(self, selection: Selection = _EVERYTHING, *, all: bool = False) -> Pruned:
        """Remove images without a tag, or `all` that no container was made of."""
        return pruning.prune_images(self._store, self._database, selection, unused=all)

    def prune_containers(self, selection: Selection = _EVERYTHING) -> Pruned:
        """Remove the containers that don't run, with all that they wrote."""
        chosen = [row for row in self._rows.rows() if selection.takes(row.created_ns, row.labels)]
        sizes = {row.id: size for row in chosen if (size := self._remove(row)) is not None}
        return Pruned(tuple(sizes), sum(sizes.values()))

    def fsck(self, *, full: bool = False, dry_run: bool = False) -> Report:
        """Check the store and repair it (image.fsck). Raises Conflict while somebody builds or pulls."""

        def in_use() -> list[Digest]:
            return [Digest(image_id) for image_id in self._rows.images_in_use() if image_id]

        report = fsck(self._database, self._store, self._snapshots, in_use, full=full, dry_run=dry_run)
        faults = self._volumes.faults()
        left = self._volumes.mend(faults) if not dry_run else faults
        counted = len(self._volumes.ls())
        return replace(report, faults=report.faults + faults, left=report.left + left, volumes=counted)

    def _remove(self, row: Row) -> int | None:
        """Bytes of the container, which is gone now; None where it runs or somebody is about to start it."""
        directory = self._rows.directory(row.id)
        if row.options.remove:  # it goes by itself
            return None
        with suppress(BlockingIOError, FileNotFoundError):
            with leftovers.lock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if self._client.record(row.id) is None:
                    size = upper.size(directory / "upper")
                    self._rows.delete(row.id)
                    return size
        return None

    def _container_use(self, row: Row) -> ContainerUse:
        """A container and its size; one that ends at this moment may have any."""
        with suppress(OSError):
            size = upper.size(self._rows.directory(row.id) / "upper")
            return ContainerUse(row, self._client.record(row.id) is not None, size)
        return ContainerUse(row, False, 0)


def _image_use(image: Image, images: Iterable[Image], layers: usage.Layers, containers: int) -> ImageUse:
    """An image, and what of it is in others."""
    others = {chain for other in images if other.id != image.id for chain in other.chain_ids}
    own = set(image.chain_ids)
    return ImageUse(image, usage.disk_bytes(own, layers), usage.disk_bytes(own & others, layers), containers)
