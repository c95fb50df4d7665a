"""The image store: images, their names, and what they are made of. Source: image-spec; Docker's `image` commands.

An image is a config and a manifest among the blobs, and rows in the database that name them. Its ID is the digest of
its config. Layers and blobs belong to whoever names them: images, containers and the build cache; `collect` takes away
what nobody names any more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch, InvalidManifest, InvalidReference, NotFound, StoreError
from dockmagic.image import garbage, names, removal
from dockmagic.image.blobs import BlobStore
from dockmagic.image.whereabouts import Whereabouts
from dockmagic.image.workspace import store_errors
from dockmagic.linux.sync import boot_id, fsync, syncfs
from dockmagic.oci.descriptor import OCI_CONFIG, Descriptor
from dockmagic.oci.digest import Digest, chain_ids
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import dump_image_config, parse_image_config, parse_time
from dockmagic.oci.manifest import Manifest, dump_manifest, parse_manifest
from dockmagic.oci.reference import Reference

_HINT: Final = "`image ls` shows what is here, `image pull` gets one, and `image bootstrap busybox` makes one"
_NO_BLOB: Final = "an image needs the archives of all its layers; `system fsck` tries to restore those that were lost"
_IMAGE: Final = """
    SELECT manifest_digest, (
        SELECT coalesce(sum(coalesce(layers.size_bytes, image_layers.size_bytes)), 0)
        FROM image_layers LEFT JOIN layers USING (chain_id) WHERE image_id = images.id
    ) AS size_bytes FROM images WHERE id = ?
"""
_ADD_IMAGE: Final = """
    INSERT INTO images (id, manifest_digest, created_ns, added_ns) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET manifest_digest = excluded.manifest_digest
"""
_CHAINS: Final = "SELECT chain_id FROM image_layers WHERE image_id = ? ORDER BY position DESC"
_UNWRITTEN: Final = "SELECT 1 FROM layers WHERE chain_id IN (SELECT value FROM json_each(?)) AND boot_id = ? LIMIT 1"
_MARK_WRITTEN: Final = """
    UPDATE layers SET boot_id = '' WHERE chain_id IN (SELECT value FROM json_each(?)) AND boot_id = ?
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A stored image. `size_bytes` is that of its unpacked layers; `created` is None where the config doesn't say.

    One that a build didn't store has no size.
    """

    id: Digest
    config: ImageConfig
    manifest: Manifest
    manifest_digest: Digest
    references: tuple[Reference, ...]
    size_bytes: int
    created: datetime | None

    @property
    def chain_ids(self) -> tuple[Digest, ...]:
        """Names of its layers' stacks, lowest first."""
        return chain_ids(self.config.diff_ids)


class ImageStore(BlobStore):
    """All images of a state root; any number of processes may have one at the same time."""

    def __init__(self, root: Path, database: Database) -> None:
        super().__init__(root)
        self._database = database
        self.whereabouts = Whereabouts(database)
        self._parsed: dict[tuple[tuple[Digest, int], ...], tuple[ImageConfig, Manifest]] = {}

    def add_image(
        self,
        config: ImageConfig,
        layers: Sequence[Descriptor],
        *,
        references: Sequence[Reference] = (),
        raw_config: bytes | None = None,
        raw_manifest: bytes | None = None,
    ) -> Image:
        """Store an image and give it these names, which its former owners lose; idempotent.

        `layers` (lowest first) are blobs that are here already. A pulled image keeps its config and its manifest byte
        for byte, since their digests are its names. A loss of power leaves it whole or without a name.
        """
        with self.workspaces.hold():
            descriptor = self.put_blob(raw_config or dump_image_config(config), OCI_CONFIG)
            manifest = _manifest(descriptor, layers, raw_manifest)
            self._check_layers(config, manifest)
            manifest_digest = self.put_blob(raw_manifest or dump_manifest(manifest), manifest.media_type).digest
            known = raw_manifest is None and self._is_known(descriptor.digest)
            self.bring_to_disk(config.diff_ids, new=not known)
            with self._database.transaction():
                if raw_manifest is not None or not self._is_known(descriptor.digest):
                    self._name_content(descriptor.digest, manifest_digest, config, manifest)
                for reference in references:
                    self._name(reference, descriptor.digest)
                return self.get(descriptor.digest)

    def passing_image(self, config: ImageConfig, layers: Sequence[Descriptor]) -> Image:
        """An image that isn't stored, but whose blobs are here as long as the caller holds the store's content.

        One that is stored already is the one that is given.
        """
        descriptor = self.put_blob(dump_image_config(config), OCI_CONFIG)
        if self._is_known(descriptor.digest):
            return self.get(descriptor.digest)
        manifest = _manifest(descriptor, layers, None)
        self._check_layers(config, manifest)
        digest = self.put_blob(dump_manifest(manifest), manifest.media_type).digest
        return Image(descriptor.digest, config, manifest, digest, (), 0, parse_time(config.created))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is added and named inside the block is there as a whole at its end, or not at all after an error."""
        with self._database.transaction():
            yield

    def get(self, name: str) -> Image:
        """Image of this name: a reference, an ID, or the start of an ID, in this order.

        Raises NotFound, and InvalidReference where several IDs start so.
        """
        image = self.find(name)
        if image is None:
            raise NotFound("image", name, _HINT)
        return image

    def find(self, name: str) -> Image | None:
        """As `get`, but None where there is no such image."""
        with self.workspaces.hold():
            match = names.resolve(self._database, name)
            return None if match is None else self._load(match.image_id)

    def list_images(self) -> list[Image]:
        """All images, newest first."""
        with self.workspaces.hold():
            rows = self._database.query("SELECT id FROM images ORDER BY created_ns DESC, added_ns DESC, id")
            images = [self._load(Digest(row["id"])) for row in rows]
        return [image for image in images if image is not None]

    def tag(self, source: str, target: str) -> Reference:
        """Give the image `source` one more name, which its former owner loses; the name in full."""
        reference = Reference.parse(target)
        if reference.digest is not None:
            raise InvalidReference(f"invalid tag {target!r}: a digest names content, it can't be given; use NAME:TAG")
        with self._database.transaction():
            self._name(reference, self._match(source).image_id)
        return reference

    def id_of(self, name: str) -> Digest:
        """ID of the image that a name means, also where the image is damaged; raises NotFound."""
        return self._match(name).image_id

    def remove(self, name: str, force: bool = False, in_use: Collection[Digest] = ()) -> list[str]:
        """Take a name from an image, or the image away with its last name; what was done, in Docker's words.

        `in_use` are the images that running containers use, which not even `force` deletes; containers that don't run
        are known from the database. Raises NotFound, or Conflict where Docker would.
        """
        with self._database.transaction():
            match = self._match(name)
            rows = self._database.query(_CHAINS, (match.image_id,))
            lines = removal.remove(self._database, match, force, match.image_id in in_use)
        collected = set(self.collect())
        return lines + [f"Deleted: {row['chain_id']}" for row in rows if row["chain_id"] in collected]

    def collect(self) -> list[Digest]:
        """Take away layers and blobs that nobody names, and what crashes left; the chain IDs of the layers.

        Does only the latter while anybody holds the store's content: a build or pull may be about to name something.
        """
        self.workspaces.collect()
        with self.workspaces.new("trash-", hold=False) as trash:
            with self._database.transaction(), self.workspaces.alone() as alone:
                return garbage.collect(self._database, self.root, trash) if alone else []

    def _match(self, name: str) -> names.Match:
        """The image that a name means; raises NotFound."""
        match = names.resolve(self._database, name)
        if match is None:
            raise NotFound("image", name, _HINT)
        return match

    def _load(self, image_id: Digest) -> Image | None:
        """The image of these rows and blobs, None where it was removed at this moment; StoreError if it is damaged."""
        rows = self._database.query(_IMAGE, (image_id,))
        if not rows:
            return None
        manifest_digest = Digest(rows[0]["manifest_digest"])
        config, manifest = self._parse(image_id, manifest_digest)
        references = names.references(self._database, image_id)
        created = parse_time(config.created)
        return Image(image_id, config, manifest, manifest_digest, references, rows[0]["size_bytes"], created)

    def _parse(self, image_id: Digest, manifest_digest: Digest) -> tuple[ImageConfig, Manifest]:
        """Config and manifest from their blobs, kept as long as nobody touches those. Raises StoreError."""
        key = tuple((digest, self._stamp(digest)) for digest in (image_id, manifest_digest))
        found = self._parsed.get(key)
        if found is None:
            try:
                config = parse_image_config(self.read_blob(image_id))
                manifest = parse_manifest(self.read_blob(manifest_digest))
            except (DigestMismatch, NotFound, InvalidManifest) as error:
                what = f"image {image_id.short} is damaged; remove it and get it again, or try `system fsck`"
                raise StoreError(f"{what} ({error})") from error
            assert isinstance(manifest, Manifest)
            found = self._parsed[key] = config, manifest
        return found

    def _stamp(self, digest: Digest) -> int:
        """When the blob's file was last changed, 0 where there is none."""
        try:
            return self.blob_path(digest).stat().st_ctime_ns
        except FileNotFoundError:
            return 0

    def _is_known(self, image_id: Digest) -> bool:
        """Whether the image is here with its manifest."""
        rows = self._database.query("SELECT manifest_digest FROM images WHERE id = ?", (image_id,))
        return bool(rows) and self.has_blob(Digest(rows[0]["manifest_digest"]))

    def _name_content(self, image_id: Digest, manifest_digest: Digest, config: ImageConfig, manifest: Manifest) -> None:
        """Write the rows that keep an image's blobs and layers."""
        created = parse_time(config.created)
        created_ns = 0 if created is None else int(created.timestamp() * 1e9)
        chains = zip(chain_ids(config.diff_ids), manifest.layers, strict=True)
        layers = [(image_id, place, chain, layer.digest, layer.size) for place, (chain, layer) in enumerate(chains)]
        with self._database.transaction() as transaction:
            transaction.execute(_ADD_IMAGE, (image_id, manifest_digest, created_ns, time.time_ns()))
            transaction.executemany("INSERT OR REPLACE INTO image_layers VALUES (?, ?, ?, ?, ?)", layers)

    def _name(self, reference: Reference, image_id: Digest) -> None:
        """Give the image a name; inside the caller's transaction."""
        if reference.familiar_name == image_id.algorithm:
            raise InvalidReference(f"invalid tag {reference.familiar!r}: it would be taken for an image ID")
        with self._database.transaction() as transaction:
            transaction.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (str(reference), image_id))

    def _check_layers(self, config: ImageConfig, manifest: Manifest) -> None:
        """Raise unless the manifest has a blob, which is here, for each diff ID of the config."""
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidManifest(
                f"image config: has {len(config.diff_ids)} diff IDs, but the manifest has {len(manifest.layers)} layers"
            )
        for layer in manifest.layers:
            if not self.has_blob(layer.digest):
                raise NotFound("blob", layer.digest, _NO_BLOB)

    def bring_to_disk(self, diff_ids: Sequence[Digest], *, new: bool = True) -> None:
        """Write out the layers that only the page cache has yet, and the names of new blobs unless there are none.

        Raises StoreError.
        """
        chains = json.dumps(chain_ids(diff_ids))
        with store_errors("write an image to the disk"):
            if self._database.query(_UNWRITTEN, (chains, boot_id())):
                syncfs(self.root)
                with self._database.transaction() as transaction:
                    transaction.execute(_MARK_WRITTEN, (chains, boot_id()))
            elif new:
                for directory in (self.root / "blobs").iterdir():
                    fsync(directory)


def _manifest(config: Descriptor, layers: Sequence[Descriptor], raw: bytes | None) -> Manifest:
    """The manifest that was pulled, or a new one."""
    if raw is None:
        return Manifest(config, tuple(layers))
    manifest = parse_manifest(raw)
    if not isinstance(manifest, Manifest):
        raise InvalidManifest("manifest: expected an image's, got an index")
    if manifest.config.digest != config.digest:
        raise DigestMismatch("image config", expected=manifest.config.digest, actual=config.digest)
    return manifest
