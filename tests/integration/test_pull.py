"""Pulling from a real registry."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.errors import DigestMismatch, RegistryError
from dockmagic.events import Event, PullFinished, PullProgress
from dockmagic.image.bootstrap import LABEL, bootstrap_busybox
from dockmagic.image.platform import host_platform
from dockmagic.image.pull import pull
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import DOCKER_MANIFEST, OCI_MANIFEST
from dockmagic.oci.reference import Reference
from tests.integration.registry_fixture import (
    Registry,
    StateRoot,
    make_layout,
    running_registry,
    skopeo,
    state_root,
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateRoot]:
    """Where the images come from that the tests push."""
    with state_root(tmp_path_factory.mktemp("origin")) as root:
        yield root


@pytest.fixture(scope="module")
def busybox(origin: StateRoot) -> Image:
    return bootstrap_busybox(origin.store, origin.snapshots)


@pytest.fixture(scope="module")
def layout(origin: StateRoot, busybox: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout(busybox, origin.store, tmp_path_factory.mktemp("layout"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "registry") as registry:
        yield registry


@pytest.fixture
def root(tmp_path: Path) -> Iterator[StateRoot]:
    with state_root(tmp_path / "root") as root:
        yield root


def fetch(root: StateRoot, text: str, *, mirror: str = "", events: list[Event] | None = None) -> Image:
    """Pull into this root."""
    client = RegistryClient(registries=Registries({"docker.io": (mirror,)} if mirror else {}))
    try:
        return pull(
            Reference.parse(text),
            client=client,
            store=root.store,
            snapshots=root.snapshots,
            platform=host_platform(),
            on_event=(lambda event: None) if events is None else events.append,
        )
    finally:
        client.close()


def variant(origin: StateRoot, busybox: Image, directory: Path, label: str) -> tuple[Image, Path]:
    """Another image of the same layers, and its layout."""
    config = dataclasses.replace(
        busybox.config, config=dataclasses.replace(busybox.config.config, labels={"variant": label})
    )
    image = origin.store.add_image(config, busybox.manifest.layers)
    return image, make_layout(image, origin.store, directory)


def test_by_tag(registry: Registry, root: StateRoot, busybox: Image, layout: Path) -> None:
    registry.push(layout, "team/box", "1")
    events: list[Event] = []
    image = fetch(root, f"{registry.host}/team/box:1", events=events)
    assert (image.id, image.manifest_digest) == (busybox.id, busybox.manifest_digest)
    assert image.manifest.media_type == OCI_MANIFEST
    assert (root.snapshots.path(image.chain_ids[0]) / "bin/sh").exists()
    assert events[-1] == PullFinished(f"{registry.host}/team/box:1", busybox.manifest_digest, updated=True)
    assert {event.status for event in events if isinstance(event, PullProgress)} == {
        "waiting",
        "downloading",
        "downloaded",
        "extracting",
        "complete",
    }


def test_by_digest(registry: Registry, root: StateRoot, busybox: Image, layout: Path) -> None:
    registry.push(layout, "box", "1")
    name = f"{registry.host}/box@{busybox.manifest_digest}"
    assert fetch(root, name).id == busybox.id
    assert root.store.get(name).id == busybox.id


def test_docker_s_formats_and_compressed_layers(
    registry: Registry, root: StateRoot, busybox: Image, layout: Path
) -> None:
    registry.push(layout, "box", "docker", "--format=v2s2", "--dest-compress-format=gzip", "--dest-compress")
    image = fetch(root, f"{registry.host}/box:docker")
    assert image.manifest.media_type == DOCKER_MANIFEST
    assert image.config.diff_ids == busybox.config.diff_ids


def test_zstd_layers(registry: Registry, root: StateRoot, busybox: Image, layout: Path) -> None:
    registry.push(layout, "box", "zstd", "--dest-compress-format=zstd", "--dest-compress")
    image = fetch(root, f"{registry.host}/box:zstd")
    assert image.manifest.layers[0].media_type.endswith("zstd")
    assert image.config.diff_ids == busybox.config.diff_ids


def test_plain_busybox_comes_through_the_mirror(
    registry: Registry, root: StateRoot, busybox: Image, layout: Path
) -> None:
    registry.push(layout, "library/busybox", "latest")
    image = fetch(root, "busybox", mirror=registry.url)
    assert image.id == busybox.id
    assert image.references == (Reference.parse("busybox:latest"),)


def test_a_pull_replaces_what_was_bootstrapped(
    registry: Registry, root: StateRoot, origin: StateRoot, busybox: Image, tmp_path: Path
) -> None:
    pulled, layout = variant(origin, busybox, tmp_path / "layout", "pulled")
    registry.push(layout, "library/busybox", "latest")
    made = bootstrap_busybox(root.store, root.snapshots)
    events: list[Event] = []
    assert fetch(root, "busybox", mirror=registry.url, events=events).id == pulled.id
    assert LABEL not in root.store.get("busybox").config.config.labels
    assert root.store.get(made.id).references == ()
    progress = [event.status for event in events if isinstance(event, PullProgress)]
    assert progress == ["waiting", "exists"]


def test_a_tag_that_moved(
    registry: Registry, root: StateRoot, origin: StateRoot, busybox: Image, layout: Path, tmp_path: Path
) -> None:
    name = f"{registry.host}/box:1"
    registry.push(layout, "box", "1")
    fetch(root, name)
    events: list[Event] = []
    fetch(root, name, events=events)
    assert isinstance(events[-1], PullFinished)
    assert not events[-1].updated
    moved, other = variant(origin, busybox, tmp_path / "other", "moved")
    registry.push(other, "box", "1")
    assert fetch(root, name).id == moved.id
    assert root.store.get(name).id == moved.id
    assert root.store.get(busybox.id).references == ()


def test_an_index_of_several_platforms(
    registry: Registry, root: StateRoot, busybox: Image, layout: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(layout, whole)
    index = json.loads((whole / "index.json").read_text())
    ours = index["manifests"][0]
    host = host_platform()
    ours["platform"] = {"os": "linux", "architecture": host.architecture}
    other = dict(ours, platform={"os": "linux", "architecture": "s390x"})
    inner = json.dumps({"schemaVersion": 2, "manifests": [other, ours]}).encode()
    descriptor = root.store.put_blob(inner, "application/vnd.oci.image.index.v1+json")
    shutil.copy(root.store.blob_path(descriptor.digest), whole / "blobs/sha256" / descriptor.digest.hex)
    entry = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (whole / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    registry.push(whole, "box", "many", "--all")
    assert "s390x" in skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/box:many")
    assert fetch(root, f"{registry.host}/box:many").id == busybox.id


def test_an_unknown_tag_and_an_unknown_repository(registry: Registry, root: StateRoot, layout: Path) -> None:
    registry.push(layout, "box", "1")
    for name in ("box:2", "nobody/box:1"):
        with pytest.raises(
            RegistryError, match=rf"manifest for {registry.host}/{name} not found; check the name"
        ) as caught:
            fetch(root, f"{registry.host}/{name}")
        assert (caught.value.status, caught.value.code) == (404, "MANIFEST_UNKNOWN")
    assert root.store.list_images() == []


def test_a_registry_that_is_down(root: StateRoot, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        pass
    with pytest.raises(RegistryError, match=r"can't be reached \(Connection refused\)") as caught:
        fetch(root, f"{registry.host}/box:1")
    assert caught.value.status == 0


def test_a_blob_damaged_in_the_registry(registry: Registry, root: StateRoot, busybox: Image, layout: Path) -> None:
    registry.push(layout, "box", "1")
    layer = busybox.manifest.layers[0].digest
    data = next(registry.directory.glob(f"docker/registry/v2/blobs/sha256/*/{layer.hex}/data"))
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    with pytest.raises(DigestMismatch) as caught:
        fetch(root, f"{registry.host}/box:1")
    assert caught.value.expected == layer
    assert root.store.list_images() == []
    assert not root.store.has_blob(layer)
