"""Images in installed Python packages: what they offer, and taking it into the store, without any network.

A package says with an entry point of the group `dockmagic.images` where it has an OCI layout; `wheel` makes such ones.
Nothing of it is imported. What it offers is checked as all that is pulled: every blob against its digest, every layer
against its diff ID.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from typing import Final

from dockmagic.errors import DigestMismatch, InvalidManifest, InvalidReference
from dockmagic.events import Event, OnEvent, PullFinished, PullProgress, ignore
from dockmagic.image.layout import IMAGE_NAME, INDEX_FILE
from dockmagic.image.limits import DEFAULT_LIMITS
from dockmagic.image.load import load_one
from dockmagic.image.platform import choose
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.wheel import GROUP, LAYOUT_DIRECTORY
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.manifest import Index, parse_manifest
from dockmagic.oci.reference import Reference

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that an installed package has under this name; `directory` is the layout that it is in."""

    reference: Reference
    descriptor: Descriptor
    package: str
    version: str
    directory: Path


def offers() -> list[Offer]:
    """All that installed packages offer, sorted by name; of one that is damaged nothing."""
    found: list[Offer] = []
    for point in entry_points(group=GROUP):
        if point.dist is not None and _MODULE.fullmatch(point.value):
            with suppress(InvalidManifest, OSError):
                found += _offers(point.dist, point.value)
    return sorted(found, key=lambda offer: (str(offer.reference), offer.package))


def find_offer(reference: Reference, platform: Platform) -> Offer | None:
    """The offer of this name, tag or digest, for the platform; None where there is none."""
    named = [offer for offer in offers() if _is_meant(offer, reference)]
    chosen = choose([offer.descriptor for offer in named], platform)
    return next((offer for offer in named if offer.descriptor is chosen), None)


def take(
    offer: Offer,
    reference: Reference,
    *,
    store: ImageStore,
    snapshots: Snapshots,
    platform: Platform,
    on_event: OnEvent = ignore,
) -> Image:
    """The image of an offer, stored and unpacked, the name now its own; reports its layers, and PullFinished.

    Raises DigestMismatch, InvalidManifest, InvalidLayer or StoreError; then the name is what it was before.
    """
    before = store.find(str(reference))
    try:
        image = load_one(
            offer.directory,
            offer.descriptor.digest,
            store=store,
            snapshots=snapshots,
            platform=platform,
            references=[reference],
            on_event=lambda event: on_event(_told(event, offer)),
        )
    except (DigestMismatch, InvalidManifest) as error:
        error.args = (f"{error}; the package {offer.package} is damaged, install it again",)
        raise
    updated = before is None or before.id != image.id
    on_event(PullFinished(reference.familiar, offer.descriptor.digest, updated))
    return image


def _told(event: Event, offer: Offer) -> Event:
    """The event of a load as that of a pull."""
    if not isinstance(event, PullProgress):
        return event
    if event.status == "loaded":
        return replace(event, status="complete")
    return replace(event, detail=f"from the package {offer.package} {offer.version}")


def _offers(distribution: Distribution, module: str) -> list[Offer]:
    """What a package offers; raises InvalidManifest, OSError."""
    directory = Path(str(distribution.locate_file(module.replace(".", "/")))) / LAYOUT_DIRECTORY
    file = directory / INDEX_FILE
    if file.stat().st_size > DEFAULT_LIMITS.max_document_bytes:
        raise InvalidManifest(f"{file} is too long for an index")
    index = parse_manifest(file.read_bytes())
    entries: Sequence[Descriptor] = index.manifests if isinstance(index, Index) else ()
    named = [(_name(entry), entry) for entry in entries]
    return [
        Offer(name, entry, distribution.metadata["Name"], distribution.version, directory)
        for name, entry in named
        if name is not None
    ]


def _name(entry: Descriptor) -> Reference | None:
    """The name in an entry's annotations."""
    try:
        return Reference.parse(entry.annotations.get(IMAGE_NAME, ""))
    except InvalidReference:
        return None


def _is_meant(offer: Offer, reference: Reference) -> bool:
    """Whether a reference means what is offered: the same name, or the digest in the same repository."""
    if reference.digest is not None:
        return offer.reference.name == reference.name and offer.descriptor.digest == reference.digest
    return offer.reference == reference
