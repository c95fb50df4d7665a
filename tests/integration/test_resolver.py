"""The resolver's process, with network namespaces of plain processes in place of containers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query
import pytest

from dockmagic.database import Database
from dockmagic.linux.process import CLONE_NEWNET, setns
from dockmagic.network.model import Network, Subnet
from dockmagic.network.resolving import Resolving
from dockmagic.network.store import NetworkStore
from dockmagic.oci.networks import NetworkOptions
from dockmagic.runtime import protocol
from dockmagic.runtime.cgroup.hierarchy import detect
from dockmagic.runtime.client import Client
from dockmagic.runtime.leftovers import collect
from dockmagic.runtime.request import RESOLVER_SOCKET, Record
from tests.integration.containers import until
from tests.nameserver import NameServer

pytestmark = pytest.mark.root
WEB, DB = "a" * 64, "b" * 64
"""IDs of two containers of one network."""


class Machine(Client):
    """Containers that are processes with a network namespace and a loopback; nothing else runs."""

    def __init__(self, state_root: Path, run_dir: Path) -> None:
        super().__init__(state_root, run_dir)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, container_id: str, *, loopback: bool = True) -> int:
        """Make one run; its process number. Its loopback may be down yet."""
        state = "up" if loopback else "down"
        command = ["unshare", "-n", "sh", "-c", f"ip link set lo {state} && echo made && exec sleep 60"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        self.processes[container_id] = process
        return process.pid

    def end(self, container_id: str) -> None:
        process = self.processes.pop(container_id)
        process.kill()
        process.communicate()

    def record(self, container_id: str) -> Record | None:
        process = self.processes.get(container_id)
        return Record(pid=process.pid) if process is not None else None


@pytest.fixture
def machine(state_root: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine where both run."""
    database = Database(state_root / "state.db")
    store = NetworkStore(database, "0" * 8)
    store.insert(Network("", "back", "bridge", 0, subnets=(Subnet("10.1.0.0/24", "10.1.0.1"),)))
    for container_id, name in ((WEB, "web"), (DB, "db")):
        with database.transaction() as connection:
            connection.execute("INSERT INTO containers (id, name, created_ns) VALUES (?, ?, 0)", (container_id, name))
        store.connect(container_id, NetworkOptions("back"))
        store.lease(container_id, lambda _: True)
    machine = Machine(state_root, tmp_path / "run")
    for container_id in (WEB, DB):
        machine.begin(container_id)
    yield machine
    for container_id in list(machine.processes):
        machine.end(container_id)
    database.close()


@pytest.fixture
def resolving(machine: Machine) -> Iterator[Resolving]:
    resolving = Resolving(machine)
    yield resolving
    resolving.close()


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """This thread in the network namespace of the process."""
    with open(f"/proc/{pid}/ns/net") as theirs, open("/proc/thread-self/ns/net") as ours:  # noqa: PTH123
        setns(theirs.fileno(), CLONE_NEWNET)
        try:
            yield
        finally:
            setns(ours.fileno(), CLONE_NEWNET)


def ask(machine: Machine, container_id: str, name: str, *, tcp: bool = False) -> list[str]:
    """The addresses, as the container is told them."""
    send: Callable[..., dns.message.Message] = dns.query.tcp if tcp else dns.query.udp
    with inside(machine.processes[container_id].pid):
        answer = send(dns.message.make_query(name, "A"), "127.0.0.11", timeout=5)
    return [record.to_text() for rrset in answer.answer for record in rrset]


def resolver_pid(machine: Machine) -> int:
    """The process of the machine's resolver."""
    return listener_pid(machine.run_dir)


def listener_pid(run_dir: str) -> int:
    """The process that listens as resolver, by unix(7), SO_PEERCRED."""
    with protocol.connect(f"{run_dir}/{RESOLVER_SOCKET}") as connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


@pytest.mark.parametrize("tcp", [False, True])
def test_each_is_answered_in_its_own_network_namespace(machine: Machine, resolving: Resolving, tcp: bool) -> None:
    resolving.hold([WEB, DB])
    assert ask(machine, WEB, "db", tcp=tcp) == ["10.1.0.3"]
    assert ask(machine, DB, "web", tcp=tcp) == ["10.1.0.2"]


def test_a_container_may_be_served_before_its_loopback_is_up(machine: Machine, resolving: Resolving) -> None:
    machine.end(WEB)
    machine.begin(WEB, loopback=False)
    resolving.hold([WEB, DB])
    for tcp in (False, True):
        assert ask(machine, WEB, "db", tcp=tcp) == ["10.1.0.3"]


def test_port_53_stays_the_containers_own(machine: Machine, resolving: Resolving) -> None:
    resolving.hold([WEB, DB])
    with inside(machine.processes[WEB].pid), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("0.0.0.0", 53))
        assert ask(machine, WEB, "db") == ["10.1.0.3"]


def test_who_has_ended_is_not_known_any_more_and_its_namespace_goes(machine: Machine, resolving: Resolving) -> None:
    resolving.hold([WEB, DB])
    namespace = Path(f"/proc/{machine.processes[DB].pid}/ns/net").readlink()
    descriptors = Path(f"/proc/{resolver_pid(machine)}/fd")
    assert namespace in targets(descriptors)
    machine.end(DB)
    assert ask(machine, WEB, "db") == []
    assert namespace not in targets(descriptors)
    machine.begin(DB)
    resolving.hold([WEB, DB])
    assert ask(machine, WEB, "db") == ["10.1.0.3"]


def test_one_that_was_killed_is_replaced_and_serves_all_again(machine: Machine, resolving: Resolving) -> None:
    resolving.hold([WEB, DB])
    pid = resolver_pid(machine)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    resolving.hold([WEB, DB])
    assert ask(machine, WEB, "db") == ["10.1.0.3"]
    assert ask(machine, DB, "web", tcp=True) == ["10.1.0.2"]


def test_two_engines_have_one(machine: Machine, resolving: Resolving) -> None:
    other = Resolving(machine)
    resolving.hold([WEB])
    first = resolver_pid(machine)
    other.hold([DB])
    assert resolver_pid(machine) == first
    other.close()
    assert ask(machine, WEB, "db") == ["10.1.0.3"]


def test_the_files_of_one_that_was_killed_are_collected(machine: Machine, resolving: Resolving) -> None:
    resolving.hold([WEB])
    collect(machine.state_root, machine.run_dir, detect())
    assert names(machine) == ["resolver", "resolver.lock", "resolver.log"]
    os.kill(resolver_pid(machine), signal.SIGKILL)
    machine.end(WEB)

    def collected() -> bool:
        collect(machine.state_root, machine.run_dir, detect())
        return names(machine) == []

    until(collected)


def test_a_loopback_server_of_the_host_is_asked_from_there(
    machine: Machine, resolving: Resolving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver sees a resolv.conf of this test's, since it is started in a mount namespace of its own."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    python = tmp_path / "python"
    script = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {sys.executable} "$@"'
    python.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{script}' sh \"$@\"\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    resolving.hold([WEB, DB])
    with NameServer({"example.org.": ["192.0.2.80"]}, at=("127.0.0.77", 53)) as server:
        for tcp in (False, True):
            assert ask(machine, WEB, "example.org", tcp=tcp) == ["192.0.2.80"]
    assert [tcp for _, _, tcp in server.asked] == [False, True]


def targets(descriptors: Path) -> set[Path]:
    """What a process's descriptors are of, but for those that are closed meanwhile."""
    found = set()
    for path in descriptors.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(path.readlink())
    return found


def names(machine: Machine) -> list[str]:
    """The files in the run directory."""
    return sorted(path.name for path in Path(machine.run_dir).iterdir())
