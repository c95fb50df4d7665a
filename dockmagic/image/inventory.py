"""What a store should consist of, as far as its rows and documents tell: blobs, layers, and who needs them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch, InvalidManifest, NotFound, StoreError
from dockmagic.image import names
from dockmagic.image.blobs import BlobStore
from dockmagic.linux.sync import boot_id
from dockmagic.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from dockmagic.oci.digest import Digest, chain_ids, next_chain_id
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import parse_image_config
from dockmagic.oci.manifest import Manifest, parse_manifest

_HELD = """
    SELECT image_id, chain_id, digest, size_bytes FROM image_layers
    WHERE image_id IN (SELECT id FROM images) OR image_id IN (SELECT image_id FROM containers)
    OR image_id IN (SELECT image_id FROM image_users)
    ORDER BY image_id, position
"""
_LAYERS = """
    SELECT chain_id, parent, diff_id, digest, media_type, compressed_size, size_bytes FROM layers
    WHERE boot_id IN ('', ?)
"""


@dataclass(slots=True)
class WantedLayer:
    """A layer that should be unpacked; `blobs` are those it can be made of, `images` (by name or ID) need it.

    `diff_id` is None where neither a row nor a config tells it, `size_bytes` where it has no row; `row_is_right`: its
    parent and its diff ID give the chain ID.
    """

    chain_id: Digest
    parent: Digest | None = None
    diff_id: Digest | None = None
    size_bytes: int | None = None
    row_is_right: bool = True
    depth: int = 0
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)


@dataclass(slots=True)
class StoredImage:
    """An image's rows, and its documents where they can be read; `layers` are chain ID, digest and size of each row."""

    id: Digest
    manifest_digest: Digest
    label: str
    config: ImageConfig | None = None
    manifest: Manifest | None = None
    layers: list[tuple[Digest, Digest, int]] = field(default_factory=list)


class Inventory:
    """All images, layers and blobs that there should be; `blobs` has the names of the images that need each."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store
        self.images: dict[Digest, StoredImage] = {}
        self.layers: dict[Digest, WantedLayer] = {}
        self.blobs: defaultdict[Digest, set[str]] = defaultdict(set)
        self._read_rows()
        self._read_images()
        self._read_held()

    def from_below(self) -> list[WantedLayer]:
        """The layers, each after the one that it lies on."""
        return sorted(self.layers.values(), key=lambda layer: (layer.depth, layer.chain_id))

    def _read_rows(self) -> None:
        """The layers that have a row."""
        for row in self._database.query(_LAYERS, (boot_id(),)):
            blob = Descriptor(row["media_type"], Digest(row["digest"]), row["compressed_size"])
            parent = Digest(row["parent"]) if row["parent"] else None
            chain, diff_id = Digest(row["chain_id"]), Digest(row["diff_id"])
            is_right = next_chain_id(parent, diff_id) == chain
            layer = WantedLayer(chain, parent, diff_id, row["size_bytes"], is_right)
            layer.blobs[blob.digest] = blob
            self.layers[layer.chain_id] = layer
            self.blobs[blob.digest]  # needed, though perhaps by no image
        for layer in self.layers.values():
            layer.depth = self._depth(layer)

    def _depth(self, layer: WantedLayer) -> int:
        """How many layers it lies on; rows that form a ring are damaged, and end here."""
        seen: set[Digest] = set()
        parent = layer.parent
        while parent is not None and parent in self.layers and parent not in seen:
            seen.add(parent)
            parent = self.layers[parent].parent
        return len(seen)

    def _read_images(self) -> None:
        """The images, with what their documents say of their layers."""
        for row in self._database.query("SELECT id, manifest_digest FROM images ORDER BY id"):
            image_id, manifest_digest = Digest(row["id"]), Digest(row["manifest_digest"])
            image = StoredImage(image_id, manifest_digest, self._label(image_id))
            with suppress(DigestMismatch, NotFound, InvalidManifest, StoreError, OSError):
                image.config = parse_image_config(self._store.read_blob(image_id))
            with suppress(DigestMismatch, NotFound, InvalidManifest, StoreError, OSError):
                document = parse_manifest(self._store.read_blob(manifest_digest))
                image.manifest = document if isinstance(document, Manifest) else None
            self.images[image_id] = image
            self.blobs[image_id].add(image.label)
            self.blobs[manifest_digest].add(image.label)
            self._read_documents(image)

    def _read_documents(self, image: StoredImage) -> None:
        """What an image's config and manifest say of its layers."""
        if image.config is None:
            return
        parent: Digest | None = None
        blobs = () if image.manifest is None else image.manifest.layers
        chains = chain_ids(image.config.diff_ids)
        for depth, (chain, diff_id) in enumerate(zip(chains, image.config.diff_ids, strict=True)):
            layer = self._need(chain, image.label)
            layer.parent, layer.diff_id, layer.depth, parent = parent, diff_id, depth, chain
        for chain, blob in zip(chains, blobs, strict=False):  # their numbers differ in a damaged image
            self.layers[chain].blobs[blob.digest] = blob
            self.blobs[blob.digest].add(image.label)

    def _read_held(self) -> None:
        """The rows of what images are made of; those of a removed image are there for its containers."""
        for row in self._database.query(_HELD):
            image_id, chain, digest = Digest(row["image_id"]), Digest(row["chain_id"]), Digest(row["digest"])
            image = self.images.get(image_id)
            label = f"{image_id.short} (removed)" if image is None else image.label
            if image is not None:
                image.layers.append((chain, digest, row["size_bytes"]))
            if image is None or image.config is None:
                self._need(chain, label)
            if image is None or image.manifest is None:
                self.blobs[digest].add(label)
                if chain in self.layers:
                    guess = Descriptor(OCI_LAYER_GZIP, digest, row["size_bytes"])
                    self.layers[chain].blobs.setdefault(digest, guess)

    def _need(self, chain: Digest, label: str) -> WantedLayer:
        """The layer of this chain ID, needed by one more image."""
        layer = self.layers.setdefault(chain, WantedLayer(chain))
        layer.images.add(label)
        return layer

    def _label(self, image_id: Digest) -> str:
        """What messages call an image."""
        with suppress(Exception):  # a name that can't be read is a fault of its own
            for reference in names.references(self._database, image_id):
                return reference.familiar
        return image_id.short
