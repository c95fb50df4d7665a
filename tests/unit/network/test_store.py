from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict, NotFound
from dockmagic.network.model import Network, Subnet
from dockmagic.network.store import NetworkStore
from dockmagic.oci.networks import NetworkOptions

SUBNET = Subnet("10.9.0.0/29", "10.9.0.1")


@pytest.fixture
def store(tmp_path: Path) -> NetworkStore:
    return NetworkStore(Database(tmp_path / "state.db"), "0123abcd")


@pytest.fixture
def net(store: NetworkStore) -> Network:
    return store.insert(Network("", "net", "bridge", 0, subnets=(SUBNET, Subnet("fd09::/64", "fd09::1"))))


def alive(container_id: str) -> bool:
    return not container_id.startswith("dead")


def start(store: NetworkStore, container_id: str, network: str = "net", ipv4: str = "") -> str:
    store.connect(container_id, NetworkOptions(network, ipv4=ipv4))
    return store.lease(container_id, alive)[0].ipv4


def test_three_networks_are_always_there(store: NetworkStore) -> None:
    assert [(network.name, network.driver) for network in store.all()] == [
        ("bridge", "bridge"), ("host", "host"), ("none", "null"),
    ]  # fmt: skip
    bridge = store.find("default")
    assert bridge == store.find(bridge.id[:6])
    assert bridge.predefined
    assert bridge.interface == f"dm0123abcd{bridge.id[:5]}"


def test_names_are_taken_once(store: NetworkStore, net: Network) -> None:
    with pytest.raises(Conflict, match="network with name net already exists"):
        store.insert(Network("", "net", "bridge", 0))
    store.delete(net)
    with pytest.raises(NotFound, match="no such network: net"):
        store.find("net")


def test_leases_go_round(store: NetworkStore, net: Network) -> None:
    assert [start(store, f"{n}") for n in range(4)] == [f"10.9.0.{n}" for n in range(2, 6)]
    store.forget("0")
    assert [start(store, name) for name in ("5", "6")] == ["10.9.0.6", "10.9.0.2"]
    with pytest.raises(Conflict, match="no available addresses"):
        start(store, "7")


def test_a_lease_is_free_when_its_container_has_ended(store: NetworkStore, net: Network) -> None:
    for name in ("dead1", "2", "3", "4", "5"):
        start(store, name)
    assert start(store, "6") == "10.9.0.2"
    assert store.of_container("dead1")[0].ipv4 == ""
    endpoint = store.of_container("6")[0]
    assert endpoint.mac == "02:42:0a:09:00:02"
    assert endpoint.addresses == ("10.9.0.2/29", endpoint.ipv6 + "/64")


def test_a_container_keeps_its_address_over_a_restart(store: NetworkStore, net: Network) -> None:
    first = start(store, "1")
    start(store, "2")
    assert store.lease("1", alive)[0].ipv4 == first


def test_an_address_that_was_asked_for_is_kept(store: NetworkStore, net: Network) -> None:
    assert start(store, "dead1", ipv4="10.9.0.2") == "10.9.0.2"
    assert start(store, "2") == "10.9.0.3"
    assert start(store, "3", ipv4="10.9.0.2") == "10.9.0.2"
    with pytest.raises(Conflict, match=r"10.9.0.2: Address already in use"):
        start(store, "4", ipv4="10.9.0.2")


def test_interfaces_are_numbered(store: NetworkStore, net: Network) -> None:
    store.connect("1", NetworkOptions("bridge"))
    store.connect("1", NetworkOptions("net", ("web",)))
    places = store.of_container("1")
    assert [endpoint.interface for endpoint in places] == ["eth0", "eth1"]
    assert [endpoint.aliases for endpoint in places] == [(), ("web", "1")]
    with pytest.raises(Conflict, match="already exists in network net"):
        store.connect("1", NetworkOptions("net"))
    store.disconnect(places[0])
    assert [endpoint.network.name for endpoint in store.of_container("1")] == ["net"]


def test_other_subnets_void_leases(store: NetworkStore) -> None:
    bridge = store.choose_subnets(store.find("bridge"), (SUBNET,))
    start(store, "1", "bridge")
    moved = store.choose_subnets(bridge, (Subnet("10.8.0.0/16", "10.8.0.1"),))
    assert store.of_network(moved)[0].ipv4 == ""
    assert store.lease("1", alive)[0].addresses == ("10.8.0.2/16",)
