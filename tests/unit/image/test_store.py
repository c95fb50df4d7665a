from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict, DigestMismatch, InvalidManifest, InvalidReference, NotFound, StoreError
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_LAYER, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import dump_image_config
from dockmagic.oci.manifest import Index, Manifest, dump_manifest
from dockmagic.oci.reference import Reference
from tests.unit.image.conftest import MakeImage, MakeLayer


def names(store: ImageStore, name: str) -> list[str]:
    return [reference.familiar for reference in store.get(name).references]


def test_new_image_can_be_got_in_all_ways(store: ImageStore, make_layer: MakeLayer, make_image: MakeImage) -> None:
    base = make_layer(a="12345")
    top = make_layer(base, b="123")
    image = make_image("app", "app:1", layers=(base, top), created="2024-05-01T12:00:00Z")
    assert image.id == Digest.of(store.read_blob(image.id))
    assert image.manifest_digest == Digest.of(dump_manifest(image.manifest))
    assert [layer.digest for layer in image.manifest.layers] == [base.descriptor.digest, top.descriptor.digest]
    assert image.chain_ids == (base.chain_id, top.chain_id)
    assert image.size_bytes == 8
    assert image.created == datetime(2024, 5, 1, 12, tzinfo=UTC)
    for name in ("app", "app:1", "docker.io/library/app", image.id, image.id.hex, image.id.short, image.id[:9]):
        assert store.get(name) == image
    assert store.find("other") is None


def test_adding_again_changes_nothing(store: ImageStore, make_image: MakeImage) -> None:
    assert make_image("app") == make_image("app") == make_image()
    assert len(store.list_images()) == 1


def test_name_moves_to_the_newer_image(store: ImageStore, make_image: MakeImage) -> None:
    old = make_image("app", cmd="old")
    new = make_image("app", cmd="new")
    assert store.get("app") == new
    assert store.get(old.id).references == ()


def test_newest_first(store: ImageStore, make_image: MakeImage) -> None:
    made = [
        make_image(cmd=created, created=created) for created in ("2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z", "")
    ]
    later = make_image(cmd="later")
    assert store.list_images() == [made[1], made[0], later, made[2]]


def test_pulled_bytes_are_kept(store: ImageStore) -> None:
    config = ImageConfig("amd64", "linux")
    raw_config = json.dumps(json.loads(dump_image_config(config)), indent=3).encode()
    descriptor = Descriptor(OCI_CONFIG, Digest.of(raw_config), len(raw_config))
    raw_manifest = dump_manifest(Manifest(descriptor, ())) + b"\n"
    image = store.add_image(config, [], raw_config=raw_config, raw_manifest=raw_manifest)
    assert store.read_blob(image.id) == raw_config
    assert store.read_blob(image.manifest_digest) == raw_manifest
    assert store.add_image(config, [], raw_config=raw_config).manifest_digest == image.manifest_digest
    again = store.add_image(config, [], raw_config=raw_config, raw_manifest=raw_manifest + b"\n")
    assert again.manifest_digest != image.manifest_digest


def test_manifest_of_another_image(store: ImageStore) -> None:
    other = Manifest(Descriptor(OCI_CONFIG, Digest.of(b"other"), 5), ())
    with pytest.raises(DigestMismatch, match="image config"):
        store.add_image(ImageConfig("amd64", "linux"), [], raw_manifest=dump_manifest(other))
    with pytest.raises(InvalidManifest, match="expected an image's, got an index"):
        store.add_image(ImageConfig("amd64", "linux"), [], raw_manifest=dump_manifest(Index(())))


def test_layers_must_be_as_many_and_here(store: ImageStore) -> None:
    lost = Descriptor(OCI_LAYER, Digest.of(b"lost"), 4)
    with pytest.raises(InvalidManifest, match="has 0 diff IDs, but the manifest has 1 layers"):
        store.add_image(ImageConfig("amd64", "linux"), [lost])
    with pytest.raises(NotFound, match="no such blob"):
        store.add_image(ImageConfig("amd64", "linux", diff_ids=(lost.digest,)), [lost])
    assert store.list_images() == []


def test_unknown_names(store: ImageStore) -> None:
    with pytest.raises(NotFound, match="no such image: app; `image ls` shows") as caught:
        store.get("app")
    assert (caught.value.kind, caught.value.name) == ("image", "app")
    with pytest.raises(InvalidReference):
        store.get("App")
    with pytest.raises(InvalidReference):
        store.find("sha256:x/y z")
    assert store.find("a") is None
    assert store.find("sha256:00") is None


def test_exact_name_beats_the_start_of_an_id(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image()
    named = make_image(image.id.short, cmd="other")
    assert store.get(image.id.short) == named
    assert store.get(f"sha256:{image.id.short}") == image
    assert store.get(image.id) == image


def test_ambiguous_start_of_an_id(store: ImageStore, make_image: MakeImage) -> None:
    images = [make_image(cmd=str(number)) for number in range(40)]
    starts = [image.id.hex[:2] for image in images]
    twice = next(start for start in starts if starts.count(start) > 1)
    with pytest.raises(InvalidReference, match="start of more than one image ID"):
        store.get(twice)
    with pytest.raises(InvalidReference, match="start of more than one image ID"):
        store.remove(f"sha256:{twice}")


def test_tag(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    assert store.tag("app", "host:5000/app:1") == Reference("host:5000", "app", "1")
    assert names(store, image.id) == ["app:latest", "host:5000/app:1"]
    other = make_image(cmd="other")
    store.tag(other.id.short, "app")
    assert names(store, image.id) == ["host:5000/app:1"]


def test_tag_that_cannot_be(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    with pytest.raises(NotFound):
        store.tag("other", "app")
    with pytest.raises(InvalidReference, match="a digest names content"):
        store.tag("app", f"app@{image.id}")
    with pytest.raises(InvalidReference, match="must be lower case"):
        store.tag("app", "App")
    with pytest.raises(InvalidReference, match="would be taken for an image ID"):
        store.tag("app", "sha256:12ab")


def test_damaged_image_is_named_and_can_be_removed(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    store.blob_path(image.manifest_digest).unlink()
    with pytest.raises(StoreError, match=f"image {image.id.short} is damaged; remove it"):
        store.list_images()
    assert store.remove("app") == ["Untagged: app:latest", f"Deleted: {image.id}"]
    assert store.list_images() == []


def test_adding_again_mends_a_damaged_image(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    store.blob_path(image.manifest_digest).unlink()
    store.blob_path(image.id).unlink()
    assert make_image("app") == image == store.get("app")


def test_remove_takes_layers_and_blobs_along(
    store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    base = make_layer(a="1")
    top = make_layer(base, b="2")
    make_image("base", layers=(base,))
    image = make_image("app", layers=(base, top))
    assert store.remove("app") == ["Untagged: app:latest", f"Deleted: {image.id}", f"Deleted: {top.chain_id}"]
    assert snapshots.get(top.chain_id) is None
    assert snapshots.get(base.chain_id) == base
    assert not store.has_blob(top.descriptor.digest)
    assert not snapshots.path(top.chain_id).exists()
    store.remove("base")
    assert [path for path in store.root.rglob("*") if "state.db" not in path.name and path.is_file()] == []
    assert list((store.root / "layers").iterdir()) == []


def test_remove_while_others_work_leaves_the_layers_to_them(
    store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    layer = make_layer(a="1")
    image = make_image("app", layers=(layer,))
    with store.workspaces.hold():
        assert store.remove("app") == ["Untagged: app:latest", f"Deleted: {image.id}"]
        assert snapshots.get(layer.chain_id) == layer
        make_image("again", layers=(layer,))
    assert store.collect() == []
    assert snapshots.lower([layer.diff_id]) == (snapshots.path(layer.chain_id),)


def test_remove_unknown(store: ImageStore) -> None:
    with pytest.raises(NotFound, match="no such image: app"):
        store.remove("app")


def test_remove_by_id_in_use(store: ImageStore, database: Database, make_image: MakeImage) -> None:
    image = make_image("app")
    with pytest.raises(Conflict, match="cannot be forced"):
        store.remove(image.id, force=True, in_use=[image.id])
    assert store.get("app") == image
