"""The single manifests of an image in a registry, one for each platform, fetched where they are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dockmagic.errors import InvalidManifest
from dockmagic.image.platform import platform_of
from dockmagic.image.registry import RegistryClient
from dockmagic.image.remote import RemoteImage, manifest_at, read_config
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import parse_image_config
from dockmagic.oci.manifest import Manifest

MOST_PARTS = 500


@dataclass(frozen=True, slots=True)
class RemotePart:
    """A manifest: `descriptor` points to it, with the platform of the index or else of the config; its bytes are `raw`.

    `raw_config` is empty for an artifact, and where configs weren't wanted.
    """

    descriptor: Descriptor
    manifest: Manifest
    raw: bytes = field(repr=False)
    config: ImageConfig | None = field(default=None, repr=False)
    raw_config: bytes = field(default=b"", repr=False)


def parts_of(client: RegistryClient, remote: RemoteImage, *, configs: bool = False) -> tuple[RemotePart, ...]:
    """All manifests, in the index' order. Raises RegistryError, DigestMismatch, InvalidManifest."""
    name = remote.reference.familiar
    if len(remote.entries) > MOST_PARTS:
        raise InvalidManifest(f"{name}: {len(remote.entries)} manifests; at most {MOST_PARTS} are read")
    return tuple(_parts(client, remote, configs=configs))


def _parts(client: RegistryClient, remote: RemoteImage, *, configs: bool) -> Iterator[RemotePart]:
    """One part after the other."""
    if remote.manifest is not None and not remote.is_index:
        platform = platform_of(remote.config) if remote.config is not None else None
        descriptor = Descriptor(remote.media_type, remote.digest, len(remote.raw), platform=platform)
        yield RemotePart(descriptor, remote.manifest, remote.raw, remote.config, remote.raw_config)
        return
    for entry in remote.entries:
        raw, manifest = manifest_at(client, remote.reference, entry)
        part = RemotePart(entry, manifest, raw.data)
        data = read_config(client, remote.reference, manifest) if configs else b""
        yield replace(part, config=parse_image_config(data), raw_config=data) if data else part
