"""Layers that registries may not serve, from the addresses in their descriptors.

Source: image-spec layer.md "Non-Distributable Layers"; Docker's manifest version 2, schema 2, `urls`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dockmagic.errors import InvalidManifest, RegistryError
from dockmagic.image.exchange import expect
from dockmagic.image.registry import BlobBody, RegistryClient
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer

_WORDS: Final = ("foreign", "nondistributable")  # parts of their media types


def is_foreign(descriptor: Descriptor) -> bool:
    """Whether a registry may not serve this layer."""
    return any(word in descriptor.media_type for word in _WORDS)


def check_addresses(descriptor: Descriptor, reference: Reference) -> None:
    """Raise InvalidManifest unless a foreign layer says where it is, and that is an https address."""
    what = f"{reference.familiar}: layer {descriptor.digest.short} is foreign ({descriptor.media_type})"
    if not descriptor.urls:
        raise InvalidManifest(
            f"{what} and doesn't say where it can be had; registries may not serve it, so it can't be pulled"
        )
    if not _addresses(descriptor):
        raise InvalidManifest(f"{what}, and none of its addresses is https: {', '.join(descriptor.urls)}")


@contextmanager
def foreign_blob(client: RegistryClient, reference: Reference, descriptor: Descriptor) -> Iterator[BlobBody]:
    """The whole layer as it arrives from the first address that has it; nobody gets credentials.

    Raises RegistryError, also while it is read.
    """
    with _first(client, reference, descriptor) as answer:
        yield BlobBody(0, answer.stored_chunks(), answer.is_delimited)


def _first(client: RegistryClient, reference: Reference, descriptor: Descriptor) -> Answer:
    """The answer of the first address that has the layer; raises the last one's error."""
    what = f"foreign layer {descriptor.digest.short}"
    *others, last = _addresses(descriptor)
    for url in others:
        try:
            return expect(client.exchange.transport.request("GET", url, {}), (200,), reference, what)
        except RegistryError:
            continue
    return expect(client.exchange.transport.request("GET", last, {}), (200,), reference, what)


def _addresses(descriptor: Descriptor) -> list[str]:
    """Those of its addresses that are safe."""
    return [url for url in descriptor.urls if urlsplit(url).scheme == "https"]
