"""How fast links are, and how late packets come: measured with real traffic, in both directions."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import InvalidOption, StartFailed
from dockmagic.oci.options import RestartPolicy, RunOptions
from tests.integration.containers import until
from tests.integration.networks import address, idle, inside

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

BYTES = 1_000_000
RATE_BITS = 8_000_000


def taken_to_the_host(engine: Engine, container: Container) -> float:
    """Seconds that a megabyte takes from the container to the host."""
    gateway = engine.networks.get("bridge").subnets[0].gateway
    with socket.create_server((gateway, 0)) as server, ThreadPoolExecutor(1) as threads:
        server.settimeout(10)
        begin, got = time.monotonic(), 0
        command = f"head -c {BYTES} /dev/zero | nc {gateway} {server.getsockname()[1]}"
        said = threads.submit(inside, container, command)
        with server.accept()[0] as connection:
            while data := connection.recv(65536):
                got += len(data)
                if got == BYTES:
                    break
        taken = time.monotonic() - begin
        assert (got, said.result(10)) == (BYTES, "")
    return taken


def taken_from_the_host(container: Container) -> float:
    """Seconds that a megabyte takes from the host to the container."""
    inside(container, "nc -ll -p 7001 -e wc -c </dev/null >/dev/null 2>&1 &")
    sockets = Path(f"/proc/{container.state().pid}/net/tcp6"), Path(f"/proc/{container.state().pid}/net/tcp")
    until(lambda: any(f":{7001:04X} " in each.read_text() for each in sockets))
    begin = time.monotonic()
    with socket.create_connection((address(container), 7001), timeout=10) as connection:
        connection.sendall(bytes(BYTES))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(20).strip() == str(BYTES).encode()
    return time.monotonic() - begin


def has_netem() -> bool:
    """Whether this kernel can delay packets, in the opinion of tc(8)."""
    try:
        words = "ip link add dmnetem type dummy; tc qdisc add dev dmnetem root netem delay 1ms"
        return subprocess.run(["sh", "-c", words], capture_output=True, check=False).returncode == 0
    finally:
        subprocess.run(["ip", "link", "del", "dmnetem"], capture_output=True, check=False)


def round_trip_ms(container: Container) -> float:
    """The least time that a packet takes from the container to the host and back."""
    said = inside(container, "ping -c 3 -i 0.2 $(ip route | awk '/default/ {print $3}')")
    found = re.search(r"min/avg/max = ([\d.]+)/", said)
    assert found, said
    return float(found[1])


def test_a_rate_holds_in_both_directions_until_it_is_changed(engine: Engine) -> None:
    web = idle(engine, "web", net_rate_bits=RATE_BITS)
    least = BYTES * 8 / RATE_BITS * 0.8  # what the queue swallows at the beginning
    assert taken_to_the_host(engine, web) > least
    assert taken_from_the_host(web) > least
    assert web.inspect()["HostConfig"]["NetRate"] == RATE_BITS
    web.update(net_rate_bits=0)
    assert taken_to_the_host(engine, web) < least
    web.rm(force=True)


def test_latency_is_added_in_each_direction_or_refused(engine: Engine) -> None:
    if not has_netem():
        with pytest.raises(StartFailed, match=r"this kernel has no netem queue \(sch_netem\); leave out --net-latency"):
            idle(engine, "web", net_latency_us=30_000)
        return
    web = idle(engine, "web", net_latency_us=30_000)
    assert 60 <= round_trip_ms(web) < 110
    web.update(net_latency_us=5_000)
    assert 10 <= round_trip_ms(web) < 60
    web.update(net_latency_us=0)
    assert round_trip_ms(web) < 10
    web.rm(force=True)


def test_a_container_that_is_started_again_has_its_shape(engine: Engine) -> None:
    options = RunOptions(command=("sleep", "1"), net_rate_bits=RATE_BITS, restart=RestartPolicy("always"))
    container = engine.containers.run_detached("busybox", options)
    until(lambda: container.state().restart_count > 0 and container.state().running)
    with Path(f"/proc/{container.state().pid}/ns/net").open() as namespace:
        words = ["nsenter", f"--net=/proc/self/fd/{namespace.fileno()}", "tc", "qdisc", "show", "dev", "eth0"]
        shown = subprocess.run(words, capture_output=True, text=True, check=True, pass_fds=[namespace.fileno()]).stdout
    assert "qdisc tbf" in shown
    assert "rate 8Mbit" in shown
    container.rm(force=True)


@pytest.mark.parametrize("network", ["none", "host"])
def test_a_container_without_links_has_nothing_to_shape(engine: Engine, network: str) -> None:
    options = RunOptions(command=("true",), network=network, net_rate_bits=RATE_BITS)
    with pytest.raises(InvalidOption, match=f"--net-rate: a container with --network {network} has no link"):
        engine.containers.create("busybox", options)
