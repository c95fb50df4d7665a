"""Taking away the images that nothing uses. Source: Docker's reference, "docker image prune"."""

from __future__ import annotations

from dataclasses import dataclass

from dockmagic.database import Database
from dockmagic.image import names, usage
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.digest import Digest
from dockmagic.oci.selection import Selection


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune took away, a line each, and the bytes that came free.

    `held`: a build or a pull was at work, so that layers, archives and build cache stayed, for a later prune to remove.
    """

    lines: tuple[str, ...] = ()
    reclaimed_bytes: int = 0
    held: bool = False


def prune_images(store: ImageStore, database: Database, selection: Selection, *, unused: bool = False) -> Pruned:
    """Remove dangling images (those without a tag), or all `unused` ones: those that no container was made of.

    Raises StoreError where an image is damaged.
    """
    chosen = [image for image in store.list_images() if selection.takes(created_ns(image), image.config.config.labels)]
    lines: list[str] = []
    with database.transaction() as transaction:
        used = set(usage.container_images(database))
        for image in chosen:
            if image.id not in used and (unused or is_dangling(database, image.id)):
                lines += [f"untagged: {name.familiar}" for name in names.references(database, image.id)]
                lines.append(f"deleted: {image.id}")
                transaction.execute("DELETE FROM images WHERE id = ?", (image.id,))
    freed = collect(store, database)
    lines += [line for line in freed.lines if lines]
    return Pruned(tuple(lines), freed.reclaimed_bytes, freed.held)


def collect(store: ImageStore, database: Database) -> Pruned:
    """Take away the layers that nobody names, and tell what they took of the disk."""
    layers = usage.stored_layers(database)
    lost = store.collect()
    with store.workspaces.alone() as alone:
        lines = tuple(f"deleted: {chain_id}" for chain_id in lost)
        return Pruned(lines, usage.disk_bytes(lost, layers), held=not alone and not lost)


def is_dangling(database: Database, image_id: Digest) -> bool:
    """Whether an image has no tag; one that is known by digest only counts as dangling, too."""
    return all(name.digest is not None for name in names.references(database, image_id))


def created_ns(image: Image) -> int:
    """When an image was made, in ns since 1970; 0 where its config doesn't say."""
    return 0 if image.created is None else int(image.created.timestamp() * 1e9)
