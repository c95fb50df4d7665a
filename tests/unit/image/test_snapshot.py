from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch, DockmagicError, InvalidLayer, NotFound, StoreError
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import OCI_LAYER, OCI_LAYER_GZIP, Descriptor
from dockmagic.oci.digest import Digest, chain_id
from tests.unit.image.conftest import MakeImage, MakeLayer

# Makes the same layers as another process that runs this at the same time.
TWIN = """
import sys
from pathlib import Path
from dockmagic.database import Database
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.reference import Reference
root = Path(sys.argv[1])
database = Database(root / "state.db")
store = ImageStore(root, database)
snapshots = Snapshots(root, database, store, store.workspaces)
parent, layers = None, []
with store.workspaces.new() as workspace:
    for number in range(20):
        upper = workspace / str(number)
        snapshots.prepare(parent, upper)
        for name in range(10):
            (upper / f"file-{number}-{name}").write_text(str(number) * 1000)
        layers.append(snapshots.commit(parent, upper))
        parent = layers[-1].chain_id
    config = ImageConfig("amd64", "linux", diff_ids=tuple(layer.diff_id for layer in layers))
    store.add_image(config, [layer.descriptor for layer in layers], references=[Reference.parse("twin")])
store.collect()
database.close()
"""


def layer_blob(store: ImageStore, **files: str) -> tuple[Descriptor, Digest]:
    """Descriptor and diff ID of a stored, plain layer archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.uid, member.gid = Path.cwd().stat().st_uid, Path.cwd().stat().st_gid
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    descriptor = store.put_blob(out.getvalue(), OCI_LAYER)
    return descriptor, descriptor.digest


def leftovers(root: Path) -> list[Path]:
    return [*(root / "tmp").iterdir(), *(root / "layers").iterdir()]


def test_upper_directory_becomes_the_layer(
    tmp_path: Path, snapshots: Snapshots, store: ImageStore, make_layer: MakeLayer
) -> None:
    base = make_layer(a="12345")
    assert base == snapshots.get(base.chain_id)
    assert (base.parent, base.chain_id, base.size_bytes) == (None, base.diff_id, 5)
    assert base.descriptor.media_type == OCI_LAYER_GZIP
    blob = store.read_blob(base.descriptor.digest)
    assert len(blob) == base.descriptor.size
    assert Digest.of(gzip.decompress(blob)) == base.diff_id
    assert (snapshots.path(base.chain_id) / "a").read_text() == "12345"
    top = make_layer(base, b="1")
    assert top.chain_id == chain_id([base.diff_id, top.diff_id])
    assert snapshots.lower([base.diff_id, top.diff_id]) == (snapshots.path(top.chain_id), snapshots.path(base.chain_id))
    assert not list(tmp_path.glob("root/upper*"))


def test_same_content_gives_the_same_layer(snapshots: Snapshots, tmp_path: Path) -> None:
    layers = []
    for name in ("one", "other"):
        upper = tmp_path / "root" / name
        snapshots.prepare(None, upper)
        (upper / "file").write_text("x")
        os.utime(upper / "file", (0, 0))
        layers.append(snapshots.commit(None, upper))
    assert layers[0] == layers[1]
    assert not (tmp_path / "root" / "one").exists()
    assert (tmp_path / "root" / "other").exists()


def test_unpack(snapshots: Snapshots, store: ImageStore) -> None:
    descriptor, diff_id = layer_blob(store, a="1234")
    layer = snapshots.unpack(None, descriptor, diff_id)
    assert layer == Layer(diff_id, None, diff_id, descriptor, 4)
    assert (snapshots.path(layer.chain_id) / "a").read_text() == "1234"
    assert snapshots.unpack(None, descriptor, diff_id) == layer
    top = snapshots.unpack(layer.chain_id, *layer_blob(store, b="1"))
    assert top.parent == layer.chain_id
    assert snapshots.get(top.chain_id) == top


def test_root_directory_keeps_its_mode_from_below(snapshots: Snapshots, store: ImageStore) -> None:
    base = snapshots.unpack(None, *layer_blob(store, a="1"))
    assert snapshots.path(base.chain_id).stat().st_mode & 0o7777 == 0o755
    snapshots.path(base.chain_id).chmod(0o1711)
    top = snapshots.unpack(base.chain_id, *layer_blob(store, b="1"))
    assert snapshots.path(top.chain_id).stat().st_mode & 0o7777 == 0o1711


def test_wrong_diff_id(tmp_path: Path, snapshots: Snapshots, store: ImageStore) -> None:
    descriptor, diff_id = layer_blob(store, a="1")
    with pytest.raises(DigestMismatch, match="expected sha256:") as caught:
        snapshots.unpack(None, descriptor, Digest.of(b"other"))
    assert caught.value.actual == diff_id
    assert leftovers(tmp_path / "root") == []


def test_bytes_after_the_archive_count(snapshots: Snapshots, store: ImageStore) -> None:
    descriptor, diff_id = layer_blob(store, a="1")
    longer = store.put_blob(store.read_blob(descriptor.digest) + b"tail", OCI_LAYER)
    with pytest.raises(DockmagicError):
        snapshots.unpack(None, longer, diff_id)


def test_damaged_blobs(tmp_path: Path, snapshots: Snapshots, store: ImageStore) -> None:
    descriptor, diff_id = layer_blob(store, a="1" * 10_000)
    packed = gzip.compress(store.read_blob(descriptor.digest))
    cut = store.put_blob(packed[:-20], OCI_LAYER_GZIP)
    with pytest.raises(InvalidLayer, match="ends too early"):
        snapshots.unpack(None, cut, diff_id)
    store.blob_path(descriptor.digest).write_bytes(b"\0" * 10_240)
    with pytest.raises(DigestMismatch):
        snapshots.unpack(None, descriptor, diff_id)
    assert leftovers(tmp_path / "root") == []


def test_blob_or_parent_missing(snapshots: Snapshots, store: ImageStore) -> None:
    descriptor, diff_id = layer_blob(store, a="1")
    with pytest.raises(NotFound, match="no such layer"):
        snapshots.unpack(Digest.of(b"parent"), descriptor, diff_id)
    lost = Digest.of(b"lost")
    with pytest.raises(NotFound, match="no such blob"):
        snapshots.unpack(None, replace(descriptor, digest=lost), lost)


def test_lower_with_a_layer_missing(snapshots: Snapshots, make_layer: MakeLayer) -> None:
    base = make_layer(a="1")
    with pytest.raises(StoreError, match="is missing from the store"):
        snapshots.lower([base.diff_id, Digest.of(b"lost")])
    assert snapshots.lower([]) == ()


def test_directory_without_a_row_is_replaced(snapshots: Snapshots, store: ImageStore) -> None:
    descriptor, diff_id = layer_blob(store, a="1")
    stray = snapshots.path(diff_id)
    (stray / "half").mkdir(parents=True)
    snapshots.unpack(None, descriptor, diff_id)
    assert [path.name for path in stray.iterdir()] == ["a"]


def test_row_without_a_directory_counts_as_absent(snapshots: Snapshots, store: ImageStore) -> None:
    layer = snapshots.unpack(None, *layer_blob(store, a="1"))
    top = snapshots.unpack(layer.chain_id, *layer_blob(store, b="1"))
    snapshots.path(layer.chain_id).rename(store.root / "tmp" / "lost")
    assert snapshots.get(layer.chain_id) is None
    assert snapshots.unpack(None, layer.descriptor, layer.diff_id) == layer
    assert snapshots.get(top.chain_id) == top


def test_a_lost_blob_comes_back_with_the_same_content(
    snapshots: Snapshots, store: ImageStore, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    layer = make_layer(a="1")
    inode = snapshots.path(layer.chain_id).stat().st_ino
    store.blob_path(layer.descriptor.digest).unlink()
    assert snapshots.get(layer.chain_id) == layer
    assert snapshots.get_whole(layer.chain_id) is None
    with store.workspaces.new() as workspace:
        shutil.copytree(snapshots.path(layer.chain_id), workspace / "upper")
        again = snapshots.commit(None, workspace / "upper")
    assert (again.diff_id, again) == (layer.diff_id, snapshots.get_whole(layer.chain_id))
    assert snapshots.path(layer.chain_id).stat().st_ino == inode, "containers may use the directory"
    assert make_image("app", layers=(again,)).id


def test_another_blob_of_the_layer_takes_the_place_of_a_lost_one(
    snapshots: Snapshots, store: ImageStore, database: Database, make_image: MakeImage
) -> None:
    descriptor, diff_id = layer_blob(store, a="1")
    layer = snapshots.unpack(None, descriptor, diff_id)
    make_image("app", layers=(layer,))
    packed = store.put_blob(gzip.compress(store.read_blob(descriptor.digest), mtime=0), OCI_LAYER_GZIP)
    assert snapshots.unpack(None, packed, diff_id) == layer
    store.blob_path(descriptor.digest).unlink()
    assert snapshots.unpack(None, packed, diff_id) == replace(layer, descriptor=packed)
    (row,) = database.query("SELECT * FROM layers")
    assert (row["digest"], row["compressed_size"], row["boot_id"]) == (packed.digest, packed.size, "")
    store.blob_path(packed.digest).unlink()
    with pytest.raises(DigestMismatch):
        snapshots.unpack(None, layer_blob(store, a="2")[0], diff_id)


def test_layer_of_an_earlier_boot_counts_only_if_an_image_brought_it_to_the_disk(
    snapshots: Snapshots, database: Database, make_layer: MakeLayer, make_image: MakeImage
) -> None:
    kept, lost = make_layer(a="1"), make_layer(b="1")
    make_image("app", layers=(kept,))
    with database.transaction() as transaction:
        transaction.execute("UPDATE layers SET boot_id = 'earlier' WHERE boot_id != ''")
    assert snapshots.get(kept.chain_id) == kept
    assert snapshots.get(lost.chain_id) is None


def test_twins_at_once(tmp_path: Path, snapshots: Snapshots, store: ImageStore) -> None:
    twins = [
        subprocess.Popen([sys.executable, "-c", TWIN, str(tmp_path / "root")], stderr=subprocess.PIPE) for _ in range(3)
    ]
    assert [twin.communicate()[1] for twin in twins] == [b""] * 3
    image = store.get("twin")
    store.collect()
    assert len(snapshots.lower(image.config.diff_ids)) == 20
    assert list((tmp_path / "root" / "tmp").iterdir()) == []
