"""Images cross in both directions between archives of ours and those of skopeo, umoci, podman and buildah."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.image.archive_write import save_docker, save_oci, write_layout
from dockmagic.image.layout import Saved
from dockmagic.image.load import Loaded, load
from tests.integration.peers import Command, files_of, make_image, run, storage
from tests.integration.registry_fixture import StateRoot, skopeo, state_root
from tests.integration.trees import describe

pytestmark = pytest.mark.root
_PROJECT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[StateRoot]:
    with state_root(tmp_path / "root") as root:
        yield root


@pytest.fixture
def other(tmp_path: Path) -> Iterator[StateRoot]:
    with state_root(tmp_path / "other") as root:
        yield root


@pytest.fixture
def podman(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command with a storage of its own, whose path has to be short."""
    return storage("podman", tmp_path_factory.mktemp("p"))


def take(root: StateRoot, path: Path) -> Loaded:
    """The one image of an archive or layout, loaded."""
    if path.is_dir():
        (loaded,) = load(path, store=root.store, snapshots=root.snapshots)
        return loaded
    with path.open("rb") as file:
        (loaded,) = load(file, store=root.store, snapshots=root.snapshots)
        return loaded


def write(root: StateRoot, item: Saved, directory: Path) -> None:
    """All forms of archives of an image."""
    with (directory / "docker.tar").open("wb") as out:
        save_docker([item], root.store, out)
    with (directory / "oci.tar").open("wb") as out:
        save_oci([item], root.store, out)
    write_layout([item], root.store, directory / "layout")


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    "source",
    ["docker-archive:docker.tar:localhost/app:1", "oci-archive:oci.tar:1", "oci-archive:docker.tar:1", "oci:layout:1"],
)
def test_what_skopeo_reads(source: str, root: StateRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = make_image(root)
    monkeypatch.chdir(tmp_path)
    write(root, item, tmp_path)
    skopeo("copy", source, "dir:copy")
    manifest = json.loads(Path("copy/manifest.json").read_bytes())
    assert manifest["config"]["digest"] == item.image.id
    if source.startswith("oci"):
        assert Path("copy/manifest.json").read_bytes() == root.store.read_blob(item.image.manifest_digest)


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(
    "target", ["docker-archive:out:localhost/app:1", "oci-archive:out:localhost/app:1", "oci:out:localhost/app:1"]
)
def test_what_skopeo_writes(
    target: str, root: StateRoot, other: StateRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = make_image(root)
    monkeypatch.chdir(tmp_path)
    write(root, item, tmp_path)
    skopeo("copy", "oci:layout:1", target)
    loaded = take(other, tmp_path / "out")
    assert loaded.image.id == item.image.id
    assert [str(name) for name in loaded.references] == ["localhost/app:1"]
    if target.startswith("oci"):
        assert loaded.image.manifest_digest == item.image.manifest_digest
    assert files_of(other, loaded.image, tmp_path / "theirs") == files_of(root, item.image, tmp_path / "ours")


@pytest.mark.needs("umoci")
def test_what_umoci_unpacks(root: StateRoot, tmp_path: Path) -> None:
    item = make_image(root)
    write_layout([item], root.store, tmp_path / "layout")
    run("umoci", "unpack", "--image", f"{tmp_path / 'layout'}:1", tmp_path / "bundle")
    assert describe(tmp_path / "bundle/rootfs") == files_of(root, item.image, tmp_path / "ours")


@pytest.mark.needs("podman")
@pytest.mark.parametrize("archive", ["docker.tar", "oci.tar"])
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_through_podman_and_back(
    archive: str, form: str, root: StateRoot, other: StateRoot, tmp_path: Path, podman: Command
) -> None:
    item = make_image(root)
    write(root, item, tmp_path)
    run(*podman, "load", "-i", tmp_path / archive)
    image_id = run(*podman, "images", "--no-trunc", "--quiet").strip()
    assert image_id == item.image.id
    run(*podman, "save", "--format", form, "-o", tmp_path / "back.tar", image_id)
    loaded = take(other, tmp_path / "back.tar")
    assert loaded.image.id == item.image.id
    assert files_of(other, loaded.image, tmp_path / "theirs") == files_of(root, item.image, tmp_path / "ours")


@pytest.mark.needs("buildah")
def test_what_buildah_pushes(
    root: StateRoot, other: StateRoot, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    item = make_image(root)
    write(root, item, tmp_path)
    buildah = storage("buildah", tmp_path_factory.mktemp("b"))
    image_id = run(*buildah, "pull", f"oci-archive:{tmp_path / 'oci.tar'}:1").strip()
    run(*buildah, "push", image_id, f"oci:{tmp_path / 'pushed'}:app:2")
    loaded = take(other, tmp_path / "pushed")
    assert loaded.image.id == item.image.id
    assert [name.familiar for name in loaded.references] == ["app:2"]


def test_save_and_load_on_the_command_line(root: StateRoot, tmp_path: Path) -> None:
    item = make_image(root)
    command = f"{sys.executable} -m dockmagic"
    line = f"{command} save localhost/app | gzip | DOCKMAGIC_ROOT={tmp_path / 'third'} {command} load -q"
    environment = os.environ | {"DOCKMAGIC_ROOT": str(root.path), "PYTHONPATH": str(_PROJECT)}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert (done.stdout, done.stderr) == ("Loaded image: localhost/app:1\n", "")
    with state_root(tmp_path / "third") as third:
        assert third.store.get("localhost/app:1").manifest_digest == item.image.manifest_digest
