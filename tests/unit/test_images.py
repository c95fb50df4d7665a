from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import DockmagicError, InvalidOption, InvalidReference
from dockmagic.events import Event, RegistryWarning
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.remote import RemoteImage
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.images import Images
from dockmagic.oci.descriptor import OCI_MANIFEST, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import Reply, serving


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Images]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    database = Database(tmp_path / "state.db")
    store = ImageStore(tmp_path, database)
    snapshots = Snapshots(tmp_path, database, store, store.workspaces)
    yield Images(store, snapshots, lambda: Registries(insecure=frozenset({"old.example"})), tuple)
    database.close()


def test_what_a_registry_warns_of_is_an_event(images: Images) -> None:
    events: list[Event] = []
    with serving() as server:
        server.routes["/v2/app/tags/list"] = Reply(200, b'{"tags": ["1"]}', {"Warning": '299 - "closing"'})
        assert images.tags(f"{server.host}/app", events.append) == ("1",)
        assert images.tags(f"{server.host}/app") == ("1",)
        assert events == [RegistryWarning(server.host, "closing")]


@pytest.mark.parametrize(("insecure", "hosts"), [(True, {"old.example", "r.example"}), (False, {"old.example"})])
def test_a_registry_can_be_insecure_for_once(
    images: Images, monkeypatch: pytest.MonkeyPatch, insecure: bool, hosts: set[str]
) -> None:
    asked: list[frozenset[str]] = []

    def look(client: RegistryClient, reference: Reference, platform: Platform | None) -> RemoteImage:
        asked.append(client.registries.insecure)
        return RemoteImage(reference, Digest.of(b""), OCI_MANIFEST)

    monkeypatch.setattr("dockmagic.image.remote.look", look)
    assert images.remote("r.example/app", insecure=insecure).reference.tag == "latest"
    assert asked == [hosts]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("-.example", InvalidReference, "host name"),
        ("r.example/team", InvalidReference, "is not a registry"),
        ("team", InvalidReference, "is not a registry"),
        ("docker.io", InvalidOption, "docker search"),
    ],
)
def test_a_registry_s_name_is_checked(images: Images, name: str, kind: type[DockmagicError], words: str) -> None:
    with pytest.raises(kind, match=words):
        images.catalog(name)
