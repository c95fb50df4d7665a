"""The images of an engine's own store, to be pulled by others. Nothing is copied: the blobs are the store's.

A repository is what a registry would call it: docker.io/library/busybox is `busybox` and `library/busybox`, and
ghcr.io/team/app is `team/app` and, since several registries may have one, `ghcr.io/team/app`.
"""

from __future__ import annotations

from pathlib import Path

from dockmagic.errors import DockmagicError
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import DEFAULT_REGISTRY, OFFICIAL, Reference
from dockmagic.registry.content import Document
from dockmagic.registry.faults import Fault
from dockmagic.registry.routes import is_repository


class Shared:
    """A registry's content, read from a store at every request: what is built or removed meanwhile is seen at once."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def resolve(self, repository: str, namespace: str) -> str:
        """The name together with its registry, where an image of that is here; else the name itself."""
        named = f"{namespace}/{repository}"
        return named if namespace and any(named == reference.name for reference, _ in self._named()) else repository

    def repositories(self) -> list[str]:
        """The shortest name of each repository, sorted."""
        return sorted({_names(reference)[0] for reference, _ in self._named()})

    def tags(self, repository: str) -> list[str]:
        """Tags of a repository, sorted; raises Fault."""
        tags = {reference.tag for reference, _ in self._of(repository) if reference.tag}
        if not tags:
            raise Fault("NAME_UNKNOWN", f"there is no repository {repository}")
        return sorted(tags)

    def manifest(self, repository: str, reference: str | Digest) -> Document:
        """The manifest with this tag or digest; raises Fault."""
        for name, image in self._of(repository):
            if reference in (name.tag, image.manifest_digest):
                try:
                    data = self._store.read_blob(image.manifest_digest)
                except DockmagicError:  # removed at this moment, or damaged
                    break
                return Document(image.manifest.media_type, image.manifest_digest, data)
        raise Fault("MANIFEST_UNKNOWN", f"{repository} has no manifest {reference}")

    def blob(self, repository: str, digest: Digest) -> Path:
        """The store's file with this content; raises Fault."""
        for _, image in self._of(repository):
            parts = (image.manifest.config, *image.manifest.layers)
            if digest == image.manifest_digest or any(part.digest == digest for part in parts):
                return self._store.blob_path(digest)
        raise Fault("BLOB_UNKNOWN", f"{repository} has no blob {digest}")

    def referrers(self, repository: str, subject: Digest) -> list[Descriptor]:
        """None: a store has images only."""
        return []

    def _of(self, repository: str) -> list[tuple[Reference, Image]]:
        """The named images of a repository, those of Docker Hub first."""
        return [(reference, image) for reference, image in self._named() if repository in _names(reference)]

    def _named(self) -> list[tuple[Reference, Image]]:
        """All names of images, with what they stand for: Docker Hub's first."""
        found = [(reference, image) for image in self._store.list_images() for reference in image.references]
        return sorted(found, key=lambda item: (item[0].registry != DEFAULT_REGISTRY, str(item[0])))


def _names(reference: Reference) -> tuple[str, ...]:
    """What the repository of a reference is called here, the shortest name first."""
    names = [reference.repository, reference.name]
    if reference.registry == DEFAULT_REGISTRY:
        names = [reference.repository.removeprefix(OFFICIAL), *names]
    return tuple(dict.fromkeys(name for name in names if is_repository(name)))
