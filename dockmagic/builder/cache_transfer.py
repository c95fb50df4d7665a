"""Cache entries that travel: written to a directory or a registry after a build, and found there by builds elsewhere.

The directory is an OCI layout with one artifact, which is what a registry has, too: its layers are those of the steps,
its config has a record of each step, which says that a key stands for a layer. A key stands for everything that a step
reads, the layers below it too, so that a record needs no more. A layer is only copied or fetched when its key is looked
for.

    {"records": [{"key": "5f0c...", "kind": "RunAction", "diffID": "sha256:...", "digest": "sha256:..."}]}

Source: docker build's reference, `--cache-to` and `--cache-from` with type=local and type=registry; image-spec,
"Guidelines for Artifact Usage".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dockmagic.errors import DigestMismatch, DockmagicError, InvalidManifest
from dockmagic.image.archive_files import Archive, DirectoryArchive, File, read_document
from dockmagic.image.archive_write import write_directory
from dockmagic.image.layout import INDEX_FILE, LAYOUT, LAYOUT_FILE, blob_path
from dockmagic.image.limits import DEFAULT_LIMITS
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import OCI_MANIFEST, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.fields import Fields
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.manifest import Index, Manifest, dump_manifest, parse_manifest
from dockmagic.oci.reference import Reference

CACHE_CONFIG: Final = "application/vnd.dockmagic.buildcache.v1+json"
INLINE: Final = "dockmagic.buildcache.v1"  # key of the records in an image's config
PushArtifact = Callable[[Reference, bytes], object]  # a manifest whose blobs are in the store
OpenArtifact = Callable[[Reference, Path], AbstractContextManager[Archive]]  # with a directory to work in


@dataclass(frozen=True, slots=True)
class CacheTarget:
    """Where a build's cache goes, a directory, a name in a registry, or (None) into the image's own config: that of all
    stages, or only of the steps whose layers are in the image.
    """

    place: Path | Reference | None
    all_stages: bool = False


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """A key, the kind of its action, and the layer that it stands for."""

    key: str
    kind: str
    diff_id: Digest
    descriptor: Descriptor


def export_cache(
    target: CacheTarget,
    records: Iterable[CacheRecord],
    diff_ids: Collection[Digest],
    store: ImageStore,
    push: PushArtifact,
) -> None:
    """Write the records and their layers; `diff_ids` are those of the image. What the place had goes out of use.

    Raises NotFound, StoreError, RegistryError. The index or tag comes last: until then the place is what it was. The
    caller holds the store's content.
    """
    if target.place is None:
        return
    kept = [record for record in records if target.all_stages or record.diff_id in diff_ids]
    config = json.dumps(_document_of(kept), separators=(",", ":")).encode()
    layers = {record.descriptor.digest: record.descriptor for record in kept}
    described = Descriptor(CACHE_CONFIG, Digest.of(config), len(config))
    manifest = dump_manifest(Manifest(described, tuple(layers.values()), artifact_type=CACHE_CONFIG))
    if isinstance(target.place, Reference):
        store.put_blob(config, CACHE_CONFIG)
        push(target.place, manifest)
        return
    entry = Descriptor(OCI_MANIFEST, Digest.of(manifest), len(manifest), artifact_type=CACHE_CONFIG)
    plan: dict[str, bytes | Descriptor] = {blob_path(digest): layer for digest, layer in layers.items()}
    plan |= {blob_path(described.digest): config, blob_path(entry.digest): manifest}
    plan |= {LAYOUT_FILE: LAYOUT, INDEX_FILE: dump_manifest(Index((entry,)))}
    write_directory(plan, store, target.place)


def inlined(image: ImageConfig, records: Iterable[CacheRecord], *, wanted: bool) -> ImageConfig:
    """The config with the records of its own layers if they are wanted there, and never with those of its base."""
    extra = {key: value for key, value in image.extra.items() if key != INLINE}
    if wanted:
        extra[INLINE] = _document_of([record for record in records if record.diff_id in image.diff_ids])
    return image if extra == image.extra else replace(image, extra=extra)


class CacheImports:
    """The caches that a build may use; any thread may ask. What can't be read is a warning, and no part of them."""

    def __init__(
        self,
        places: Sequence[Path | Reference],
        store: ImageStore,
        snapshots: Snapshots,
        open_artifact: OpenArtifact,
        warn: Callable[[str], None],
    ) -> None:
        self._places = places
        self._open = open_artifact
        self._store = store
        self._snapshots = snapshots
        self._warn = warn
        self._lock = threading.Lock()
        self._known: dict[str, tuple[CacheRecord, Archive]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> CacheImports:
        """Itself, with all records read; what was copied goes when the block ends."""
        with ExitStack() as stack:
            for source in self._places:
                place = stack.enter_context(self._store.workspaces.new("cache-"))
                if isinstance(source, Path):
                    self._add(f"local cache import at {source}", DirectoryArchive(source, place, self._store))
                else:
                    archive = stack.enter_context(self._open(source, place))
                    self._add(f"registry cache import of {source.familiar}", archive)
            self._stack = stack.pop_all()
        return self

    def _add(self, what: str, archive: Archive) -> None:
        try:
            for record in _read(archive):
                self._known.setdefault(record.key, (record, archive))
        except (DockmagicError, OSError) as error:
            self._warn(f"[Warning] {what} not found due to err: {error}")

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def find(self, key: str, parent: Digest | None) -> Layer | None:
        """The layer that this key stands for, now in the store on top of `parent`; None where there is none."""
        if key not in self._known:
            return None
        record, archive = self._known[key]
        try:
            with self._lock:
                file = _blob(archive, record.descriptor)
                self._store.adopt(file.path, record.descriptor)
            return self._snapshots.unpack(parent, record.descriptor, record.diff_id)
        except DockmagicError as error:
            self._warn(f"[Warning] a layer of an imported cache can't be used, so its step runs: {error}")
            return None


def _document_of(records: Iterable[CacheRecord]) -> dict[str, list[Mapping[str, str]]]:
    return {"records": [_json(record) for record in records]}


def _json(record: CacheRecord) -> Mapping[str, str]:
    return {
        "key": record.key,
        "kind": record.kind,
        "diffID": record.diff_id,
        "digest": record.descriptor.digest,
    }


def _read(archive: Archive) -> list[CacheRecord]:
    """All records of a cache; raises InvalidManifest, DigestMismatch."""
    file = archive.find(INDEX_FILE)
    if file is None:
        raise InvalidManifest(f"there is no {INDEX_FILE}")
    index = parse_manifest(read_document(file, DEFAULT_LIMITS, INDEX_FILE))
    if not isinstance(index, Index) or len(index.manifests) != 1:
        raise InvalidManifest("it isn't a cache that --cache-to wrote")
    manifest = parse_manifest(_document(archive, index.manifests[0]))
    if not isinstance(manifest, Manifest) or not (manifest.is_image or manifest.config.media_type == CACHE_CONFIG):
        raise InvalidManifest("it isn't a cache that --cache-to wrote")
    layers = {layer.digest: layer for layer in manifest.layers}
    config = Fields.parse(_document(archive, manifest.config), "cache config")
    if manifest.is_image:
        if INLINE not in config:
            raise InvalidManifest("it is an image that --cache-to type=inline gave no cache")
        config = config.object(INLINE)
    return [_record(fields, layers) for fields in config.objects("records")]


def _record(fields: Fields, layers: Mapping[Digest, Descriptor]) -> CacheRecord:
    digest = fields.convert("digest", Digest)
    if digest not in layers:
        fields.refuse("digest", f"the manifest has no layer {digest}")
    key, kind = fields.required_text("key"), fields.required_text("kind")
    return CacheRecord(key, kind, fields.convert("diffID", Digest), layers[digest])


def _document(archive: Archive, descriptor: Descriptor) -> bytes:
    return read_document(_blob(archive, descriptor), DEFAULT_LIMITS, descriptor.digest)


def _blob(archive: Archive, descriptor: Descriptor) -> File:
    """The file of a descriptor; raises InvalidManifest where it is missing, DigestMismatch where it's another."""
    file = archive.find(blob_path(descriptor.digest))
    if file is None:
        raise InvalidManifest(f"blob {descriptor.digest} is missing")
    if (file.digest, file.size) != (descriptor.digest, descriptor.size):
        raise DigestMismatch(f"blob {descriptor.digest}", expected=descriptor.digest, actual=file.digest)
    return file
