"""What layers take of the disk, and who keeps them. A layer takes the bytes of its files and those of its archive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dockmagic.database import Database
from dockmagic.linux.sync import boot_id
from dockmagic.oci.digest import Digest

_LAYERS = "SELECT chain_id, parent, digest, size_bytes, compressed_size, boot_id FROM layers"
_CONTAINER_IMAGES = """
    SELECT image_id FROM containers WHERE image_id != '' UNION ALL SELECT image_id FROM image_users
"""
_BYTES = "SELECT coalesce(sum(size_bytes + compressed_size), 0) AS total FROM layers"
_UNHELD_BYTES = f"{_BYTES} WHERE chain_id NOT IN (SELECT chain_id FROM image_layers)"


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A row of `layers`; `digest` and `archive_bytes` are of its blob. Not `whole` after a loss of power."""

    chain_id: Digest
    parent: Digest | None
    digest: Digest
    tree_bytes: int
    archive_bytes: int
    whole: bool

    @property
    def disk_bytes(self) -> int:
        """Bytes of its files and its archive."""
        return self.tree_bytes + self.archive_bytes


Layers = Mapping[Digest, StoredLayer]


def stored_layers(database: Database) -> dict[Digest, StoredLayer]:
    """All layers by their chain IDs."""
    rows = database.query(_LAYERS)
    found = [
        StoredLayer(
            Digest(row["chain_id"]),
            Digest(row["parent"]) if row["parent"] else None,
            Digest(row["digest"]),
            row["size_bytes"],
            row["compressed_size"],
            row["boot_id"] in ("", boot_id()),
        )
        for row in rows
    ]
    return {layer.chain_id: layer for layer in found}


def image_chains(database: Database) -> dict[Digest, list[Digest]]:
    """Chain IDs of every image's layers, lowest first; removed images that a container was made of are among them."""
    chains: dict[Digest, list[Digest]] = {}
    for row in database.query("SELECT image_id, chain_id FROM image_layers ORDER BY image_id, position"):
        chains.setdefault(Digest(row["image_id"]), []).append(Digest(row["chain_id"]))
    return chains


def container_images(database: Database) -> list[Digest]:
    """The image of each container that was made of one, and those mounted in it."""
    return [Digest(row["image_id"]) for row in database.query(_CONTAINER_IMAGES)]


def with_lower(chains: Iterable[Digest], layers: Layers) -> set[Digest]:
    """These layers and all that they lie on, as far as they are here."""
    found: set[Digest] = set()
    for start in chains:
        chain: Digest | None = start
        while chain is not None and chain in layers and chain not in found:
            found.add(chain)
            chain = layers[chain].parent
    return found


def disk_bytes(chains: Collection[Digest], layers: Layers) -> int:
    """Bytes that these layers take; an archive that several of them are made of counts once."""
    here = [layers[chain] for chain in chains if chain in layers]
    archives = {layer.digest: layer.archive_bytes for layer in here}
    return sum(layer.tree_bytes for layer in here) + sum(archives.values())


def layer_bytes(database: Database) -> int:
    """Bytes of all layers; very quick, and at most a shared archive too much."""
    return int(database.query(_BYTES)[0]["total"])


def unheld_bytes(database: Database) -> int:
    """Bytes of the layers that no image keeps; quick, and at most a shared archive too much."""
    return int(database.query(_UNHELD_BYTES)[0]["total"])
