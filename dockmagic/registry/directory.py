"""What a registry keeps in a directory. Source: distribution-spec.

    blobs/sha256/<hex>                            content of any repository, once
    repositories/<name>/_blobs/sha256/<hex>       an empty file: the repository has this blob
    repositories/<name>/_manifests/sha256/<hex>   the media type of a document of this repository
    repositories/<name>/_tags/<tag>               the digest of what the tag stands for
    repositories/<name>/_referrers/sha256/<hex of the subject>/sha256-<hex of the document>
    uploads/                                      what is on its way
    lock                                          held by the server that has the directory

A file has its name only once it is whole and on the disk, and something is here if both its entry and its content are:
a crash leaves nothing but content without an entry, which the next start takes away.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from dockmagic.errors import Conflict
from dockmagic.image.workspace import store_errors
from dockmagic.linux.sync import fsync
from dockmagic.oci.descriptor import DOCKER_MANIFEST, OCI_MANIFEST, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, Manifest, parse_manifest
from dockmagic.registry.content import Document
from dockmagic.registry.faults import Fault
from dockmagic.registry.uploads import Upload, Uploads, write_whole

_LOCK: Final = "lock"
_BLOBS: Final = "_blobs"
_MANIFESTS: Final = "_manifests"
_TAGS: Final = "_tags"
_REFERRERS: Final = "_referrers"
_NONDISTRIBUTABLE: Final = ("nondistributable", "foreign")  # in the media types of layers that lie elsewhere


class Directory:
    """A registry's content; one server has a directory at a time. `close` lets it go."""

    def __init__(self, directory: Path) -> None:
        """Raises Conflict for a directory that another server or something else has, StoreError for an unfit one."""
        self._content = directory / "blobs"
        self._repositories = directory / "repositories"
        self._lock = threading.RLock()  # held while entries and contents are brought together
        with store_errors(f"use the registry's directory {directory}"), ExitStack() as stack:
            _check_ours(directory)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = _hold(directory)
            stack.callback(os.close, self._held)
            for path in (self._content, self._repositories):
                path.mkdir(exist_ok=True)
            self.uploads = Uploads(directory / "uploads")
            self._collect()
            stack.pop_all()

    def close(self) -> None:
        """Give up what is on its way, and let the directory go; idempotent."""
        self.uploads.close()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def resolve(self, repository: str, namespace: str) -> str:
        """The name itself: what is here came here under its name."""
        return repository

    def repositories(self) -> list[str]:
        """Names of all repositories that have a document or a blob, sorted."""
        return sorted(self._names())

    def tags(self, repository: str) -> list[str]:
        """Tags of a repository, sorted; raises Fault for an unknown one."""
        if not any((self._repositories / repository / kind).is_dir() for kind in (_MANIFESTS, _BLOBS)):
            raise Fault("NAME_UNKNOWN", f"there is no repository {repository}")
        directory = self._repositories / repository / _TAGS
        return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []

    def manifest(self, repository: str, reference: str | Digest) -> Document:
        """The document with this tag or digest; raises Fault."""
        digest = reference if isinstance(reference, Digest) else self._tagged(repository, reference)
        try:
            media_type = self._entry(repository, _MANIFESTS, digest).read_text()
            return Document(media_type, digest, self._place(digest).read_bytes())
        except FileNotFoundError:
            raise _unknown_manifest(repository, reference) from None

    def blob(self, repository: str, digest: Digest) -> Path:
        """The file with this content; raises Fault. Documents are blobs too."""
        if not self._has(repository, digest, _BLOBS) and not self._has(repository, digest, _MANIFESTS):
            raise Fault("BLOB_UNKNOWN", f"{repository} has no blob {digest}")
        return self._place(digest)

    def referrers(self, repository: str, subject: Digest) -> list[Descriptor]:
        """Descriptors of the documents that name this one as their subject, sorted by digest."""
        directory = self._entry(repository, _REFERRERS, subject)
        if not directory.is_dir():
            return []
        found: list[Descriptor] = []
        for path in sorted(directory.iterdir()):
            with suppress(Fault):  # taken away at this moment
                found.append(_described(self.manifest(repository, Digest(path.name.replace("-", ":", 1)))))
        return found

    def adopt(self, upload: Upload, digest: Digest) -> None:
        """Make a finished upload a blob of its repository; raises Fault where it isn't the right content."""
        actual = upload.digest(digest.algorithm)
        if actual != digest:
            raise Fault("DIGEST_INVALID", f"the content is {actual}, and not {digest}")
        fsync(upload.path)
        with self._lock:
            self._keep(upload.path, digest)
            self._write(self._entry(upload.repository, _BLOBS, digest), b"")

    def mount(self, repository: str, digest: Digest, source: str | None) -> bool:
        """Whether the repository has a blob now that `source` (None: any repository) has."""
        with self._lock:
            sources = self._names() if source is None else (source,)
            if not any(self._has(name, digest, _BLOBS) for name in sources):
                return False
            self._write(self._entry(repository, _BLOBS, digest), b"")
            return True

    def put_manifest(self, repository: str, document: Document, parsed: Manifest | Index, tags: Sequence[str]) -> None:
        """Store a document and give it these tags; raises Fault where it refers to what the repository hasn't got."""
        with self._lock:
            for kind, digest in _parts(parsed):
                if not self._has(repository, digest, kind):
                    raise Fault("MANIFEST_BLOB_UNKNOWN", f"{repository} has no {digest}, which the document refers to")
            if not self._place(document.digest).exists():
                self._write(self._place(document.digest), document.data)
            if parsed.subject is not None:
                self._write(self._referrer(repository, parsed.subject.digest, document.digest), b"")
            self._write(self._entry(repository, _MANIFESTS, document.digest), document.media_type.encode())
            for tag in tags:
                self._write(self._repositories / repository / _TAGS / tag, document.digest.encode())

    def delete_tag(self, repository: str, tag: str) -> None:
        """Take a tag away; what it stood for stays. Raises Fault."""
        try:
            (self._repositories / repository / _TAGS / tag).unlink()
        except FileNotFoundError:
            raise _unknown_manifest(repository, tag) from None

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Take a document away, and its tags with it; raises Fault."""
        with self._lock:
            document = self.manifest(repository, digest)
            for tag in self.tags(repository):
                if self._tagged(repository, tag) == digest:
                    self.delete_tag(repository, tag)
            subject = parse_manifest(document.data, document.media_type).subject
            if subject is not None:
                self._referrer(repository, subject.digest, digest).unlink(missing_ok=True)
            self._entry(repository, _MANIFESTS, digest).unlink()
            self._drop(digest)

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Take a blob away from this repository; raises Fault."""
        with self._lock:
            try:
                self._entry(repository, _BLOBS, digest).unlink()
            except FileNotFoundError:
                raise Fault("BLOB_UNKNOWN", f"{repository} has no blob {digest}") from None
            self._drop(digest)

    def _names(self) -> Iterator[str]:
        """Names of all repositories."""
        for path, directories, _ in os.walk(self._repositories):
            if _MANIFESTS in directories or _BLOBS in directories:
                yield str(Path(path).relative_to(self._repositories))
            directories[:] = [name for name in directories if not name.startswith("_")]

    def _place(self, digest: Digest) -> Path:
        """Where the content of a digest is, or would be."""
        return self._content / digest.algorithm / digest.hex

    def _entry(self, repository: str, kind: str, digest: Digest) -> Path:
        """What says that a repository has a digest."""
        return self._repositories / repository / kind / digest.algorithm / digest.hex

    def _referrer(self, repository: str, subject: Digest, digest: Digest) -> Path:
        """What says that a document names a subject."""
        return self._entry(repository, _REFERRERS, subject) / digest.replace(":", "-")

    def _has(self, repository: str, digest: Digest, kind: str) -> bool:
        """Whether a repository has a blob or a document, as an entry and as content."""
        return self._entry(repository, kind, digest).exists() and self._place(digest).exists()

    def _tagged(self, repository: str, tag: str) -> Digest:
        """What a tag stands for; raises Fault."""
        try:
            return Digest((self._repositories / repository / _TAGS / tag).read_text())
        except FileNotFoundError:
            raise _unknown_manifest(repository, tag) from None

    def _keep(self, path: Path, digest: Digest) -> None:
        """Give content its name, unless it is here already."""
        place = self._place(digest)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)

    def _write(self, path: Path, data: bytes) -> None:
        """Write a whole file."""
        write_whole(path, data, self.uploads.spare())

    def _drop(self, digest: Digest) -> None:
        """Take content away that no repository has an entry for any more."""
        if not any(self._entry(name, kind, digest).exists() for name in self._names() for kind in (_BLOBS, _MANIFESTS)):
            self._place(digest).unlink(missing_ok=True)

    def _collect(self) -> None:
        """Take away all content without an entry: what a crash left."""
        known = {
            (path.parent.name, path.name)
            for name in self._names()
            for kind in (_BLOBS, _MANIFESTS)
            for path in (self._repositories / name / kind).glob("*/*")
        }
        for path in self._content.glob("*/*"):
            if (path.parent.name, path.name) not in known:
                path.unlink()


def _check_ours(directory: Path) -> None:
    """Raise Conflict for a directory that holds something else: an image layout would lose all its blobs."""
    if directory.exists() and not (directory / _LOCK).exists() and any(directory.iterdir()):
        why = "it holds something else than a registry; choose an empty directory"
        raise Conflict("registry directory", str(directory), why)


def _hold(directory: Path) -> int:
    """Descriptor that keeps other servers out of the directory; raises Conflict where one has it."""
    held = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        why = "another server has it; stop that one, or choose another directory"
        raise Conflict("registry directory", str(directory), why) from None
    return held


def _parts(parsed: Manifest | Index) -> Iterator[tuple[str, Digest]]:
    """What a document refers to and its repository must have: kind and digest."""
    if isinstance(parsed, Index):
        yield from ((_MANIFESTS, entry.digest) for entry in parsed.manifests)
        return
    yield _BLOBS, parsed.config.digest
    for layer in parsed.layers:
        if not any(word in layer.media_type for word in _NONDISTRIBUTABLE):
            yield _BLOBS, layer.digest


def _described(document: Document) -> Descriptor:
    """The descriptor of a document as the referrers API shows it."""
    parsed = parse_manifest(document.data, document.media_type)
    kind = parsed.artifact_type
    if not kind and isinstance(parsed, Manifest) and parsed.media_type in (OCI_MANIFEST, DOCKER_MANIFEST):
        kind = parsed.config.media_type
    return Descriptor(
        document.media_type, document.digest, len(document.data), annotations=parsed.annotations, artifact_type=kind
    )


def _unknown_manifest(repository: str, reference: str) -> Fault:
    return Fault("MANIFEST_UNKNOWN", f"{repository} has no manifest {reference}")
