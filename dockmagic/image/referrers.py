"""What refers to a manifest: signatures, bills of materials, attestations.

Source: distribution-spec "Listing Referrers", and its "Referrers Tag Schema" for registries without that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

from dockmagic.errors import RegistryError
from dockmagic.image.pages import MOST_NAMES, Page, Pages
from dockmagic.image.registry import RegistryClient, address
from dockmagic.image.token import Endpoint, scope
from dockmagic.oci.descriptor import OCI_INDEX, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, parse_manifest
from dockmagic.oci.reference import Reference

_NOT_THERE: Final = 404


def referrers(client: RegistryClient, reference: Reference, artifact_type: str = "") -> tuple[Descriptor, ...]:
    """Descriptors of the manifests whose subject is what the reference names, of one type or of all.

    Raises RegistryError, InvalidManifest.
    """
    digest = reference.digest or client.manifest(reference).digest
    try:
        found = _of_api(client, reference, digest, artifact_type)
    except RegistryError as error:
        if error.status != _NOT_THERE:
            raise
        found = list(_of_tag(client, reference, digest))
    return tuple(entry for entry in found if artifact_type in ("", entry.artifact_type))


def fallback_tag(digest: Digest) -> str:
    """The tag whose index lists what refers to a digest.

    >>> fallback_tag(Digest.of(b""))[:12]
    'sha256-e3b0c'
    """
    return f"{digest.algorithm[:32]}-{digest.hex[:64]}"


def _of_api(client: RegistryClient, reference: Reference, digest: Digest, artifact_type: str) -> list[Descriptor]:
    """What the registry lists."""
    what = f"referrers of {reference.familiar_name}@{digest}"
    pages = Pages(client.exchange, (scope(reference.repository),), reference.familiar_name, what, OCI_INDEX)
    query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""

    def attempt(endpoint: Endpoint) -> tuple[Endpoint, Page]:
        return endpoint, pages.page(endpoint, address(endpoint, reference, f"referrers/{digest}{query}"))

    endpoint, first = client.first(reference, attempt)
    return list(_entries(pages.from_page(endpoint, first), what))


def _entries(pages: Iterator[Page], what: str) -> Iterator[Descriptor]:
    """The entries of each page, which is an index; raises RegistryError where there are too many."""
    count = 0
    for page in pages:
        entries = _manifests(page.data)
        count += len(entries)
        if count > MOST_NAMES:
            raise RegistryError(f"the list of the {what} has more than {MOST_NAMES} entries")
        yield from entries


def _of_tag(client: RegistryClient, reference: Reference, digest: Digest) -> tuple[Descriptor, ...]:
    """What clients have noted under the fallback tag; nothing where there is no such tag."""
    try:
        raw = client.manifest(Reference(reference.registry, reference.repository, fallback_tag(digest)))
    except RegistryError as error:
        if error.status != _NOT_THERE:
            raise
        return ()
    return _manifests(raw.data)


def _manifests(data: bytes) -> tuple[Descriptor, ...]:
    """The entries of an index; none of anything else."""
    document = parse_manifest(data, OCI_INDEX)
    return document.manifests if isinstance(document, Index) else ()
