"""What a registry has: the seam between its API and where the content lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, Manifest
from dockmagic.registry.uploads import Upload, Uploads


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index, byte for byte."""

    media_type: str
    digest: Digest
    data: bytes


class Content(Protocol):
    """What can be pulled. Any thread may call any method; what isn't there raises Fault."""

    def resolve(self, repository: str, namespace: str) -> str:
        """What a repository is called here, for a client that sees a mirror of the registry `namespace` ("": none)."""

    def repositories(self) -> list[str]:
        """Names of all repositories, sorted."""

    def tags(self, repository: str) -> list[str]:
        """Tags of a repository, sorted."""

    def manifest(self, repository: str, reference: str | Digest) -> Document:
        """The document with this tag or digest."""

    def blob(self, repository: str, digest: Digest) -> Path:
        """The file with this content."""

    def referrers(self, repository: str, subject: Digest) -> list[Descriptor]:
        """Descriptors of the documents that name this one as their subject, sorted by digest; none is no fault."""


@runtime_checkable
class Writable(Content, Protocol):
    """What can be pushed to as well."""

    uploads: Uploads

    def adopt(self, upload: Upload, digest: Digest) -> None:
        """Make a finished upload a blob of its repository; Fault where it isn't the content that the digest names."""

    def mount(self, repository: str, digest: Digest, source: str | None) -> bool:
        """Whether the repository has a blob now that `source` (None: any repository) has."""

    def put_manifest(self, repository: str, document: Document, parsed: Manifest | Index, tags: Sequence[str]) -> None:
        """Store a document and give it these tags; Fault where it refers to what the repository hasn't got."""

    def delete_tag(self, repository: str, tag: str) -> None:
        """Take a tag away; what it stood for stays."""

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Take a document away, and its tags with it."""

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Take a blob away from this repository."""
