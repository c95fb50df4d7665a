"""Networks of containers, with real traffic, looked at with iproute2 and nft."""

from __future__ import annotations

import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import Conflict, InvalidOption, NotFound
from dockmagic.oci.networks import NetworkOptions
from dockmagic.runtime.request import root_key
from tests.integration.networks import address, ask, bridges, idle, inside, ip, network, nft, options, said

pytestmark = [pytest.mark.root, pytest.mark.needs("nft", "ip"), pytest.mark.usefixtures("busybox")]
MTU = "cat /sys/class/net/eth0/mtu"


def default_link() -> dict[str, object]:
    """The link that the host's default route goes through."""
    name = ip("route", "show", "default")[0]["dev"]
    link: dict[str, object] = ip("addr", "show", "dev", name)[0]
    return link


def host_address() -> str:
    """The host's address on that link."""
    infos = default_link()["addr_info"]
    assert isinstance(infos, list)
    return str(next(info["local"] for info in infos if info["family"] == "inet"))


def test_the_default_bridge(engine: Engine) -> None:
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    text = said(engine, f"ip -4 -o addr show eth0; ip route; {MTU}; hostname -i; cat /sys/class/net/eth0/address")
    lines = text.splitlines()
    own = lines[0].split()[3].partition("/")[0]
    gateway = engine.networks.get("bridge").subnets[0].gateway
    assert lines[1] == f"default via {gateway} dev eth0 "
    assert lines[3:5] == [str(default_link()["mtu"]), own]
    assert lines[5] == "02:42:" + ":".join(f"{int(part):02x}" for part in own.split("."))
    assert len(bridges(engine)) == 1
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    engine.close()
    assert before in ("0\n", "1\n")


def test_traffic_between_containers_and_the_host(engine: Engine) -> None:
    web = idle(engine, "web")
    there = address(web)
    assert said(engine, ask(there)) == "web\n"
    with socket.create_connection((there, 7000), timeout=5) as connection:
        assert connection.recv(10) == b"web\n"
    gateway = engine.networks.get("bridge").subnets[0].gateway
    with socket.create_server((gateway, 0)) as server:
        heard: list[str] = []

        def hear() -> None:
            connection, (caller, _) = server.accept()
            connection.close()
            heard.append(caller)

        thread = threading.Thread(target=hear)
        thread.start()
        assert said(engine, f"nc -w 1 {gateway} {server.getsockname()[1]} </dev/null") == ""
        thread.join(5)
    assert heard[0].startswith(gateway.rpartition(".")[0])
    web.rm(force=True)


def test_the_first_packet_of_a_container_is_answered_at_once(engine: Engine) -> None:
    web = idle(engine, "web")
    times = said(engine, f"time -p nc {address(web)} 7000 </dev/null; ping -c 1 -W 1 {host_address()} >/dev/null")
    assert "real 0.0" in times
    web.rm(force=True)


def test_what_leaves_seems_to_come_from_the_host(engine: Engine) -> None:
    """Another network namespace stands for the world outside: it has no route back to containers."""
    lines = """ip netns add dmworld
        ip link add dmworld0 type veth peer name eth0 netns dmworld
        ip addr add 198.51.100.1/30 dev dmworld0
        ip link set dmworld0 up
        ip -n dmworld addr add 198.51.100.2/30 dev eth0
        ip -n dmworld link set eth0 up"""
    for line in lines.splitlines():
        subprocess.run(line.split(), check=True)
    try:
        server = subprocess.Popen(
            ["ip", "netns", "exec", "dmworld", "busybox", "nc", "-l", "-p", "7000", "-e", "/bin/echo", "outside"]
        )
        assert said(engine, "sleep 0.2; " + ask("198.51.100.2")) == "outside\n"
        server.wait(5)
        network(engine, "inner", internal=True)
        assert "unreachable" in said(engine, ask("198.51.100.2"), "inner")
        assert said(engine, "ip route | grep -c default", "inner").startswith("0")
    finally:
        subprocess.run(["ip", "netns", "del", "dmworld"], check=True)


def test_networks_are_apart(engine: Engine) -> None:
    network(engine, "front")
    network(engine, "back")
    web, db = idle(engine, "web", "front"), idle(engine, "db", "back")
    assert said(engine, ask(address(web, "front")), "front") == "web\n"
    assert "unreachable" in said(engine, ask(address(web, "front")), "back")
    assert "unreachable" in said(engine, ask(address(db, "back")))
    both = said(engine, f"{ask(address(web, 'front'))}; {ask(address(db, 'back'))}; ls /sys/class/net", "front", "back")
    assert both.split() == ["web", "db", "eth0", "eth1", "lo"]
    for container in (web, db):
        container.rm(force=True)


def test_connect_and_disconnect_while_it_runs(engine: Engine) -> None:
    network(engine, "front", subnets=["10.213.0.0/24"])
    web = idle(engine, "web")
    web.connect(NetworkOptions("front", ipv4="10.213.0.9"))
    assert address(web, "front") == "10.213.0.9"
    assert said(engine, ask("10.213.0.9"), "front") == "web\n"
    with pytest.raises(Conflict, match="already exists in network front"):
        web.connect(NetworkOptions("front"))
    web.disconnect("bridge")
    assert inside(web, "ls /sys/class/net; ip route | grep default") == "eth1\nlo\ndefault via 10.213.0.1 dev eth1 \n"
    with pytest.raises(Conflict, match="is not connected to network bridge"):
        web.disconnect("bridge")
    with pytest.raises(Conflict, match="network front has active endpoints"):
        engine.networks.rm("front")
    web.rm(force=True)
    engine.networks.rm("front")


def test_a_container_keeps_its_places_over_a_restart(engine: Engine) -> None:
    network(engine, "front", subnets=["10.213.0.0/24"])
    given = options("ip -4 -o addr", NetworkOptions("front", ipv4="10.213.0.77"), "bridge")
    made = engine.containers.create("busybox", replace(given, remove=False))
    for _ in range(2):
        assert made.start_attached() == 0
        assert made.wait() == 0
    text = b"".join(line.data for line in made.logs()).decode()
    assert text.count("10.213.0.77/24") == 2
    assert text.count("eth1") == 4  # named twice a line
    assert made.inspect()["NetworkSettings"]["Networks"]["front"]["IPAddress"] == ""
    made.rm()


def test_addresses_that_are_asked_for(engine: Engine) -> None:
    network(engine, "front", subnets=["10.213.0.0/24", "fd13::/64"], ipv6=True)
    own = NetworkOptions("front", (), "10.213.0.20", "fd13::20", "02:aa:00:00:00:01")
    text = said(engine, "cat /sys/class/net/eth0/address; ip -o addr show eth0", own)
    assert "02:aa:00:00:00:01" in text
    assert "10.213.0.20/24" in text
    assert "fd13::20/64" in text
    first = idle(engine, "first", own)
    with pytest.raises(Conflict, match=r"10.213.0.20: Address already in use"):
        said(engine, "true", own)
    with pytest.raises(InvalidOption, match="no configured subnet contains it"):
        said(engine, "true", NetworkOptions("front", ipv4="10.99.0.1"))
    with pytest.raises(InvalidOption, match="supported only when connecting to networks with user configured subnets"):
        said(engine, "true", NetworkOptions("bridge", ipv4="172.17.0.9"))
    with pytest.raises(NotFound, match="no such network: nowhere"):
        said(engine, "true", "nowhere")
    first.rm(force=True)


def test_ipv6(engine: Engine) -> None:
    network(engine, "six", ipv6=True)
    web = idle(engine, "web", "six")
    assert said(engine, f"ping -6 -c 1 -W 1 {address(web, 'six', 6)} | grep -c 'bytes from'", "six") == "1\n"
    gateway = engine.networks.get("six").subnets[1].gateway
    assert said(engine, f"ping -6 -c 1 -W 1 {gateway} | grep -c 'bytes from'", "six") == "1\n"
    assert "default via" in said(engine, "ip -6 route", "six")
    web.rm(force=True)


def test_nobody_takes_anothers_address(engine: Engine) -> None:
    """With all that root may do in its own network, a container can't speak from another's IP or MAC address."""
    web, thief = idle(engine, "web"), idle(engine, "thief", cap_add=("NET_ADMIN",))
    gateway, own = engine.networks.get("bridge").subnets[0].gateway, address(web)
    inside(thief, f"ip addr add {own}/16 dev eth0")
    assert "100% packet loss" in inside(thief, f"ping -c 2 -i 0.1 -W 1 -I {own} {gateway}")
    assert said(engine, ask(own)) == "web\n"
    mac = inside(web, "cat /sys/class/net/eth0/address").strip()
    inside(thief, f"ip addr del {own}/16 dev eth0; ip link set eth0 address {mac}")
    assert "100% packet loss" in inside(thief, f"ping -c 2 -i 0.1 -W 1 {gateway}")
    assert said(engine, ask(own)) == "web\n"
    for container in (web, thief):
        container.rm(force=True)


def test_the_hosts_loopback_cant_be_seen(engine: Engine) -> None:
    gateway = engine.networks.get("bridge").subnets
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ways = "127.0.0.1 $(ip route | awk '/default/ {print $3}')"
        script = f"for a in {ways}; do nc -w 1 $a {port} </dev/null 2>/dev/null; done"
        assert said(engine, f"{script}; ip route add 127.9.9.0/24 via 172.17.0.1 2>/dev/null; true") == ""
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
    assert gateway == ()  # nothing was chosen before the first container


def test_a_step_of_a_build_has_a_way_out(engine: Engine) -> None:
    dockerfile = "FROM busybox\nRUN ip route | grep -q default\nRUN --network=none ! ip route | grep -q default\n"
    engine.build(dockerfile)
    assert engine.networks.members(engine.networks.get("bridge")) == []
    assert bridges(engine)


def test_rules_that_somebody_flushed_are_there_again(engine: Engine) -> None:
    web = idle(engine, "web")
    key = engine.client.run_dir.rpartition("/")[2]
    nft("delete", "table", "inet", f"dockmagic-{key}")
    nft("flush", "table", "bridge", f"dockmagic-{key}")
    assert said(engine, ask(address(web))) == "web\n"
    assert "masquerade" in nft("list", "table", "inet", f"dockmagic-{key}")
    assert "goto guard" in nft("list", "table", "bridge", f"dockmagic-{key}")
    web.rm(force=True)


def test_a_bridge_that_somebody_deleted_is_there_again(engine: Engine) -> None:
    web = idle(engine, "web")
    before = address(web)
    subprocess.run(["ip", "link", "del", *bridges(engine)], check=True)
    assert said(engine, ask(before)) == "web\n"
    assert address(web) == before
    web.rm(force=True)


def test_a_forward_chain_that_drops_lets_our_packets_through(engine: Engine) -> None:
    """As Docker makes one; in a table of its own here, under the name that iptables has."""
    ours = f'accept comment "dockmagic-{root_key(engine.client.state_root)}"'  # others may be at work beside it
    existed = "table ip filter" in nft("list", "tables")
    nft("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }")
    try:
        web = idle(engine, "web")
        assert said(engine, ask(address(web))) == "web\n"
        rules = nft("list", "chain", "ip", "filter", "FORWARD")
        assert rules.count(ours) == 2
        web.rm(force=True)
        engine.close()
        deadline = threading.Event()
        for _ in range(200):
            if ours not in nft("list", "chain", "ip", "filter", "FORWARD"):
                break
            deadline.wait(0.05)
        assert ours not in nft("list", "chain", "ip", "filter", "FORWARD")
    finally:
        nft("chain ip filter FORWARD { policy accept; }" if existed else "delete table ip filter")


def test_two_state_roots_have_subnets_of_their_own(engine: Engine, busybox_root: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", busybox_root, tmp_path / "other"], check=True)
    web = idle(engine, "web")
    with Engine(tmp_path / "other") as other:
        assert "unreachable" in said(other, ask(address(web)))
        assert engine.networks.get("bridge").subnets[0].cidr != other.networks.get("bridge").subnets[0].cidr
    web.rm(force=True)
