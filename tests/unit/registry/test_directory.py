from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.errors import Conflict, StoreError
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, Manifest, dump_manifest
from dockmagic.registry.content import Document
from dockmagic.registry.directory import Directory
from dockmagic.registry.faults import Fault


def push_blob(directory: Directory, repository: str, data: bytes) -> Descriptor:
    upload = directory.uploads.begin(repository)
    upload.write([data])
    directory.adopt(upload, Digest.of(data))
    directory.uploads.end(upload)
    return Descriptor(OCI_LAYER, Digest.of(data), len(data))


def push(directory: Directory, repository: str, parsed: Manifest | Index, *tags: str) -> Digest:
    data = dump_manifest(parsed)
    digest = Digest.of(data)
    directory.put_manifest(repository, Document(parsed.media_type, digest, data), parsed, tags)
    return digest


def image(directory: Directory, repository: str, text: str = "layer", subject: Digest | None = None) -> Manifest:
    config = push_blob(directory, repository, b"{}")
    layer = push_blob(directory, repository, text.encode())
    named = None if subject is None else Descriptor(OCI_INDEX, subject, 1)
    return Manifest(Descriptor(OCI_CONFIG, config.digest, config.size), (layer,), subject=named)


def refuses(action: Callable[[], object]) -> str:
    """Code of the fault that it raises."""
    with pytest.raises(Fault) as caught:
        action()
    return caught.value.code


def test_content_lies_there_once(directory: Directory, tmp_path: Path) -> None:
    blobs = [push_blob(directory, name, b"the same") for name in ("a", "b/c")]
    assert directory.blob("a", blobs[0].digest) == directory.blob("b/c", blobs[1].digest)
    assert directory.blob("a", blobs[0].digest).read_bytes() == b"the same"
    assert directory.repositories() == ["a", "b/c"]
    assert len(list((tmp_path / "registry/blobs").glob("*/*"))) == 1


def test_content_goes_with_its_last_entry(directory: Directory, tmp_path: Path) -> None:
    digest = push_blob(directory, "a", b"x").digest
    push_blob(directory, "b", b"x")
    directory.delete_blob("a", digest)
    assert refuses(lambda: directory.blob("a", digest)) == "BLOB_UNKNOWN"
    assert directory.blob("b", digest).exists()
    directory.delete_blob("b", digest)
    assert list((tmp_path / "registry/blobs").glob("*/*")) == []
    assert refuses(lambda: directory.delete_blob("b", digest)) == "BLOB_UNKNOWN"


def test_what_isnt_its_digest_is_refused(directory: Directory) -> None:
    upload = directory.uploads.begin("a")
    upload.write([b"other"])
    assert refuses(lambda: directory.adopt(upload, Digest.of(b"this"))) == "DIGEST_INVALID"
    assert refuses(lambda: directory.blob("a", Digest.of(b"this"))) == "BLOB_UNKNOWN"


def test_mounts(directory: Directory) -> None:
    digest = push_blob(directory, "a", b"x").digest
    assert not directory.mount("b", digest, "c")
    assert not directory.mount("b", Digest.of(b"y"), None)
    assert directory.mount("b", digest, "a")
    assert directory.mount("c", digest, None)
    assert directory.blob("b", digest) == directory.blob("c", digest)


def test_tags_move_and_go(directory: Directory) -> None:
    first = push(directory, "a", image(directory, "a", "1"), "latest", "1")
    second = push(directory, "a", image(directory, "a", "2"), "latest")
    assert directory.tags("a") == ["1", "latest"]
    assert directory.manifest("a", "latest").digest == second
    directory.delete_tag("a", "latest")
    assert refuses(lambda: directory.manifest("a", "latest")) == "MANIFEST_UNKNOWN"
    assert directory.manifest("a", second).digest == second
    directory.delete_manifest("a", first)
    assert directory.tags("a") == []
    assert refuses(lambda: directory.delete_tag("a", "1")) == "MANIFEST_UNKNOWN"
    assert refuses(lambda: directory.delete_manifest("a", first)) == "MANIFEST_UNKNOWN"


def test_unknown_repositories(directory: Directory) -> None:
    assert refuses(lambda: directory.tags("a")) == "NAME_UNKNOWN"
    assert refuses(lambda: directory.manifest("a", "x")) == "MANIFEST_UNKNOWN"
    assert directory.referrers("a", Digest.of(b"")) == []
    push_blob(directory, "a/b", b"x")
    assert refuses(lambda: directory.tags("a")) == "NAME_UNKNOWN"
    assert directory.tags("a/b") == []


def test_documents_need_what_they_refer_to(directory: Directory) -> None:
    manifest = image(directory, "a")
    assert refuses(lambda: push(directory, "b", manifest, "x")) == "MANIFEST_BLOB_UNKNOWN"
    entry = Descriptor(manifest.media_type, Digest.of(dump_manifest(manifest)), 1)
    assert refuses(lambda: push(directory, "a", Index((entry,)), "x")) == "MANIFEST_BLOB_UNKNOWN"
    push(directory, "a", manifest)
    push(directory, "a", Index((entry,)), "x")
    assert directory.manifest("a", "x").media_type == OCI_INDEX


def test_layers_that_lie_elsewhere_arent_needed(directory: Directory) -> None:
    manifest = image(directory, "a")
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    elsewhere = Descriptor(kind, Digest.of(b"elsewhere"), 9, urls=("https://x.example",))
    push(directory, "a", Manifest(manifest.config, (elsewhere,)), "x")


def test_referrers_come_and_go(directory: Directory) -> None:
    subject = push(directory, "a", image(directory, "a"))
    referrer = push(directory, "a", image(directory, "a", "2", subject))
    [found] = directory.referrers("a", subject)
    assert (found.digest, found.artifact_type) == (referrer, OCI_CONFIG)
    assert directory.referrers("b", subject) == []
    directory.delete_manifest("a", referrer)
    assert directory.referrers("a", subject) == []


def test_it_is_all_there_after_a_restart(directory: Directory, tmp_path: Path) -> None:
    digest = push(directory, "a", image(directory, "a"), "x")
    orphan = tmp_path / "registry/blobs/sha256" / Digest.of(b"orphan").hex
    orphan.write_bytes(b"orphan")
    directory.uploads.begin("a").write([b"half"])
    directory.close()
    again = Directory(tmp_path / "registry")
    assert again.manifest("a", "x").digest == digest
    assert len(list((tmp_path / "registry/blobs").glob("*/*"))) == 3
    assert list((tmp_path / "registry/uploads").iterdir()) == []
    again.close()


def test_content_that_is_lost_isnt_there(directory: Directory) -> None:
    digest = push_blob(directory, "a", b"x").digest
    directory.blob("a", digest).unlink()
    assert refuses(lambda: directory.blob("a", digest)) == "BLOB_UNKNOWN"
    push_blob(directory, "a", b"x")
    assert directory.blob("a", digest).exists()


def test_one_server_has_it_at_a_time(directory: Directory, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="another server has it"):
        Directory(tmp_path / "registry")
    directory.close()
    Directory(tmp_path / "registry").close()


def test_what_something_else_has_is_left_alone(tmp_path: Path) -> None:
    """Such as the image layout of somebody who took the wrong directory."""
    layout = tmp_path / "layout"
    blob = layout / "blobs/sha256" / Digest.of(b"x").hex
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x")
    with pytest.raises(Conflict, match="it holds something else than a registry"):
        Directory(layout)
    assert blob.read_bytes() == b"x"
    assert [path.name for path in layout.iterdir()] == ["blobs"]


def test_a_place_that_cant_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use the registry's directory"):
        Directory(tmp_path / "file")
