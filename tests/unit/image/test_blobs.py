from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dockmagic.errors import DigestMismatch, NotFound
from dockmagic.image.blobs import BlobStore
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest

HELLO = Digest.of(b"hello")


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "root")


def files(blobs: BlobStore) -> list[Path]:
    return [path for path in blobs.root.rglob("*") if path.is_file()]


def test_what_is_put_can_be_read(blobs: BlobStore) -> None:
    assert not blobs.has_blob(HELLO)
    assert blobs.put_blob(b"hello", "text/plain") == Descriptor("text/plain", HELLO, 5)
    assert blobs.put_blob(b"hello", "text/plain") == Descriptor("text/plain", HELLO, 5)
    assert blobs.has_blob(HELLO)
    assert blobs.read_blob(HELLO) == b"hello"
    assert files(blobs) == [blobs.blob_path(HELLO)]


def test_ingest_in_pieces(blobs: BlobStore) -> None:
    with blobs.ingest("text/plain", HELLO, 5) as writer:
        assert writer.write(b"hel") == 3
        assert writer.write(memoryview(b"lo")) == 2
        assert not blobs.has_blob(HELLO)
        assert writer.commit() == Descriptor("text/plain", HELLO, 5)
    assert blobs.read_blob(HELLO) == b"hello"


def test_sha512(blobs: BlobStore) -> None:
    digest = Digest(f"sha512:{hashlib.sha512(b'hello').hexdigest()}")
    with blobs.ingest("text/plain", digest) as writer:
        writer.write(b"hello")
        assert writer.commit().digest == digest
    assert blobs.read_blob(digest) == b"hello"


@pytest.mark.parametrize(
    ("data", "size", "says"),
    [
        (b"hullo", 5, f"expected {HELLO}"),
        (b"hell", 5, "expected 5 bytes, got 4"),
        (b"hello!", 5, "expected 5 bytes, got more"),
        (b"", None, f"expected {HELLO}"),
    ],
)
def test_other_content_than_expected(blobs: BlobStore, data: bytes, size: int | None, says: str) -> None:
    def ingest() -> None:
        with blobs.ingest("text/plain", HELLO, size) as writer:
            writer.write(data)
            writer.commit()

    with pytest.raises(DigestMismatch, match=says):
        ingest()
    assert files(blobs) == []


def test_what_is_not_committed_is_gone(blobs: BlobStore) -> None:
    with blobs.ingest("text/plain") as writer:
        writer.write(b"hello")
    assert files(blobs) == []


def test_errors_of_the_source_stay_what_they_are(blobs: BlobStore) -> None:
    with pytest.raises(ConnectionResetError), blobs.ingest("text/plain"):
        raise ConnectionResetError
    assert files(blobs) == []


def test_writing_twice_keeps_the_first(blobs: BlobStore) -> None:
    with blobs.ingest("text/plain") as one, blobs.ingest("text/plain") as other:
        one.write(b"hello")
        other.write(b"hello")
        one.commit()
        inode = blobs.blob_path(HELLO).stat().st_ino
        other.commit()
    assert blobs.blob_path(HELLO).stat().st_ino == inode


def test_damage_is_seen(blobs: BlobStore) -> None:
    blobs.put_blob(b"hello", "text/plain")
    blobs.blob_path(HELLO).write_bytes(b"hullo")
    with pytest.raises(DigestMismatch):
        blobs.read_blob(HELLO)


def test_missing_blob(blobs: BlobStore) -> None:
    with pytest.raises(NotFound, match="no such blob: sha256:2cf2"):
        blobs.read_blob(HELLO)
