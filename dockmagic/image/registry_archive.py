"""What a name stands for in its registry, as the files of an image layout. Source: image-spec image-layout.md."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from dockmagic.events import OnEvent
from dockmagic.image.archive_files import File
from dockmagic.image.fetch import Fetcher
from dockmagic.image.layout import INDEX_FILE, blob_path
from dockmagic.image.registry import RawManifest, RegistryClient
from dockmagic.image.store import ImageStore
from dockmagic.image.workspace import store_errors
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, dump_manifest, parse_manifest
from dockmagic.oci.reference import Reference


class RegistryArchive:
    """A manifest and its blobs, each of which is fetched into the store when it is asked for; one thread at a time.

    `place` is for the documents. Raises RegistryError, DigestMismatch, InvalidManifest, StoreError.
    """

    def __init__(
        self, reference: Reference, client: RegistryClient, store: ImageStore, place: Path, on_event: OnEvent
    ) -> None:
        self._reference = reference
        self._client = client
        self._store = store
        self._place = place
        self._on_event = on_event

    def find(self, name: str) -> File | None:
        """The file of this name; None where the manifest has no such blob."""
        top = self._top
        if name == INDEX_FILE:
            index = Index((Descriptor(top.media_type, top.digest, len(top.data)),))
            return self._document("index", dump_manifest(index))
        if name == blob_path(top.digest):
            return self._document("manifest", top.data)
        return self._fetched(self._blobs[name]) if name in self._blobs else None

    @cached_property
    def _top(self) -> RawManifest:
        return self._client.manifest(self._reference)

    @cached_property
    def _blobs(self) -> dict[str, Descriptor]:
        """All blobs of the manifest by their names."""
        document = parse_manifest(self._top.data, self._top.media_type)
        blobs = () if isinstance(document, Index) else (document.config, *document.layers)
        return {blob_path(descriptor.digest): descriptor for descriptor in blobs}

    def _document(self, name: str, data: bytes) -> File:
        with store_errors("lay out a manifest"):
            (self._place / name).write_bytes(data)
        return File(self._place / name, Digest.of(data), len(data))

    def _fetched(self, descriptor: Descriptor) -> File:
        with Fetcher(self._reference, self._client, self._store, self._on_event) as fetcher:
            fetcher.start(descriptor).wait()
        return File(self._store.blob_path(descriptor.digest), descriptor.digest, descriptor.size)
