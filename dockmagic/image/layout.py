"""What an archive of images consists of: an OCI image layout, and beside it what `docker load` looks for; pure.

A plan maps each file's path to its bytes, or to the descriptor of a blob of the store. It depends on the images and
their names only, so that the same images give the same archive. Sources: image-spec image-layout.md and annotations.md;
Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format"; containerd's annotation
io.containerd.image.name, which Docker and BuildKit write and read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, dump_manifest
from dockmagic.oci.reference import Reference

LAYOUT_FILE: Final = "oci-layout"
INDEX_FILE: Final = "index.json"
MANIFEST_FILE: Final = "manifest.json"
REPOSITORIES_FILE: Final = "repositories"
LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME: Final = "org.opencontainers.image.ref.name"
IMAGE_NAME: Final = "io.containerd.image.name"

Plan = Mapping[str, bytes | Descriptor]


@dataclass(frozen=True, slots=True)
class Saved:
    """An image to be saved under these names, which may be none; `descriptor` is its manifest's."""

    image: Image
    descriptor: Descriptor
    references: tuple[Reference, ...] = ()


def saved(store: ImageStore, image: Image, references: Sequence[Reference] = ()) -> Saved:
    """The image with the descriptor of its manifest; raises NotFound where the store has lost that."""
    size = len(store.read_blob(image.manifest_digest))
    config = image.config
    platform = Platform(config.os, config.architecture, config.variant, config.os_version)
    descriptor = Descriptor(image.manifest.media_type, image.manifest_digest, size, platform=platform)
    return Saved(image, descriptor, tuple(references))


def blob_path(digest: Digest) -> str:
    """Where a layout has the blob of this digest."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def plan_layout(images: Sequence[Saved]) -> Plan:
    """Files of the OCI layout that holds these images; an image with several names has an entry for each."""
    plan: dict[str, bytes | Descriptor] = {}
    for item in images:
        manifest = item.image.manifest
        for blob in (item.descriptor, manifest.config, *manifest.layers):
            plan[blob_path(blob.digest)] = blob
    plan[INDEX_FILE] = dump_manifest(Index(index_entries(images)))
    plan[LAYOUT_FILE] = LAYOUT
    return dict(sorted(plan.items()))


def plan_docker(images: Sequence[Saved]) -> Plan:
    """Files of the archive that `docker save` writes: the OCI layout, and beside it what older readers look for."""
    plan = dict(plan_layout(images))
    names = _names(images)
    plan[MANIFEST_FILE] = _json([_manifest_entry(item.image, names[item.image.id]) for item in _once(images)])
    repositories = _repositories(images)
    if repositories:
        plan[REPOSITORIES_FILE] = _json(repositories)
    return dict(sorted(plan.items()))


def index_entries(images: Sequence[Saved]) -> tuple[Descriptor, ...]:
    """The descriptors of an index: one for each name, and one for an image that has none."""
    names = _names(images)
    entries: list[Descriptor] = []
    for item in _once(images):
        named = [replace(item.descriptor, annotations=_annotations(name)) for name in names[item.image.id]]
        entries += named or [item.descriptor]
    return tuple(entries)


def _once(images: Sequence[Saved]) -> list[Saved]:
    """Each image once, at its first place."""
    return list({item.image.id: item for item in reversed(images)}.values())[::-1]


def _names(images: Sequence[Saved]) -> dict[Digest, tuple[Reference, ...]]:
    """All the names that each image is saved under, in their order."""
    names: dict[Digest, dict[Reference, None]] = {}
    for item in images:
        names.setdefault(item.image.id, {}).update(dict.fromkeys(item.references))
    return {image_id: tuple(found) for image_id, found in names.items()}


def _annotations(name: Reference) -> dict[str, str]:
    """The annotations that name an entry of an index."""
    return {IMAGE_NAME: str(name), REF_NAME: name.identifier}


def _manifest_entry(image: Image, names: Sequence[Reference]) -> dict[str, Any]:
    """What manifest.json says of an image."""
    return {
        "Config": blob_path(image.manifest.config.digest),
        "RepoTags": [name.familiar for name in names if name.tag] or None,
        "Layers": [blob_path(layer.digest) for layer in image.manifest.layers],
    }


def _repositories(images: Sequence[Saved]) -> dict[str, dict[str, str]]:
    """For each repository and tag the image's topmost layer, as the oldest readers want to know it."""
    found: dict[str, dict[str, str]] = {}
    for item in images:
        layers = item.image.manifest.layers
        for name in item.references:
            if name.tag and layers:
                found.setdefault(name.familiar_name, {})[name.tag] = layers[-1].digest.hex
    return found


def _json(value: Any) -> bytes:
    """JSON text without white space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
