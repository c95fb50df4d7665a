"""The store under trouble: a full disk, killed processes, and others who build and remove on the same root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore

pytestmark = pytest.mark.root

PARTS = """
import os, sys, time
from pathlib import Path
from dockmagic.database import Database
from dockmagic.errors import DockmagicError, NotFound, StoreError
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import OCI_LAYER_GZIP
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference

root = Path(sys.argv[1])
database = Database(root / "state.db")
store = ImageStore(root, database)
snapshots = Snapshots(root, database, store, store.workspaces)

def left():
    found = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith("state.db")]
    return found + list((root / "tmp").iterdir()) + list((root / "layers").iterdir())

def fails(work):
    try:
        work()
    except StoreError as error:
        assert "No space left" in str(error) or "disk is full" in str(error), error
        return
    raise AssertionError("it should have failed")
"""

FULL_BLOB = """
def work():
    with store.ingest("text/plain") as writer:
        for _ in range(64):
            writer.write(os.urandom(1 << 16))
        writer.commit()
fails(work)
assert left() == [], left()
store.put_blob(b"fits", "text/plain")
"""

FULL_COMMIT = """
def work():
    with store.workspaces.new() as workspace:
        snapshots.prepare(None, workspace / "upper")
        (workspace / "upper" / "file").write_bytes(os.urandom(2_000_000))
        snapshots.commit(None, workspace / "upper")
fails(work)
assert left() == [], left()
with store.workspaces.new() as workspace:
    snapshots.prepare(None, workspace / "upper")
    (workspace / "upper" / "file").write_bytes(os.urandom(1_000_000))
    layer = snapshots.commit(None, workspace / "upper")
assert snapshots.get(layer.chain_id) == layer
"""

FULL_UNPACK = """
import gzip, io, tarfile
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as tar:
    member = tarfile.TarInfo("file")
    member.size = 8_000_000
    tar.addfile(member, io.BytesIO(b"x" * member.size))
blob = store.put_blob(gzip.compress(out.getvalue()), OCI_LAYER_GZIP)
fails(lambda: snapshots.unpack(None, blob, Digest.of(out.getvalue())))
assert left() == [store.blob_path(blob.digest)], left()
"""

FULL_DATABASE = """
ballast = root / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
def work():
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO build_cache (key, config, created_ns, used_ns) VALUES ('k', ?, 0, 0)", ("x" * 500_000,)
        )
fails(work)
fails(lambda: store.add_image(ImageConfig("amd64", "linux"), [], references=[Reference.parse("app")]))
assert store.list_images() == []
ballast.unlink()
work()
store.add_image(ImageConfig("amd64", "linux"), [], references=[Reference.parse("app")])
"""

COMMITTER = """
with store.workspaces.new() as workspace:
    upper = workspace / "upper"
    snapshots.prepare(None, upper)
    for number in range(60):
        (upper / f"file-{number}").write_bytes(bytes([number]) * 200_000)
        os.utime(upper / f"file-{number}", (0, 0))
    print("go", flush=True)
    layer = snapshots.commit(None, upper)
    store.add_image(ImageConfig("amd64", "linux", diff_ids=(layer.diff_id,)), [layer.descriptor],
                    references=[Reference.parse("app")])
print("done", flush=True)
"""

BUILDER = """
for number in range(40):
    with store.workspaces.new() as workspace:
        parent, layers = None, []
        for place in range(3):
            upper = workspace / str(place)
            snapshots.prepare(parent, upper)
            (upper / f"file-{place}").write_text("x")
            os.utime(upper / f"file-{place}", (0, 0))
            layers.append(snapshots.commit(parent, upper))
            parent = layers[-1].chain_id
        diff_ids = tuple(layer.diff_id for layer in layers)
        config = ImageConfig("amd64", "linux", ContainerConfig(cmd=(sys.argv[2],)), diff_ids)
        image = store.add_image(config, [layer.descriptor for layer in layers], references=[Reference.parse("app")])
        for place, path in enumerate(reversed(snapshots.lower(image.config.diff_ids))):
            assert (path / f"file-{place}").read_text() == "x"
            assert store.has_blob(layers[place].descriptor.digest)
"""

REMOVER = """
for number in range(100):
    try:
        store.remove("app", force=True)
    except NotFound:
        pass
    store.list_images()
    store.collect()
    time.sleep(0.005)
"""


def start(root: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARTS + script, str(root), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("script", [FULL_BLOB, FULL_COMMIT, FULL_UNPACK, FULL_DATABASE])
def test_full_disk(tmp_path: Path, script: str) -> None:
    mount = f'mount -t tmpfs -o size=3m,mode=700 none {tmp_path} && exec "$@"'  # gone with its namespace
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", PARTS + script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_killed_at_any_moment_of_a_commit(tmp_path: Path) -> None:
    with start(tmp_path / "whole", COMMITTER) as whole:
        assert whole.stdout is not None
        whole.stdout.readline()
        at_work = time.perf_counter()
        whole.communicate()
    duration = time.perf_counter() - at_work
    root = tmp_path / "root"
    for moment in range(10):
        kill_after(root, duration * moment / 10)
        check(root)
    with start(root, COMMITTER) as last:
        assert last.communicate() == ("go\ndone\n", "")
    check(root)


def kill_after(root: Path, delay_s: float) -> None:
    """Start a commit and kill its process this long after it began."""
    with start(root, COMMITTER) as victim:
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(delay_s)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()


def check(root: Path) -> None:
    """After a collection there are whole images and their layers, and nothing else."""
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    snapshots = Snapshots(root, database, store, store.workspaces)
    store.collect()
    assert list((root / "tmp").iterdir()) == []
    images = store.list_images()
    named = {path.name for image in images for path in snapshots.lower(image.config.diff_ids)}
    assert {path.name for path in (root / "layers").iterdir()} == named
    for name in named:
        files = sorted((root / "layers" / name).iterdir())
        assert [path.stat().st_size for path in files] == [200_000] * 60
    for image in images:
        assert len(store.read_blob(image.manifest.layers[0].digest)) == image.manifest.layers[0].size
    database.close()


def test_builders_and_removers_at_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    workers = [start(root, BUILDER, "a"), start(root, BUILDER, "b"), start(root, REMOVER)]
    outputs = [worker.communicate() for worker in workers]
    assert outputs == [("", "")] * 3
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    for image in store.list_images():
        store.remove(image.id, force=True)
    store.collect()
    assert [path for path in (root / "blobs").rglob("*") if path.is_file()] == []
    assert list((root / "layers").iterdir()) == list((root / "tmp").iterdir()) == []
    database.close()
