"""Look at an image in its registry: manifest, platforms, config, layers with their sizes; nothing is pulled.

The blobs of layers aren't touched. What is shown is verified as in a pull: each document against its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dockmagic.errors import DigestMismatch, InvalidManifest
from dockmagic.image.platform import choose, describe, host_platform, platform_of, suits
from dockmagic.image.registry import CONFIG_LIMIT, RawManifest, RegistryClient
from dockmagic.image.resolve import DEEPEST_INDEX, check_entry, is_image_platform, manifests_of, no_match, too_deep
from dockmagic.image.tree import instruction_text
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import History, ImageConfig
from dockmagic.oci.image_json import parse_image_config
from dockmagic.oci.manifest import INDEX_TYPES, Index, Manifest, parse_manifest
from dockmagic.oci.reference import Reference

_MOST_INDEXES: Final = 64
_NONE: Final[tuple[Descriptor, ...]] = ()


@dataclass(frozen=True, slots=True)
class RemoteLayer:
    """An entry of the history, with the layer that it made; `empty` ones changed the config only.

    `size_bytes` is what the layer has in the registry, compressed in most cases.
    """

    instruction: str
    created: str = ""
    empty: bool = True
    size_bytes: int = 0
    digest: Digest | None = None
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """What a registry has under a name. `digest` and `media_type` are those of what the name means.

    Of an index, `entries` are its manifests, those of indexes in it included. `manifest`, with its own digest, is the
    one for the platform, None where the index has none for it; `config` is None there, and for an artifact.
    """

    reference: Reference
    digest: Digest
    media_type: str
    entries: tuple[Descriptor, ...] = ()
    manifest_digest: Digest | None = None
    manifest: Manifest | None = None
    config: ImageConfig | None = field(default=None, repr=False)
    raw: bytes = field(default=b"", repr=False)
    raw_config: bytes = field(default=b"", repr=False)

    @property
    def is_index(self) -> bool:
        """Whether the name means several manifests."""
        return self.media_type in INDEX_TYPES

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that there are images for, each once; attestations are for none."""
        offered = [platform for entry in self.entries if (platform := entry.platform) and is_image_platform(platform)]
        if not self.is_index and self.config is not None:
            offered = [platform_of(self.config)]
        return tuple(dict.fromkeys(offered))

    @property
    def artifact_type(self) -> str:
        """What the manifest is, where it is no image: "" for an image."""
        if self.manifest is None or (self.manifest.is_image and not self.manifest.artifact_type):
            return ""
        return self.manifest.artifact_type or self.manifest.config.media_type

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The descriptors of the layers, lowest first."""
        return () if self.manifest is None else self.manifest.layers

    @property
    def size_bytes(self) -> int:
        """Bytes of all layers, as they are in the registry."""
        return sum(layer.size for layer in self.layers)

    @property
    def history(self) -> tuple[RemoteLayer, ...]:
        """What made the image, lowest first; layers that the history doesn't mention have no instruction."""
        layers = iter(self.layers)
        entries = self.config.history if self.config is not None else ()
        nodes = [_node(entry, None if entry.empty_layer else next(layers, None)) for entry in entries]
        return (*nodes, *(_node(History(), layer) for layer in layers))


def look(client: RegistryClient, reference: Reference, platform: Platform | None = None) -> RemoteImage:
    """What the reference names, and the image in it for the platform: that of this machine unless one is given.

    Raises RegistryError, DigestMismatch, and InvalidManifest, also where there is nothing for a platform that is given.
    """
    top = client.manifest(reference)
    document = parse_manifest(top.data, top.media_type)
    if isinstance(document, Manifest):
        entries, raw, manifest = _NONE, top, document
    else:
        entries = tuple(_entries(client, reference, document))
        chosen = choose(entries, platform or host_platform())
        if chosen is None and platform is not None:
            raise InvalidManifest(no_match(reference, entries, platform))
        if chosen is None:
            return RemoteImage(reference, top.digest, top.media_type, entries, raw=top.data)
        raw, manifest = manifest_at(client, reference, chosen)
    raw_config = read_config(client, reference, manifest)
    config = parse_image_config(raw_config) if raw_config else None
    if config is not None and platform is not None and not suits(platform_of(config), platform):
        offered = describe(platform_of(config))
        raise InvalidManifest(f"{reference.familiar}: the image is for {offered}, not for {describe(platform)}")
    return RemoteImage(
        reference,
        top.digest,
        top.media_type,
        entries,
        raw.digest,
        manifest,
        config,
        raw=top.data,
        raw_config=raw_config,
    )


def manifest_at(client: RegistryClient, reference: Reference, entry: Descriptor) -> tuple[RawManifest, Manifest]:
    """The image manifest that an entry of an index points to. Raises as `look`."""
    raw = client.manifest(reference, entry.digest)
    manifest = parse_manifest(raw.data, raw.media_type)
    if not isinstance(manifest, Manifest):
        raise InvalidManifest(f"{reference.familiar}: {entry.digest} is an index; the one above calls it a manifest")
    check_entry(entry, raw, reference)
    return raw, manifest


def _entries(client: RegistryClient, reference: Reference, index: Index) -> Iterator[Descriptor]:
    """The manifests of an index; an index in it is replaced by what it has."""
    pending = [(entry, 1) for entry in reversed(manifests_of(index))]
    indexes = 0
    while pending:
        entry, depth = pending.pop()
        if entry.media_type not in INDEX_TYPES:
            yield entry
            continue
        indexes += 1
        if depth >= DEEPEST_INDEX or indexes > _MOST_INDEXES:
            raise too_deep(reference)
        raw = client.manifest(reference, entry.digest)
        inner = parse_manifest(raw.data, raw.media_type)
        if isinstance(inner, Index):
            pending += [(each, depth + 1) for each in reversed(manifests_of(inner))]


def read_config(client: RegistryClient, reference: Reference, manifest: Manifest) -> bytes:
    """The config's bytes, verified; nothing for an artifact. Raises as `look`."""
    if not manifest.is_image or manifest.artifact_type:
        return b""
    descriptor = manifest.config
    if descriptor.size > CONFIG_LIMIT:
        sizes = f"{descriptor.size} bytes; at most {CONFIG_LIMIT} are allowed"
        raise InvalidManifest(f"{reference.familiar}: the config has {sizes}")
    return client.exchange.patiently(lambda: _read(client, reference, descriptor))


def _read(client: RegistryClient, reference: Reference, descriptor: Descriptor) -> bytes:
    """A small blob, read once and verified."""
    data = bytearray()
    with client.blob(reference, descriptor.digest) as body:
        for chunk in body.chunks:
            data += chunk
            if len(data) > descriptor.size:
                break
        digest = descriptor.digest
        actual = f"{digest.algorithm}:{hashlib.new(digest.algorithm, data).hexdigest()}"
        if len(data) != descriptor.size or actual != digest:
            what = f"config {digest.short} of {reference.familiar}"
            raise DigestMismatch(what, expected=f"{digest} of {descriptor.size} bytes", actual=actual)
    return bytes(data)


def _node(entry: History, layer: Descriptor | None) -> RemoteLayer:
    """A history entry and its layer."""
    instruction = instruction_text(entry.created_by)
    if layer is None:
        return RemoteLayer(instruction, entry.created)
    return RemoteLayer(instruction, entry.created, False, layer.size, layer.digest, layer.media_type)
