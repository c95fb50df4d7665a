"""Putting a damaged store right, as far as what is left of it says how.

A lost archive is packed again from its layer where that gives the same bytes, a damaged layer unpacked again from its
archive; documents come from the copies that the database has. What stands in the way of that is taken away first, in
one short transaction in which nobody else works with the store's content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dockmagic.database import Database
from dockmagic.errors import Conflict, DockmagicError
from dockmagic.image import compression, layer
from dockmagic.image.checking import UNREADABLE, Fault, Kind, blob_problem
from dockmagic.image.inventory import Inventory, StoredImage, WantedLayer
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.image.workspace import store_errors
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from dockmagic.oci.digest import Digest, chain_ids, next_chain_id
from dockmagic.oci.manifest import Manifest, dump_manifest

_NOTES: Final = """
    SELECT config FROM build_cache WHERE chain_id IS NULL UNION SELECT config FROM build_history
"""
_CHAINS: Final = "SELECT chain_id FROM image_layers WHERE image_id IN (SELECT value FROM json_each(?))"
_FORGET_ABOVE: Final = """
    WITH RECURSIVE above(chain_id) AS (
        VALUES (?) UNION SELECT layers.chain_id FROM layers JOIN above ON layers.parent = above.chain_id
    )
    DELETE FROM build_cache WHERE chain_id IN (SELECT chain_id FROM above)
"""


class Mender:
    """Repairs a state root; the layers of the images that `in_use` gives (running containers') stay in place."""

    def __init__(
        self, database: Database, store: ImageStore, snapshots: Snapshots, in_use: Callable[[], Collection[Digest]]
    ) -> None:
        self._database = database
        self._store = store
        self._snapshots = snapshots
        self._in_use = in_use

    def mend(self, faults: Sequence[Fault], inventory: Inventory) -> None:
        """Do what can be done about these faults. Raises Conflict while somebody builds or pulls."""
        broken = {Digest(fault.name) for fault in faults if fault.kind is Kind.LAYER}
        blobs = [Digest(fault.name) for fault in faults if fault.kind is Kind.BLOB]
        self._take_away([chain for chain in broken if self._can_unpack(inventory.layers[chain])], faults)
        with self._store.workspaces.hold():
            for digest in blobs:
                self._restore_blob(digest, inventory, broken)
            for wanted in inventory.from_below():
                if wanted.chain_id in broken:
                    self._restore_layer(wanted, inventory)
            self._restore_rows(faults, inventory)
            self._store.bring_to_disk(())
        self._store.collect()

    def _can_unpack(self, wanted: WantedLayer) -> bool:
        """Whether what is known of a layer, and an archive that is whole, make it."""
        if wanted.diff_id is None or next_chain_id(wanted.parent, wanted.diff_id) != wanted.chain_id:
            return False
        return self._whole_blob(wanted) is not None

    def _whole_blob(self, wanted: WantedLayer) -> Descriptor | None:
        """An archive of this layer that is whole."""
        for digest, blob in wanted.blobs.items():
            if blob_problem(self._store.blob_path(digest), digest) == "":
                return blob
        return None

    # -- what stands in the way --------------------------------------------------------------------------------

    def _take_away(self, layers: Sequence[Digest], faults: Sequence[Fault]) -> None:
        """Move damaged files aside, and forget the rows that point to nothing."""
        workspaces = self._store.workspaces
        with workspaces.new("trash-", hold=False) as trash:
            with self._database.transaction(), workspaces.alone() as alone:
                if not alone:
                    raise Conflict("store", str(self._store.root), "somebody builds or pulls; try again after that")
                mounted = self._mounted()  # from here on nobody can start a container
                paths = [self._snapshots.path(chain) for chain in layers if chain not in mounted]
                with store_errors("repair the store"):
                    for number, path in enumerate([*paths, *self._wrong_blobs(faults)]):
                        with suppress(FileNotFoundError):
                            path.rename(trash / str(number))
                self._forget_rows(faults)

    def _mounted(self) -> set[Digest]:
        """Chain IDs of the layers that running containers have mounted."""
        rows = self._database.query(_CHAINS, (json.dumps(list(self._in_use())),))
        return {Digest(row["chain_id"]) for row in rows}

    def _wrong_blobs(self, faults: Sequence[Fault]) -> Iterator[Path]:
        """Where blobs lie that still aren't what they should be; not those that the disk doesn't give."""
        for fault in faults:
            if fault.kind is Kind.BLOB:
                path = self._store.blob_path(Digest(fault.name))
                problem = blob_problem(path, Digest(fault.name))
                if problem and not problem.startswith(UNREADABLE):
                    yield path

    def _forget_rows(self, faults: Sequence[Fault]) -> None:
        """Delete names and rows of the build cache that mean nothing."""
        with self._database.transaction() as transaction:
            for fault in faults:
                if fault.kind is Kind.NAME:
                    transaction.execute("DELETE FROM tags WHERE reference = ?", (fault.name,))
                if fault.kind is Kind.CACHE:
                    transaction.execute("DELETE FROM build_cache WHERE key = ?", (fault.name,))

    # -- blobs -------------------------------------------------------------------------------------------------

    def _restore_blob(self, digest: Digest, inventory: Inventory, broken: Collection[Digest]) -> None:
        """Bring a blob back: a document from the database's copies, an archive from a layer that is whole."""
        for data in self._documents(digest, inventory):
            if Digest.of(data) == digest:
                self._store.put_blob(data, OCI_CONFIG)
                return
        makers = [one for one in inventory.layers.values() if digest in one.blobs]
        same = {maker.diff_id for maker in makers if maker.diff_id is not None}
        whole = [one for one in inventory.layers.values() if one.diff_id in same and one.chain_id not in broken]
        for wanted in whole:
            if self._pack(self._snapshots.path(wanted.chain_id), digest, wanted.diff_id):
                return

    def _documents(self, digest: Digest, inventory: Inventory) -> Iterator[bytes]:
        """What may be the document of this digest: configs that builds noted, and manifests made anew."""
        if digest in inventory.images:
            for row in self._database.query(_NOTES):
                yield row["config"].encode()
        for image in inventory.images.values():
            if image.manifest_digest == digest:
                yield dump_manifest(self._manifest(image, inventory))

    def _manifest(self, image: StoredImage, inventory: Inventory) -> Manifest:
        """The manifest that a build gives an image of these rows."""
        with suppress(FileNotFoundError):
            size = self._store.blob_path(image.id).stat().st_size
            known = {digest: blob for wanted in inventory.layers.values() for digest, blob in wanted.blobs.items()}
            layers = [known.get(digest, Descriptor(OCI_LAYER_GZIP, digest, size)) for _, digest, size in image.layers]
            return Manifest(Descriptor(OCI_CONFIG, image.id, size), tuple(layers), OCI_MANIFEST)
        return Manifest(Descriptor(OCI_CONFIG, image.id, 0), ())

    def _pack(self, directory: Path, digest: Digest, diff_id: Digest | None) -> bool:
        """Whether the archive of this layer is the blob, which is in the store then: compressed or not."""
        with self._store.workspaces.new("pack-") as workspace, suppress(DockmagicError):
            path = workspace / "blob"
            with path.open("wb") as out:
                if digest == diff_id:
                    layer.pack(directory, out)
                else:
                    writer = compression.LayerWriter(out)
                    layer.pack(directory, writer)
                    writer.close()
            if blob_problem(path, digest) == "":
                self._store.adopt(path, Descriptor(OCI_LAYER, digest, path.stat().st_size))
                return True
        return False

    # -- layers ------------------------------------------------------------------------------------------------

    def _restore_layer(self, wanted: WantedLayer, inventory: Inventory) -> None:
        """Unpack a layer again; one that can't be, and that no image needs, the build cache forgets."""
        blob = self._whole_blob(wanted) if self._can_unpack(wanted) else None
        in_place = self._snapshots.path(wanted.chain_id).exists()  # a container has it mounted
        if blob is not None and wanted.diff_id is not None and not in_place:
            with suppress(DockmagicError):
                self._snapshots.unpack(wanted.parent, blob, wanted.diff_id)
                if wanted.images:
                    self._store.bring_to_disk(_diff_ids(wanted, inventory))
                return
        if not wanted.images:
            self._forget(wanted.chain_id)

    def _forget(self, chain: Digest) -> None:
        """Make the build cache forget a layer and those on it."""
        with self._database.transaction() as transaction:
            transaction.execute(_FORGET_ABOVE, (chain,))

    # -- rows --------------------------------------------------------------------------------------------------

    def _restore_rows(self, faults: Sequence[Fault], inventory: Inventory) -> None:
        """Make the rows of images say what their documents do, and forget cached layers that have no archive."""
        for fault in faults:
            if fault.kind is Kind.IMAGE:
                self._restore_image(inventory.images[Digest(fault.name)])
            if fault.kind is Kind.BLOB and not fault.images and not self._store.has_blob(Digest(fault.name)):
                for wanted in inventory.layers.values():
                    if fault.name in wanted.blobs and not wanted.images:
                        self._forget(wanted.chain_id)

    def _restore_image(self, image: StoredImage) -> None:
        """Write the rows of an image's layers as its config and manifest have them, where these fit together."""
        config, manifest = image.config, image.manifest
        if config is None or manifest is None or manifest.config.digest != image.id:
            return
        if len(config.diff_ids) != len(manifest.layers):
            return
        chains = zip(chain_ids(config.diff_ids), manifest.layers, strict=True)
        rows = [(image.id, place, chain, blob.digest, blob.size) for place, (chain, blob) in enumerate(chains)]
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM image_layers WHERE image_id = ?", (image.id,))
            transaction.executemany("INSERT INTO image_layers VALUES (?, ?, ?, ?, ?)", rows)


def _diff_ids(wanted: WantedLayer, inventory: Inventory) -> list[Digest]:
    """Diff IDs of a layer and those below it, lowest first; as far down as they are known."""
    found: list[Digest] = []
    layer: WantedLayer | None = wanted
    while layer is not None and layer.diff_id is not None and len(found) <= wanted.depth:
        found.insert(0, layer.diff_id)
        layer = None if layer.parent is None else inventory.layers.get(layer.parent)
    return found
