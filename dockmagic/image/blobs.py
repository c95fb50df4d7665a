"""The content store: blobs by digest, written once. Source: image-spec image-layout.md "Blobs".

A blob is written under a temporary name, checked, brought to the disk and renamed: under its digest there is never
anything but the content that the digest names. Blobs of layers that are made here come to the disk with their image,
all at once; what a loss of power leaves of them is collected before anybody uses the store again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dockmagic.errors import DigestMismatch, NotFound
from dockmagic.image.workspace import Workspaces, store_errors
from dockmagic.linux.sync import fsync
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest


class BlobWriter:
    """A blob on its way into the store; `commit` makes it part of it."""

    def __init__(
        self, blobs: BlobStore, path: Path, media_type: str, expected: Digest | None, size: int | None
    ) -> None:
        self._blobs = blobs
        self.path = path
        self._media_type = media_type
        self._expected = expected
        self._expected_size = size
        self._hash = hashlib.new(expected.algorithm if expected else "sha256")
        self._file: BinaryIO = path.open("wb", buffering=0)
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes; raises DigestMismatch as soon as there are more than expected, StoreError where they don't fit."""
        self.size += len(data)
        if self._expected_size is not None and self.size > self._expected_size:
            self._refuse_size("more")
        self._hash.update(data)
        with store_errors("write a blob"):
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        return len(data)

    def restart(self) -> None:
        """Forget all that was written."""
        with store_errors("write a blob"):
            self._file.seek(0)
            self._file.truncate()
        self._hash = hashlib.new(self._hash.name)
        self.size = 0

    def commit(self) -> Descriptor:
        """Descriptor of the blob, which is in the store now; raises DigestMismatch unless it is the expected one."""
        digest = Digest(f"{self._hash.name}:{self._hash.hexdigest()}")
        if self._expected_size is not None and self.size != self._expected_size:
            self._refuse_size(str(self.size))
        if self._expected is not None and digest != self._expected:
            raise DigestMismatch("blob", expected=self._expected, actual=digest)
        self.close()
        descriptor = Descriptor(self._media_type, digest, self.size)
        self._blobs.adopt(self.path, descriptor)
        return descriptor

    def close(self) -> None:
        """Close the temporary file."""
        self._file.close()

    def _refuse_size(self, actual: str) -> None:
        """Raise the DigestMismatch of a blob of another size."""
        raise DigestMismatch(
            f"blob {self._expected or ''}".rstrip(), expected=f"{self._expected_size} bytes", actual=actual
        )


class BlobStore:
    """The directory `blobs` of a state root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspaces = Workspaces(root)
        self._directory = root / "blobs"

    def blob_path(self, digest: Digest) -> Path:
        """Where the blob is, or would be."""
        return Path(f"{self._directory}/{digest.replace(':', '/', 1)}")

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is here."""
        return self.blob_path(digest).exists()

    def read_blob(self, digest: Digest) -> bytes:
        """The blob's bytes, checked; for small ones. Raises NotFound or DigestMismatch."""
        try:
            data = self.blob_path(digest).read_bytes()
        except FileNotFoundError as error:
            raise NotFound("blob", digest, "the store is incomplete; pull or build the image again") from error
        actual = f"{digest.algorithm}:{hashlib.new(digest.algorithm, data).hexdigest()}"
        if actual != digest:
            raise DigestMismatch(f"blob in {self._directory}", expected=digest, actual=actual)
        return data

    def put_blob(self, data: bytes, media_type: str) -> Descriptor:
        """Descriptor of these bytes, which are in the store afterwards; idempotent."""
        descriptor = Descriptor(media_type, Digest.of(data), len(data))
        if not self.has_blob(descriptor.digest):
            with self.ingest(media_type) as writer:
                writer.write(data)
                writer.commit()
        return descriptor

    @contextmanager
    def ingest(self, media_type: str, expected: Digest | None = None, size: int | None = None) -> Iterator[BlobWriter]:
        """Writer of a new blob; what isn't committed at the end is gone."""
        with self.workspaces.new("blob-") as workspace:
            with store_errors("write a blob"):
                writer = BlobWriter(self, workspace / "blob", media_type, expected, size)
            try:
                yield writer
            finally:
                writer.close()

    @contextmanager
    def receive(self, descriptor: Descriptor, wait: Callable[[], None]) -> Iterator[BlobWriter | None]:
        """Writer of a blob that nobody else writes meanwhile, in any process; None where it is here.

        While another one writes it, calls `wait` again and again, which may raise.
        """
        if self.has_blob(descriptor.digest):
            yield None
            return
        name = f"blob-{descriptor.digest.algorithm}-{descriptor.digest.hex}"
        with self.workspaces.claim(name, wait) as workspace:
            if self.has_blob(descriptor.digest):
                yield None
                return
            with store_errors("write a blob"):
                path = workspace / "blob"
                writer = BlobWriter(self, path, descriptor.media_type, descriptor.digest, descriptor.size)
            try:
                yield writer
            finally:
                writer.close()

    def adopt(self, path: Path, descriptor: Descriptor, *, durable: bool = True) -> None:
        """Move a finished file of a workspace into the store; the caller vouches for its digest. Idempotent.

        One that isn't `durable` may be lost with the power, and even be damaged afterwards: a layer's row tells so.
        """
        target = self.blob_path(descriptor.digest)
        if target.exists():
            return
        with store_errors(f"store blob {descriptor.digest}"):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if durable:
                fsync(path)
            path.rename(target)  # the name may be lost with the power as long as no image needs it
