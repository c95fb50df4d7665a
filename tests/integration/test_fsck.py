"""A real store that is damaged in many ways, and what `system fsck` makes of it."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import Conflict
from dockmagic.image.checking import Kind
from dockmagic.image.fsck import Report
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import OCI_LAYER_GZIP
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.manifest import dump_manifest
from dockmagic.oci.options import RunOptions
from dockmagic.oci.reference import Reference
from tests.integration.containers import run
from tests.integration.workers import check_whole, killed_at, points_of

pytestmark = pytest.mark.root

DOCKERFILE = "FROM busybox\nRUN echo one > /one; mkdir /d; ln -s x /d/link\nRUN rm /d/link; echo two > /two\n"
Damage = Callable[[Engine, Image], None]


def sql(engine: Engine, statement: str, *values: object) -> None:
    """Change rows as somebody with an editor would: nothing is checked."""
    connection = sqlite3.connect(engine.database.path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def top_blob(engine: Engine, image: Image) -> Path:
    return engine.store.blob_path(image.manifest.layers[-1].digest)


def layer_path(engine: Engine, image: Image, position: int) -> Path:
    return engine.snapshots.path(image.chain_ids[position])


def lose_blob(engine: Engine, image: Image) -> None:
    top_blob(engine, image).unlink()


def flip_blob(engine: Engine, image: Image) -> None:
    path = top_blob(engine, image)
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def truncate_blob(engine: Engine, image: Image) -> None:
    os.truncate(top_blob(engine, image), 20)


def blob_is_a_directory(engine: Engine, image: Image) -> None:
    lose_blob(engine, image)
    top_blob(engine, image).mkdir()


def blob_is_a_link(engine: Engine, image: Image) -> None:
    path = top_blob(engine, image)
    path.rename(engine.root / "elsewhere")
    path.symlink_to(engine.root / "elsewhere")


def blob_is_a_pipe(engine: Engine, image: Image) -> None:
    lose_blob(engine, image)
    os.mkfifo(top_blob(engine, image))


def lose_layer(engine: Engine, image: Image) -> None:
    shutil.rmtree(layer_path(engine, image, 1))


def lose_all_layers(engine: Engine, image: Image) -> None:
    shutil.rmtree(engine.root / "layers")
    (engine.root / "layers").mkdir(mode=0o700)


def lose_file(engine: Engine, image: Image) -> None:
    (layer_path(engine, image, 1) / "one").unlink()


def grow_file(engine: Engine, image: Image) -> None:
    (layer_path(engine, image, 2) / "two").write_text("longer than before")


def layer_is_a_link(engine: Engine, image: Image) -> None:
    path = layer_path(engine, image, 2)
    path.rename(engine.root / "elsewhere")
    path.symlink_to(engine.root / "elsewhere")


def lose_config(engine: Engine, image: Image) -> None:
    engine.store.blob_path(image.id).unlink()


def damage_manifest(engine: Engine, image: Image) -> None:
    engine.store.blob_path(image.manifest_digest).write_text("{}")


def mix_up_rows(engine: Engine, image: Image) -> None:
    sql(engine, "UPDATE image_layers SET size_bytes = 1 WHERE image_id = ? AND position = 2", image.id)


def lose_row_of_layer(engine: Engine, image: Image) -> None:
    sql(engine, "DELETE FROM layers WHERE chain_id = ?", image.chain_ids[2])


def wrong_parent(engine: Engine, image: Image) -> None:
    sql(engine, "UPDATE layers SET parent = NULL WHERE chain_id = ?", image.chain_ids[2])


def name_of_nothing(engine: Engine, image: Image) -> None:
    sql(engine, "INSERT INTO tags VALUES ('docker.io/library/lost:latest', 'sha256:lost')")


def bad_name(engine: Engine, image: Image) -> None:
    sql(engine, "INSERT INTO tags VALUES ('///', ?)", image.id)


def cache_of_nothing(engine: Engine, image: Image) -> None:
    sql(engine, "INSERT INTO build_cache (key, chain_id, created_ns, used_ns) VALUES ('k', 'sha256:lost', 0, 0)")


def unreadable_note(engine: Engine, image: Image) -> None:
    sql(engine, "INSERT INTO build_cache (key, config, created_ns, used_ns) VALUES ('k', '{', 0, 0)")


def same_size(engine: Engine, image: Image) -> None:
    (layer_path(engine, image, 1) / "one").write_text("eno\n")


def change_mode(engine: Engine, image: Image) -> None:
    (layer_path(engine, image, 1) / "one").chmod(0o777)


def whiteout_lost(engine: Engine, image: Image) -> None:
    (layer_path(engine, image, 2) / "d/link").unlink()


REPAIRED: dict[Damage, Kind] = {
    lose_blob: Kind.BLOB,
    flip_blob: Kind.BLOB,
    truncate_blob: Kind.BLOB,
    blob_is_a_directory: Kind.BLOB,
    blob_is_a_link: Kind.BLOB,
    blob_is_a_pipe: Kind.BLOB,
    lose_config: Kind.BLOB,
    damage_manifest: Kind.BLOB,
    lose_layer: Kind.LAYER,
    lose_all_layers: Kind.LAYER,
    lose_file: Kind.LAYER,
    grow_file: Kind.LAYER,
    layer_is_a_link: Kind.LAYER,
    lose_row_of_layer: Kind.LAYER,
    wrong_parent: Kind.LAYER,
    mix_up_rows: Kind.IMAGE,
    name_of_nothing: Kind.NAME,
    bad_name: Kind.NAME,
    cache_of_nothing: Kind.CACHE,
    unreadable_note: Kind.CACHE,
}


@pytest.fixture
def app(engine: Engine) -> Image:
    """An image of busybox and two layers more, the topmost with a whiteout."""
    engine.images.bootstrap("busybox")
    return engine.build(DOCKERFILE, tags=["app"])


def works(engine: Engine) -> None:
    """The image `app` is as it was built."""
    told = run(engine, "sh", "-c", "cat /one /two; stat -c %a /one; ls /d", image="app")
    assert told.stdout == "one\ntwo\n644\n", told
    report = engine.upkeep.fsck(full=True)
    assert (report.faults, report.images) == ((), 2)


@pytest.mark.parametrize("damage", REPAIRED, ids=lambda damage: damage.__name__)
def test_what_is_repaired(engine: Engine, state_root: Path, app: Image, damage: Damage) -> None:
    damage(engine, app)
    seen = engine.upkeep.fsck(dry_run=True)
    assert REPAIRED[damage] in {fault.kind for fault in seen.faults}
    assert seen.left == seen.faults == engine.upkeep.fsck(dry_run=True).faults, "nothing was changed"
    report = engine.upkeep.fsck()
    assert report.faults == seen.faults == report.repaired
    works(engine)
    check_whole(state_root)


@pytest.mark.parametrize("damage", [same_size, change_mode, whiteout_lost], ids=lambda damage: damage.__name__)
def test_what_only_a_full_check_finds(engine: Engine, app: Image, damage: Damage) -> None:
    damage(engine, app)
    assert engine.upkeep.fsck().faults == ()
    report = engine.upkeep.fsck(full=True)
    assert [fault.kind for fault in report.repaired] == [Kind.LAYER]
    assert report.left == ()
    works(engine)


def kinds(report: Report) -> list[tuple[Kind, str]]:
    return [(fault.kind, fault.name) for fault in report.left]


def test_a_layer_and_its_archive_are_lost(engine: Engine, app: Image) -> None:
    lose_blob(engine, app)
    shutil.rmtree(layer_path(engine, app, 2))
    report = engine.upkeep.fsck()
    assert kinds(report) == [(Kind.BLOB, app.manifest.layers[2].digest), (Kind.LAYER, app.chain_ids[2])]
    assert [fault.images for fault in report.left] == [("app:latest",)] * 2
    assert run(engine, "echo", "here").stdout == "here\n", "others go on"
    engine.build(DOCKERFILE, tags=["app"])
    engine.images.rm(app.id, force=True)
    works(engine)


def test_a_pulled_image_without_its_config(engine: Engine, app: Image) -> None:
    data = gzip.compress(gzip.decompress(top_blob(engine, app).read_bytes()), mtime=5)
    with engine.workspaces.hold():
        layer = engine.snapshots.unpack(None, engine.store.put_blob(data, OCI_LAYER_GZIP), app.config.diff_ids[2])
        pulled = engine.store.add_image(
            ImageConfig("amd64", "linux", diff_ids=(layer.diff_id,), author="somebody"),
            [layer.descriptor],
            references=[Reference.parse("pulled")],
        )
    assert engine.upkeep.fsck(full=True).faults == ()
    lose_config(engine, pulled)
    engine.store.blob_path(layer.descriptor.digest).unlink()
    report = engine.upkeep.fsck()
    assert kinds(report) == sorted((Kind.BLOB, digest) for digest in (pulled.id, layer.descriptor.digest))
    engine.images.rm(pulled.id, force=True)
    works(engine)


def test_manifests_that_a_build_didnt_make_stay_lost(engine: Engine, app: Image) -> None:
    raw = dump_manifest(app.manifest) + b"\n"
    image = engine.store.add_image(
        app.config, app.manifest.layers, raw_config=engine.store.read_blob(app.id), raw_manifest=raw
    )
    engine.store.blob_path(image.manifest_digest).unlink()
    assert kinds(engine.upkeep.fsck()) == [(Kind.BLOB, image.manifest_digest)]


def test_what_only_the_cache_has_is_forgotten(engine: Engine, state_root: Path, app: Image) -> None:
    shutil.rmtree(layer_path(engine, app, 1))
    engine.store.blob_path(app.manifest.layers[1].digest).unlink()
    engine.images.rm("app")
    report = engine.upkeep.fsck()
    assert [fault.kind for fault in report.repaired] == [Kind.BLOB, Kind.LAYER]
    assert report.left == ()
    check_whole(state_root)
    engine.build(DOCKERFILE, tags=["app"])
    works(engine)


def test_layers_of_running_containers_stay(engine: Engine, app: Image) -> None:
    container = engine.containers.run_detached("app", RunOptions(command=("sleep", "60"), name="busy"))
    grow_file(engine, app)
    inode = layer_path(engine, app, 2).stat().st_ino
    assert kinds(engine.upkeep.fsck()) == [(Kind.LAYER, app.chain_ids[2])]
    assert layer_path(engine, app, 2).stat().st_ino == inode
    container.rm(force=True)
    assert engine.upkeep.fsck().left == ()
    works(engine)


def test_nothing_is_repaired_beside_a_build(engine: Engine, app: Image) -> None:
    assert engine.upkeep.fsck().faults == ()
    lose_layer(engine, app)
    with engine.workspaces.hold():
        assert engine.upkeep.fsck(dry_run=True).left
        with pytest.raises(Conflict, match="try again after that"):
            engine.upkeep.fsck()
    assert engine.upkeep.fsck().left == ()
    works(engine)


def test_a_repair_that_is_killed_is_done_by_the_next(engine: Engine, state_root: Path, app: Image) -> None:
    def flip_config(engine: Engine, image: Image) -> None:
        engine.store.blob_path(image.id).write_text("{}")

    lose_file(engine, app)
    flip_config(engine, app)
    points = points_of(state_root, "engine.upkeep.fsck()")
    works(engine)
    for time in range(7):
        lose_file(engine, app)
        flip_config(engine, app)
        assert killed_at(state_root, "engine.upkeep.fsck()", 1 + time * (points - 1) // 6)
        with Engine(state_root) as other:
            assert other.upkeep.fsck().left == ()
        works(engine)
    check_whole(state_root)


def test_the_command(engine: Engine, app: Image) -> None:
    def fsck(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "dockmagic", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    status, text = fsck("system", "fsck", "--full")
    assert (status, text.endswith("blobs checked: all is well.\n")) == (0, True)
    lose_layer(engine, app)
    status, text = fsck("fsck", "--dry-run")
    assert status == 1
    assert f"layer {app.chain_ids[1]} (app:latest) its directory is missing" in text
    status, text = fsck("fsck")
    assert (status, "1 fault repaired, 0 left" in text) == (0, True)
    lose_blob(engine, app)
    shutil.rmtree(layer_path(engine, app, 2))
    status, text = fsck("fsck")
    assert (status, "get app:latest again: pull it, or build it" in text) == (1, True)
