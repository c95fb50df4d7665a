from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.network.model import Network, Subnet
from dockmagic.network.records import Records
from dockmagic.network.store import NetworkStore
from dockmagic.oci.codec import encode
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import RunOptions

WEB, DB, FAR = "a" * 64, "b" * 64, "c" * 64
PLAIN = RunOptions()


class Scene:
    """A database with three containers, all of which run: web and db on `back`, db and far on `Front`."""

    def __init__(self, root: Path) -> None:
        self.database = Database(root / "state.db")
        self.store = NetworkStore(self.database, "0" * 8)
        self.running = {WEB, DB, FAR}
        self.records = Records(root, lambda: self.running)
        self.network("back", "10.1.0.0/24", "fd01::/64")
        self.network("Front", "10.2.0.0/24")
        self.container(WEB, "web", RunOptions(hostname="Frontend", links=((DB, "Database"),)))
        self.container(DB, "db")
        self.container(FAR, "far")
        self.connect(WEB, NetworkOptions("back", ("Pages",)))
        self.connect(DB, NetworkOptions("back", ("pages",)), NetworkOptions("Front", ("store",)))
        self.connect(FAR, NetworkOptions("Front"))

    def network(self, name: str, *cidrs: str, internal: bool = False) -> None:
        subnets = tuple(Subnet(cidr, str(next(Subnet(cidr, "").network.hosts()))) for cidr in cidrs)
        self.store.insert(Network("", name, "bridge", 0, subnets=subnets, internal=internal))

    def container(self, container_id: str, name: str, options: RunOptions = PLAIN) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO containers (id, name, created_ns, options) VALUES (?, ?, 0, ?)",
                (container_id, name, json.dumps(encode(options))),
            )

    def connect(self, container_id: str, *networks: NetworkOptions) -> None:
        for options in networks:
            self.store.connect(container_id, options)
        self.store.lease(container_id, lambda _: True)

    def ask(self, container_id: str, name: str) -> list[str]:
        return sorted(map(str, self.records.neighbours(container_id).addresses(name)))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.records.close()
    scene.database.close()


@pytest.mark.parametrize(
    ("who", "name", "addresses"),
    [
        (WEB, "db", ["10.1.0.3", "fd01::3"]),
        (WEB, "bbbbbbbbbbbb", ["10.1.0.3", "fd01::3"]),
        (WEB, "db.back", ["10.1.0.3", "fd01::3"]),
        (WEB, "database", ["10.1.0.3", "fd01::3"]),
        (WEB, "web", ["10.1.0.2", "fd01::2"]),
        (WEB, "pages", ["10.1.0.2", "10.1.0.3", "fd01::2", "fd01::3"]),
        (DB, "frontend", ["10.1.0.2", "fd01::2"]),
        (DB, "far", ["10.2.0.3"]),
        (DB, "far.front", ["10.2.0.3"]),
        (WEB, "store", []),
        (WEB, "far", []),
        (FAR, "web", []),
        (FAR, "database", []),
        (FAR, "db", ["10.2.0.2"]),
        (FAR, "db.back", []),
        (WEB, "example.org", []),
    ],
)
def test_names_are_those_of_shared_networks(scene: Scene, who: str, name: str, addresses: list[str]) -> None:
    assert scene.ask(who, name) == addresses


def test_addresses_have_names(scene: Scene) -> None:
    assert scene.records.neighbours(WEB).name(ip_address("10.1.0.3")) == "db.back"
    assert scene.records.neighbours(FAR).name(ip_address("10.2.0.2")) == "db.front"
    assert scene.records.neighbours(FAR).name(ip_address("10.1.0.3")) == ""


def test_answers_change_with_what_is(scene: Scene) -> None:
    assert scene.ask(WEB, "db")
    scene.running.discard(DB)
    assert scene.ask(WEB, "db") == []
    scene.running.add(DB)
    back = next(endpoint for endpoint in scene.store.of_container(DB) if endpoint.network.name == "back")
    scene.store.disconnect(back)
    assert scene.ask(WEB, "db") == []
    assert scene.ask(FAR, "db")
    with scene.database.transaction() as connection:
        connection.execute("UPDATE containers SET name = 'further' WHERE id = ?", (FAR,))
    assert (scene.ask(DB, "far"), scene.ask(DB, "further")) == ([], ["10.2.0.3"])


def test_nothing_leaves_internal_networks(scene: Scene) -> None:
    scene.network("inner", "10.3.0.0/24", internal=True)
    scene.container("d" * 64, "own", RunOptions(dns=("192.0.2.1",)))
    scene.connect("d" * 64, NetworkOptions("inner"))
    assert scene.records.servers("d" * 64) == ()
    scene.connect("d" * 64, NetworkOptions("back"))
    assert [server.address for server in scene.records.servers("d" * 64)] == ["192.0.2.1"]


def test_who_counts_dots_is_taken_at_their_word(scene: Scene) -> None:
    for letter, options, dotted in (("d", "ndots:2", True), ("e", "ndots:0", False), ("f", "rotate", False)):
        scene.container(letter * 64, letter, RunOptions(dns_options=(options,)))
        assert scene.records.dotted(letter * 64) is dotted
