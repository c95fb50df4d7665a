"""From what a reference names to one platform's image, by following indexes. Source: image-spec image-index.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dockmagic.errors import DigestMismatch, InvalidManifest
from dockmagic.image.platform import choose, describe
from dockmagic.image.registry import RawManifest, RegistryClient
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Index, Manifest, parse_manifest
from dockmagic.oci.reference import Reference

DEEPEST_INDEX: Final = 4


def resolve(
    client: RegistryClient, reference: Reference, top: RawManifest, platform: Platform
) -> tuple[RawManifest, Manifest]:
    """The manifest for the platform: `top` itself, or one that indexes lead to.

    Raises InvalidManifest where there is none, with the platforms that there are; RegistryError, DigestMismatch.
    """
    raw = top
    for _ in range(DEEPEST_INDEX):
        document = parse_manifest(raw.data, raw.media_type)
        if isinstance(document, Manifest):
            return raw, document
        known = manifests_of(document)
        entry = choose(known, platform)
        if entry is None:
            raise InvalidManifest(no_match(reference, known, platform))
        raw = client.manifest(reference, entry.digest)
        check_entry(entry, raw, reference)
    raise too_deep(reference)


def check_entry(entry: Descriptor, raw: RawManifest, reference: Reference) -> None:
    """Raise DigestMismatch or InvalidManifest unless an index's entry says of the manifest what it is."""
    what = f"manifest {entry.digest.short} of {reference.familiar}"
    if len(raw.data) != entry.size:
        raise DigestMismatch(what, expected=f"{entry.size} bytes", actual=str(len(raw.data)))
    if raw.media_type != entry.media_type:
        raise InvalidManifest(f"{what}: its mediaType is {raw.media_type!r}, but the index says {entry.media_type!r}")


def manifests_of(index: Index) -> tuple[Descriptor, ...]:
    """The entries of an index that are manifests or indexes; the specification lets us pass over others."""
    return tuple(entry for entry in index.manifests if entry.media_type in MANIFEST_TYPES + INDEX_TYPES)


def too_deep(reference: Reference) -> InvalidManifest:
    """The error of indexes that lie in each other without an end."""
    return InvalidManifest(f"{reference.familiar}: indexes lie in each other more than {DEEPEST_INDEX} deep")


def is_image_platform(platform: Platform) -> bool:
    """Whether an entry's platform is one; those of attestations are unknown/unknown."""
    return platform.os != "unknown"


def no_match(reference: Reference, entries: Iterable[Descriptor], wanted: Platform) -> str:
    """Message for an index without an entry for the platform."""
    offered = [entry.platform for entry in entries if entry.platform is not None and is_image_platform(entry.platform)]
    offers = ", ".join(dict.fromkeys(map(describe, offered))) or "nothing"
    reason = f"no matching manifest for {describe(wanted)} in the manifest list entries; it has {offers}"
    return f"{reference.familiar}: {reason}"
