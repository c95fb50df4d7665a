from __future__ import annotations

from dockmagic.database import Database
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from tests.unit.image.conftest import MakeImage, MakeLayer


def test_nothing_named_is_touched(
    store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    layer = make_layer(a="1")
    image = make_image("app", layers=(layer,))
    assert store.collect() == []
    assert snapshots.get(layer.chain_id) == layer
    assert store.get("app") == image


def test_layers_and_blobs_without_an_image(store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer) -> None:
    base = make_layer(a="1")
    top = make_layer(base, b="1")
    blob = store.put_blob(b"x", "text/plain")
    assert set(store.collect()) == {base.chain_id, top.chain_id}
    assert not store.has_blob(blob.digest)
    assert not store.has_blob(base.descriptor.digest)
    assert snapshots.get(top.chain_id) is None


def test_build_cache_keeps_a_layer_and_those_below(
    store: ImageStore, snapshots: Snapshots, database: Database, make_layer: MakeLayer
) -> None:
    base = make_layer(a="1")
    top = make_layer(base, b="1")
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO build_cache (key, chain_id, created_ns, used_ns) VALUES ('k', ?, 0, 0)", (top.chain_id,)
        )
        transaction.execute("INSERT INTO build_cache (key, created_ns, used_ns) VALUES ('empty', 0, 0)")
    assert store.collect() == []
    assert snapshots.get(base.chain_id) == base
    assert store.has_blob(base.descriptor.digest)


def test_container_keeps_the_layers_of_a_removed_image(
    store: ImageStore, snapshots: Snapshots, database: Database, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    layer = make_layer(a="1")
    image = make_image("app", layers=(layer,))
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO containers (id, name, image_id, created_ns) VALUES ('c', 'burn', ?, 0)", (image.id,)
        )
    assert store.remove("app", force=True) == ["Untagged: app:latest", f"Deleted: {image.id}"]
    assert snapshots.get(layer.chain_id) == layer
    with database.transaction() as transaction:
        transaction.execute("DELETE FROM containers")
    assert store.collect() == [layer.chain_id]


def test_what_an_earlier_boot_did_not_write(
    store: ImageStore, snapshots: Snapshots, database: Database, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    written = make_layer(a="1")
    make_image("app", layers=(written,))
    lost = make_layer(written, b="1")
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO build_cache (key, chain_id, created_ns, used_ns) VALUES ('k', ?, 0, 0)", (lost.chain_id,)
        )
        transaction.execute("UPDATE layers SET boot_id = 'earlier' WHERE chain_id = ?", (lost.chain_id,))
    assert store.collect() == [lost.chain_id]
    assert not store.has_blob(lost.descriptor.digest)
    assert not snapshots.path(lost.chain_id).exists()
    assert store.has_blob(written.descriptor.digest)


def test_files_that_no_row_names(store: ImageStore, snapshots: Snapshots) -> None:
    stray = store.root / "layers" / ("0" * 64)
    (stray / "directory").mkdir(parents=True)
    blob = store.root / "blobs" / "sha256" / ("0" * 64)
    blob.parent.mkdir(parents=True)
    blob.write_text("x")
    assert store.collect() == []
    assert not stray.exists()
    assert not blob.exists()


def test_nothing_while_somebody_works(store: ImageStore, snapshots: Snapshots, make_layer: MakeLayer) -> None:
    layer = make_layer(a="1")
    with store.workspaces.hold():
        assert store.collect() == []
    assert snapshots.get(layer.chain_id) == layer
