"""Containers find each other by name, on real networks: the resolver, /etc/hosts, links."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import Conflict
from dockmagic.image.store import Image
from dockmagic.network.creation import NetworkRequest
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import RestartPolicy, RunOptions
from dockmagic.oci.spec import Mount
from dockmagic.runtime import protocol
from dockmagic.runtime.request import RESOLVER_SOCKET
from tests.integration.containers import execute, shell, until
from tests.integration.test_resolver import listener_pid
from tests.nameserver import NameServer

pytestmark = pytest.mark.root


@pytest.fixture
def networks(engine: Engine, busybox: Image) -> Iterator[None]:
    """Two networks, `back` and `front`; all containers are ended afterwards."""
    for name in ("back", "front"):
        engine.networks.create(NetworkRequest(name))
    yield
    for container in engine.containers.ls(all=True):
        container.rm(force=True)


def start(engine: Engine, name: str, *networks: NetworkOptions | str, **options: Any) -> Container:
    """A container that sleeps, on these networks."""
    places = tuple(each if isinstance(each, NetworkOptions) else NetworkOptions(each) for each in networks)
    first = places[0].network if places else "default"
    asked = RunOptions(name=name, command=("sleep", "60"), network=first, networks=places, detach=True, **options)
    container = engine.containers.create("busybox", asked)
    container.start()
    return container


def found(container: Container, name: str) -> list[str]:
    """The addresses that nslookup finds for a name of the container's networks, [] for none."""
    outcome = execute(container, "nslookup", "-type=a", f"{name}.")
    lines = outcome.stdout.partition("Name:")[2].splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Address")]


def address(container: Container, network: str = "back") -> str:
    text = container.inspect()["NetworkSettings"]["Networks"][network]["IPAddress"]
    assert isinstance(text, str)
    return text


def read(container: Container, path: str) -> str:
    return execute(container, "cat", path).stdout


@pytest.mark.usefixtures("networks")
def test_containers_of_one_network_know_each_other_by_every_name(engine: Engine) -> None:
    web = start(engine, "web", NetworkOptions("back", ("pages", "all")))
    db = start(engine, "db", NetworkOptions("back", ("all",)), hostname="store")
    for name in ("db", db.id[:12], "store", "db.back"):
        assert found(web, name) == [address(db)]
    assert found(db, "pages") == [address(web)]
    assert sorted(found(db, "all")) == sorted([address(web), address(db)])
    assert execute(web, "ping", "-c1", "-w2", "db").status == 0
    assert read(web, "/etc/resolv.conf").splitlines()[0] == "nameserver 127.0.0.11"
    assert read(db, "/etc/hosts").splitlines()[-1] == f"{address(db)}\tstore"


@pytest.mark.usefixtures("networks")
def test_names_of_other_networks_are_unknown(engine: Engine) -> None:
    web, far = start(engine, "web", "back"), start(engine, "far", "front")
    both = start(engine, "both", "back", "front")
    plain = start(engine, "plain")
    assert (found(web, "far"), found(far, "web"), found(web, "plain")) == ([], [], [])
    assert (found(both, "web"), found(both, "far")) == ([address(web)], [address(far, "front")])
    assert (found(web, "both"), found(far, "both")) == ([address(both)], [address(both, "front")])
    assert "127.0.0.11" not in read(plain, "/etc/resolv.conf")


@pytest.mark.usefixtures("networks")
def test_answers_follow_containers_that_come_and_go(engine: Engine) -> None:
    web, db = start(engine, "web", "back"), start(engine, "db", "back")
    first = address(db)
    db.stop(0)
    assert found(web, "db") == []
    other = start(engine, "other", "back")
    engine.networks.disconnect(db.id, "back")
    engine.networks.connect(db.id, "back", NetworkOptions("back", ("again",)))
    db.start()
    assert found(web, "db") == found(web, "again") == [address(db)]
    assert {first, address(db), address(other)} >= {address(db), address(other)}
    assert address(db) != address(other)
    db.rename("renamed")
    assert (found(web, "db"), found(web, "renamed")) == ([], [address(db)])


@pytest.mark.usefixtures("networks")
def test_a_container_that_its_monitor_starts_again_keeps_its_names(engine: Engine) -> None:
    web, db = start(engine, "web", "back", restart=RestartPolicy("always")), start(engine, "db", "back")
    first = web.state().pid
    os.kill(first, signal.SIGKILL)
    until(lambda: web.state().running and web.state().pid not in (0, first))
    assert (found(db, "web"), found(web, "db")) == ([address(web)], [address(db)])


@pytest.mark.usefixtures("networks")
def test_a_network_that_a_running_container_joins_or_leaves(engine: Engine) -> None:
    web, late = start(engine, "web", "back"), start(engine, "late")
    engine.networks.connect(late.id, "default", NetworkOptions("back", ("more",)))
    assert found(web, "late") == found(web, "more") == [address(late)]
    assert found(late, "web") == [address(web)]
    assert f"{address(late)}\t{late.id[:12]}\n" in read(late, "/etc/hosts")
    assert "127.0.0.11" in read(late, "/etc/resolv.conf")
    left = address(late)
    engine.networks.disconnect(late.id, "back")
    assert found(web, "late") == []
    assert left not in read(late, "/etc/hosts")


@pytest.mark.usefixtures("networks")
def test_a_resolver_that_was_killed_is_back_with_the_next_start(engine: Engine) -> None:
    web, db = start(engine, "web", "back"), start(engine, "db", "back")
    os.kill(listener_pid(str(engine.run_dir)), signal.SIGKILL)
    until(lambda: refuses(engine))
    start(engine, "third", "front")
    assert found(web, "db") == [address(db)]
    assert found(db, "web") == [address(web)]


def refuses(engine: Engine) -> bool:
    """Whether no resolver listens."""
    try:
        protocol.connect(f"{engine.run_dir}/{RESOLVER_SOCKET}").close()
    except ConnectionRefusedError:
        return True
    return False


GLIBC = (("/usr/bin", "/glibc"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64"))
"""The programs of this machine, with the C library that they need."""
FAR = {"example.org.": ["192.0.2.80"], "large.example.": [f"192.0.2.{number}" for number in range(100)]}


@pytest.mark.usefixtures("networks")
def test_other_names_come_from_servers(engine: Engine) -> None:
    start(engine, "db", "back")  # with which the bridge is there, and keeps its address
    gateway = engine.networks.get("back").subnets[0].gateway
    programs = tuple(Mount(path, "bind", source, ("rbind", "ro")) for source, path in GLIBC)
    web = start(engine, "web", "back", dns=(gateway,), mounts=programs)
    with NameServer(FAR, at=(gateway, 53)) as server:
        assert found(web, "example.org") == ["192.0.2.80"]
        assert found(web, "nobody.example") == []
        for name, count in (("large.example", 100), ("db", 1), ("example.org", 1)):
            lines = execute(web, "/glibc/getent", "ahostsv4", name).stdout.splitlines()
            assert len({line.split()[0] for line in lines}) == count
    assert ("large.example.", "A", True) in server.asked
    assert not any(name.startswith("db") for name, _, _ in server.asked)


@pytest.mark.usefixtures("networks")
def test_nothing_is_asked_of_others_on_an_internal_network(engine: Engine) -> None:
    engine.networks.create(NetworkRequest("inner", internal=True))
    db = start(engine, "db", "inner")
    gateway = engine.networks.get("inner").subnets[0].gateway
    web = start(engine, "web", "inner", dns=(gateway,))
    with NameServer(FAR, at=(gateway, 53)) as server:
        assert found(web, "db") == [address(db, "inner")]
        assert found(web, "example.org") == []
    assert server.asked == []


@pytest.mark.usefixtures("networks")
def test_who_shares_a_network_shares_its_names(engine: Engine) -> None:
    web, db = start(engine, "web", "back"), start(engine, "db", "back")
    guest = engine.containers.create("busybox", RunOptions(command=("sleep", "60"), network="container:web"))
    guest.start()
    assert found(guest, "db") == [address(db)]
    assert read(guest, "/etc/hosts") == read(web, "/etc/hosts")


@pytest.mark.usefixtures("networks")
def test_links_on_the_default_bridge(engine: Engine) -> None:
    db = start(engine, "db", env=("USER=me",))
    web = start(engine, "web", links=(("db", "my-db"),))
    where = address(db, "bridge")
    assert f"{where}\tmy-db {db.id[:12]} db\n" in read(web, "/etc/hosts")
    assert execute(web, "ping", "-c1", "-w2", "my-db").status == 0
    environment = execute(web, "cat", "/proc/1/environ").stdout.split("\0")
    assert {"MY_DB_NAME=/web/my-db", "MY_DB_ENV_USER=me"} <= set(environment)
    db.stop(0)
    with pytest.raises(Conflict, match="Cannot link to a non running container: /db AS /third/d"):
        start(engine, "third", links=(("db", "d"),))


@pytest.mark.usefixtures("networks")
def test_links_elsewhere_are_names_of_one_container_only(engine: Engine) -> None:
    db, other = start(engine, "db", "back"), start(engine, "other", "back")
    web = start(engine, "web", "back", links=(("db", "mine"),))
    assert found(web, "mine") == [address(db)]
    assert found(other, "mine") == []


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("networks_of", [(), ("back",)])
def test_the_host_is_at_the_gateway(engine: Engine, networks_of: Sequence[str]) -> None:
    container = start(engine, "web", *networks_of, extra_hosts=(("host.docker.internal", "host-gateway"),))
    gateway = container.inspect()["NetworkSettings"]["Networks"][networks_of[0] if networks_of else "bridge"]["Gateway"]
    assert f"{gateway}\thost.docker.internal\n" in read(container, "/etc/hosts")
    assert execute(container, "ping", "-c1", "-w2", "host.docker.internal").status == 0


@pytest.mark.usefixtures("busybox")
def test_servers_and_domains_that_were_asked_for(engine: Engine) -> None:
    text = shell(
        engine, "cat /etc/resolv.conf", dns=("192.0.2.1",), dns_search=("example.org",), dns_options=("ndots:3",)
    )
    assert text == "nameserver 192.0.2.1\nsearch example.org\noptions ndots:3\n"
