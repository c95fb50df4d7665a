"""The parts of image.fsck: checking, inventory, mending. Whole stores are damaged in tests/integration/test_fsck.py."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict
from dockmagic.image.checking import Kind, blob_problem
from dockmagic.image.fsck import fsck
from dockmagic.image.inventory import Inventory
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import OCI_LAYER
from dockmagic.oci.digest import Digest
from tests.unit.image.conftest import MakeImage, MakeLayer


def foreign(store: ImageStore, snapshots: Snapshots, parent: Layer | None = None) -> Layer:
    """A layer of an archive that dockmagic would write in another way: another order, a directory left out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("z", "deep/down/file", "a"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    blob = store.put_blob(out.getvalue(), OCI_LAYER)
    return snapshots.unpack(None if parent is None else parent.chain_id, blob, blob.digest)


def test_an_empty_store_is_sound(database: Database, store: ImageStore, snapshots: Snapshots) -> None:
    report = fsck(database, store, snapshots, full=True)
    assert (report.images, report.layers, report.blobs, report.faults) == (0, 0, 0, ())


def test_a_foreign_archive_is_compared_by_what_it_unpacks_to(
    database: Database, store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    base = make_layer(a="1")
    layer = foreign(store, snapshots, base)
    make_image("app", layers=(base, layer))
    assert fsck(database, store, snapshots, full=True).faults == ()
    (snapshots.path(layer.chain_id) / "z").write_text("xyz")
    assert fsck(database, store, snapshots).faults == ()
    report = fsck(database, store, snapshots, full=True)
    assert [(fault.kind, fault.problem) for fault in report.repaired] == [(Kind.LAYER, "its files were changed")]
    assert (snapshots.path(layer.chain_id) / "z").read_text() == "abc"
    store.blob_path(layer.descriptor.digest).unlink()
    assert [fault.name for fault in fsck(database, store, snapshots).left] == [layer.descriptor.digest]


def test_a_layer_gives_the_blob_of_the_same_content_on_another(
    database: Database, store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    one, two = make_layer(a="1"), make_layer(b="1")
    tops = [snapshots.unpack(below.chain_id, one.descriptor, one.diff_id) for below in (one, two)]
    make_image("app", layers=(one, tops[0]))
    make_image("other", layers=(two, tops[1]))
    store.blob_path(one.descriptor.digest).unlink()
    (snapshots.path(tops[0].chain_id) / "a").unlink()
    report = fsck(database, store, snapshots)
    assert {fault.kind for fault in report.repaired} == {Kind.BLOB, Kind.LAYER}
    assert fsck(database, store, snapshots, full=True).left == report.left == ()


def test_layers_in_use_stay(
    database: Database, store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    layer = make_layer(a="1")
    image = make_image("app", layers=(layer,))
    (snapshots.path(layer.chain_id) / "a").write_text("more")
    assert fsck(database, store, snapshots, lambda: [image.id]).left
    with store.workspaces.hold(), pytest.raises(Conflict):
        fsck(database, store, snapshots)
    assert fsck(database, store, snapshots).left == ()


def test_the_inventory_has_everything_that_is_needed(
    database: Database, store: ImageStore, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    base = make_layer(a="1")
    top = make_layer(base, b="1")
    image = make_image("app", layers=(base, top))
    found = Inventory(database, store)
    assert [layer.chain_id for layer in found.from_below()] == [base.chain_id, top.chain_id]
    assert found.layers[top.chain_id].images == {"app:latest"}
    blobs = {image.id, image.manifest_digest, base.descriptor.digest, top.descriptor.digest}
    assert dict(found.blobs) == {digest: {"app:latest"} for digest in blobs}


def test_blobs(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    assert blob_problem(path, Digest.of(b"x")) == "is missing"
    path.write_bytes(b"x")
    assert blob_problem(path, Digest.of(b"x")) == ""
    assert "is damaged" in blob_problem(path, Digest.of(b"y"))
    (tmp_path / "link").symlink_to(path)
    assert blob_problem(tmp_path / "link", Digest.of(b"x")) == blob_problem(tmp_path, Digest.of(b"x")) == "is no file"
