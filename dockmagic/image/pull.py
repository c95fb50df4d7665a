"""Pull an image: from a reference in a registry to an unpacked image with a name in the store.

Manifest or index, the entry for the platform, config, layers: several are fetched at once, and unpacked from the lowest
up while they arrive. Every byte is checked against its digest and its size on the way, and every layer against its diff
ID when it is unpacked. Nothing has a name before all of it is here; what was fetched completely before an interruption
is found again by the next pull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dockmagic.errors import DigestMismatch, InvalidLayer, InvalidManifest
from dockmagic.events import OnEvent, PullFinished, PullProgress, PullStarted, ignore
from dockmagic.image.arrival import Arrival, ArrivingSource
from dockmagic.image.fetch import Fetcher
from dockmagic.image.foreign import check_addresses, is_foreign
from dockmagic.image.platform import describe, suits
from dockmagic.image.registry import CONFIG_LIMIT, RegistryClient
from dockmagic.image.resolve import resolve
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    Descriptor,
    Platform,
)
from dockmagic.oci.digest import Digest, chain_ids
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import parse_image_config
from dockmagic.oci.manifest import Manifest
from dockmagic.oci.reference import Reference

LAYER_TYPES: Final = (OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP)


def pull(
    reference: Reference,
    *,
    client: RegistryClient,
    store: ImageStore,
    snapshots: Snapshots,
    platform: Platform,
    on_event: OnEvent = ignore,
) -> Image:
    """The image that `reference` names in its registry, for `platform`; stored and unpacked, the name now its own.

    Reports the progress of each layer, and PullFinished with the digest of what the reference names. Raises
    RegistryError, DigestMismatch, InvalidManifest, InvalidLayer or StoreError; then the name is what it was before.
    """
    before = store.find(str(reference))
    transfer = _Transfer(reference, client, store, snapshots, on_event)
    with store.workspaces.hold():
        top = client.manifest(reference)
        on_event(PullStarted(reference.tag or str(reference), reference.repository))
        raw, manifest = resolve(client, reference, top, platform)
        _check_manifest(manifest, reference)
        raw_config = transfer.config(manifest.config)
        config = _checked_config(raw_config, manifest, platform, reference)
        transfer.layers(manifest, config)
        image = store.add_image(
            config, manifest.layers, references=[reference], raw_config=raw_config, raw_manifest=raw.data
        )
    updated = before is None or before.id != image.id
    on_event(PullFinished(reference.familiar, top.digest, updated))
    return image


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One pull's way from the registry to the store."""

    reference: Reference
    client: RegistryClient
    store: ImageStore
    snapshots: Snapshots
    on_event: OnEvent

    def config(self, descriptor: Descriptor) -> bytes:
        """The image config's bytes, verified."""
        if descriptor.size > CONFIG_LIMIT:
            sizes = f"{descriptor.size} bytes; at most {CONFIG_LIMIT} are allowed"
            raise InvalidManifest(f"{self.reference.familiar}: the config has {sizes}")
        with Fetcher(self.reference, self.client, self.store, ignore) as fetcher:
            fetcher.start(descriptor).wait()
        return self.store.read_blob(descriptor.digest)

    def layers(self, manifest: Manifest, config: ImageConfig) -> None:
        """Fetch all layers, and unpack them meanwhile, lowest first."""
        for descriptor in manifest.layers:
            self.on_event(PullProgress(descriptor.digest, "waiting", 0, descriptor.size))
        chains = chain_ids(config.diff_ids)
        with Fetcher(self.reference, self.client, self.store, self.on_event) as fetcher:
            arrivals = [
                None if self._is_here(descriptor, chain_id) else fetcher.start(descriptor)
                for descriptor, chain_id in zip(manifest.layers, chains, strict=True)
            ]
            parents = (None, *chains)
            for descriptor, diff_id, parent, arrival in zip(
                manifest.layers, config.diff_ids, parents[:-1], arrivals, strict=True
            ):
                self._layer(parent, descriptor, diff_id, arrival)

    def _is_here(self, descriptor: Descriptor, chain_id: Digest) -> bool:
        """Whether a layer is neither to be fetched nor to be unpacked."""
        return self.store.has_blob(descriptor.digest) and self.snapshots.get(chain_id) is not None

    def _layer(self, parent: Digest | None, descriptor: Descriptor, diff_id: Digest, arrival: Arrival | None) -> None:
        """Unpack one more layer while it arrives; one that doesn't is here."""
        digest, size = descriptor.digest, descriptor.size
        if arrival is None:
            self.on_event(PullProgress(digest, "exists", size, size))
            return

        def on_read(offset: int) -> None:
            if arrival.stored:
                self.on_event(PullProgress(digest, "extracting", min(offset, size), size))

        try:
            self.snapshots.unpack(parent, descriptor, diff_id, ArrivingSource(arrival, on_read))
        except (InvalidLayer, DigestMismatch):
            arrival.wait()  # where the blob isn't the right one, that is the reason
            if not arrival.spoilt:
                raise
            self.snapshots.unpack(parent, descriptor, diff_id, ArrivingSource(arrival, on_read))
        self.on_event(PullProgress(digest, "complete", size, size))


def _check_manifest(manifest: Manifest, reference: Reference) -> None:
    """Raise InvalidManifest for an artifact, and for layers that can't be had or read."""
    if not manifest.is_image or manifest.artifact_type:
        kind = manifest.artifact_type or manifest.config.media_type
        raise InvalidManifest(
            f"{reference.familiar} is no image but an artifact of type {kind}; no container can be made of it"
        )
    for layer in manifest.layers:
        if is_foreign(layer):
            check_addresses(layer, reference)
            continue
        if layer.media_type not in LAYER_TYPES:
            raise InvalidManifest(
                f"{reference.familiar}: layer {layer.digest.short} is of the unknown type {layer.media_type!r}; "
                "expected a tar archive, plain or compressed with gzip or zstd"
            )


def _checked_config(data: bytes, manifest: Manifest, platform: Platform, reference: Reference) -> ImageConfig:
    """The image config; raises InvalidManifest unless it is for the platform and has a diff ID for each layer."""
    config = parse_image_config(data)
    if len(config.diff_ids) != len(manifest.layers):
        counts = f"{len(manifest.layers)} layers, but the config names {len(config.diff_ids)}"
        raise InvalidManifest(f"{reference.familiar}: the manifest has {counts}; push the image again")
    offered = Platform(config.os, config.architecture, config.variant)
    if not suits(offered, platform):
        raise InvalidManifest(
            f"{reference.familiar}: the image is for {describe(offered)}, which does not run on {describe(platform)}; "
            f"choose another tag, or --platform {describe(offered)} to have it all the same"
        )
    return config
