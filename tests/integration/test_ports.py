"""Published ports with real traffic: from this machine, in every form, and what becomes of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.commands.run_ports import publish
from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import Conflict, InvalidOption, NotFound
from dockmagic.events import ContainerWarning, Event
from dockmagic.oci.options import RestartPolicy, RunOptions
from dockmagic.oci.spec import Mount
from tests.integration.containers import execute, run, until

pytestmark = [pytest.mark.root, pytest.mark.needs("nft", "ip", "nsenter"), pytest.mark.usefixtures("busybox")]
SCRIPT = Path(__file__).parent / "port_server.py"
PYTHON = tuple(
    Mount(path, "bind", path, ("rbind", "ro", "rprivate")) for path in ("/usr", "/lib", "/lib64") if Path(path).is_dir()
)
PATTERN = bytes(range(256)) * 256

Serve = Callable[..., Container]


@pytest.fixture
def serve(engine: Engine) -> Iterator[Serve]:
    """Start servers in containers, which listen at port 80 everywhere."""
    made = []

    def start(kind: str, *ports: str, address: str = "0.0.0.0", **more: object) -> Container:
        given = {
            "command": ("/usr/bin/python3", "/server.py", kind, address, "80"),
            "publish": tuple(binding for text in ports for binding in publish(text)),
            "mounts": (*PYTHON, Mount("/server.py", "bind", str(SCRIPT), ("rbind", "ro"))),
            **more,
        }
        container = engine.containers.run_detached("busybox", RunOptions(**given))  # type: ignore[arg-type]
        made.append(container)
        until(lambda: any(b"ready" in line.data for line in container.logs()))
        return container

    yield start
    for container in made:
        with contextlib.suppress(NotFound):
            container.rm(force=True)


def connect(container: Container, address: str = "127.0.0.1", port: int = 80) -> socket.socket:
    """A connection to where the container's port is published."""
    wanted = "::" if ":" in address else "0.0.0.0"
    found = [each.host_port for each in container.ports() if each.port == port and each.host_ip in (wanted, address)]
    return socket.create_connection((address, found[0]), timeout=20)


def ask(connection: socket.socket, question: bytes = b"") -> bytes:
    """Send a question and its end; everything that comes then."""
    with connection:
        connection.sendall(question)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def answers(container: Container, question: bytes) -> bool:
    """Whether what listens in it gives this back; while nothing does, connections are closed."""
    with contextlib.suppress(OSError):
        return ask(connect(container), question) == question
    return False


def own_address() -> str:
    """An address of this host that isn't its loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.99", 9))
        return str(probe.getsockname()[0])


def test_a_random_port_is_reached_from_everywhere_on_this_host(serve: Serve) -> None:
    container = serve("echo", "80")
    assert {each.host_ip for each in container.ports()} == {"0.0.0.0", "::"}
    assert len({each.host_port for each in container.ports()}) == 1
    for address in ("127.0.0.1", "::1", own_address()):
        assert ask(connect(container, address), b"hello") == b"hello"


def test_one_address(serve: Serve) -> None:
    container = serve("echo", "127.0.0.1::80")
    assert [each.host_ip for each in container.ports()] == ["127.0.0.1"]
    assert ask(connect(container), b"hello") == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own_address(), container.ports()[0].host_port), timeout=5)


def test_ipv6_alone(serve: Serve) -> None:
    container = serve("echo", "[::1]::80")
    assert [each.host_ip for each in container.ports()] == ["::1"]
    assert ask(connect(container, "::1"), b"six") == b"six"


def test_half_a_connection_ends_and_the_other_goes_on(serve: Serve) -> None:
    """The server reads to the end before it answers, which it would wait for for ever otherwise."""
    data = PATTERN * 5
    assert ask(connect(serve("digest", "80")), data).decode() == hashlib.sha256(data).hexdigest()


def test_a_hundred_megabytes_go_in(serve: Serve) -> None:
    sha = hashlib.sha256()
    with connect(serve("digest", "80")) as connection:
        for _ in range(1600):
            connection.sendall(PATTERN)
            sha.update(PATTERN)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).decode() == sha.hexdigest()


def test_a_hundred_megabytes_come_out_to_one_that_is_slow_at_first(serve: Serve) -> None:
    """What waits meanwhile waits in the container: the forwarder holds no more than a pipe of it."""
    sha, expected = hashlib.sha256(), hashlib.sha256(PATTERN * 1600).digest()
    container = serve("source", "80")
    with connect(container) as connection:
        until(lambda: len(connection.recv(1 << 20, socket.MSG_PEEK)) > 1 << 16)
        assert resident_kb(forwarder(container)) < 40_000
        while data := connection.recv(1 << 20):
            sha.update(data)
    assert sha.digest() == expected


def test_two_hundred_connections_at_once(serve: Serve) -> None:
    container = serve("echo", "80")
    directory = Path(f"/proc/{forwarder(container)}/fd")
    before = len(list(directory.iterdir()))
    connections = [connect(container) for _ in range(200)]
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
    assert [int(connection.recv(10)) for connection in connections] == list(range(200))
    for connection in connections:
        connection.close()
    until(lambda: len(list(directory.iterdir())) <= before + 64)  # some pipes are kept


def test_datagrams_of_many_clients(serve: Serve) -> None:
    container = serve("udp", "80/udp")
    port = container.ports()[0].host_port
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, own_address()), (socket.AF_INET6, "::1")):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(20)]
            for number, client in enumerate(clients):
                client.settimeout(10)
                client.connect((address, port))  # an answer from another address wouldn't come in
                client.send(b"%d" % number)
            assert [int(client.recv(10)) for client in clients] == list(range(20))
            clients[0].send(b"x" * 60_000)
            assert clients[0].recv(65535) == b"x" * 60_000


def test_a_client_finds_the_next_container_at_the_same_port(serve: Serve) -> None:
    """The kernel would remember for minutes where its datagrams went."""
    first, _ = serve("udp", "23680:80/udp"), serve("echo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect((own_address(), 23680))

        def heard() -> bool:
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                return client.send(b"x") == 1 and client.recv(10) == b"x"
            return False

        until(heard)
        address = own(first)
        first.rm(force=True)
        assert own(serve("udp", "23680:80/udp")) != address
        until(heard)


def test_a_port_that_nobody_serves_inside_is_closed(serve: Serve) -> None:
    container = serve("echo", "80", "81")
    with connect(container, port=81) as connection:
        assert connection.recv(10) == b""


def test_a_port_that_another_container_has(serve: Serve) -> None:
    first = serve("echo", "80")
    port = first.ports()[0].host_port
    for text in (f"{port}:80", f"127.0.0.1:{port}:80", f"[::1]:{port}:80"):
        with pytest.raises(Conflict) as caught:
            serve("echo", text)
        assert "failed: port is already allocated" in str(caught.value)
        assert f"container {first.id[:12]} has it" in str(caught.value)


def test_a_port_that_another_program_has(engine: Engine) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        options = RunOptions(command=("true",), publish=publish(f"{port}:80"), remove=True)
        with pytest.raises(Conflict) as caught:
            engine.containers.run("busybox", options)
        assert f"Bind for 0.0.0.0:{port} failed: port is already allocated; process {other.pid} (" in str(caught.value)
        other.communicate("\n")
    assert engine.containers.run("busybox", options).exit_status == 0


def test_what_cannot_be_bound(engine: Engine) -> None:
    for text, message in (("192.0.2.77:0:80", "192.0.2.77 isn't an address of this host"), ("0:80", "")):
        options = RunOptions(command=("true",), publish=publish(text), remove=True)
        if message:
            with pytest.raises(InvalidOption, match=message):
                engine.containers.run("busybox", options)
        else:
            assert engine.containers.run("busybox", options).exit_status == 0
    twice = RunOptions(command=("true",), publish=publish("23677:80") + publish("23677:81"), remove=True)
    with pytest.raises(InvalidOption, match="port 23677/tcp of the host is asked for twice"):
        engine.containers.run("busybox", twice)
    assert engine.containers.ls(all=True) == []


def test_ranges(serve: Serve) -> None:
    """Of a range the first free port is taken; many ports are served at once."""
    first = serve("echo", "23600-23700:80")
    second = serve("echo", "23600-23700:80")
    assert [each.host_port for each in first.ports()] == [23600, 23600]
    assert [each.host_port for each in second.ports()] == [23601, 23601]
    many = serve("echo", "24000-24399:80-479")
    assert len(many.ports()) == 800
    assert ask(connect(many), b"many") == b"many"


def test_all_exposed_ports(engine: Engine, serve: Serve) -> None:
    container = serve("echo", "23678:81", publish_all=True, expose=("80/tcp", "81/tcp", "53/udp"))
    ports = {each.name: each.host_port for each in container.ports()}
    assert ports.keys() == {"80/tcp", "81/tcp", "53/udp"}
    assert ports["81/tcp"] == 23678
    assert ask(connect(container), b"hello") == b"hello"


def test_a_start_publishes_again_and_an_end_frees(serve: Serve, engine: Engine) -> None:
    container = serve("echo", "23679:80")
    assert ask(connect(container), b"one") == b"one"
    container.kill()
    container.wait()
    assert container.ports() == ()
    with socket.create_server(("0.0.0.0", 23679)):
        with pytest.raises(Conflict, match="port is already allocated"):
            container.start()
    assert engine.containers.get(container.id).state().status == "exited"
    container.start()
    until(lambda: answers(container, b"two"))
    container.restart(timeout_s=0)
    until(lambda: answers(container, b"three"))


def test_a_container_that_starts_again_by_itself_keeps_its_ports(serve: Serve) -> None:
    container = serve("echo", "80", restart=RestartPolicy("always"))
    ports, first = container.ports(), forwarder(container)
    os.kill(container.state().pid, signal.SIGKILL)
    until(lambda: container.state().running and answers(container, b"again"))
    assert container.ports() == ports
    assert forwarder(container) != first


def test_who_comes_from_elsewhere_is_led_by_the_kernel(serve: Serve) -> None:
    """It sees who came, unless the forwarder had to do it."""
    container = serve("peer", "80")
    until(lambda: ask(connect(container, own_address())).decode() == own_address())
    for address in ("127.0.0.1", "::1"):
        assert ask(connect(container, address)).decode() == own(container)
    table = rules(f"dockmagic-ports-{forwarder(container)}")
    assert f"tcp dport {container.ports()[0].host_port} dnat to {own(container)}:80" in table
    container.rm(force=True)
    assert "dockmagic-ports" not in rules()


def test_other_containers_come_through_the_gateway_and_any_address_of_the_host(serve: Serve, engine: Engine) -> None:
    """So does the container itself."""
    container, other = serve("echo", "80"), serve("echo")
    for guest in (container, other):
        for address in (gateway(container), own_address()):
            words = ("nc", "-w", "5", address, str(container.ports()[0].host_port))
            outcome = execute(guest, "sh", "-c", f"echo hello | {' '.join(words)}")
            assert (outcome.status, outcome.stdout) == (0, "hello\n"), outcome


def test_only_what_listens_on_its_address_is_reached(serve: Serve) -> None:
    container = serve("echo", "80", address="127.0.0.1")
    with connect(container) as connection:
        assert connection.recv(10) == b""


def test_without_a_network_its_loopback_is_reached(serve: Serve) -> None:
    container = serve("echo", "80", network="none")
    assert ask(connect(container), b"hello") == b"hello"


def test_when_the_address_goes_the_forwarder_serves(serve: Serve) -> None:
    container = serve("echo", "80")
    until(lambda: "dnat" in rules(f"dockmagic-ports-{forwarder(container)}"))
    enter = ("nsenter", f"--net=/proc/{container.state().pid}/ns/net", "ip", "addr", "flush", "dev", "eth0")
    subprocess.run(enter, check=True)
    until(lambda: "dockmagic-ports" not in rules())
    assert ask(connect(container, own_address()), b"hello") == b"hello"


def test_the_hosts_network_has_no_ports_of_its_own(engine: Engine) -> None:
    warnings = list[str]()

    def note(event: Event) -> None:
        if isinstance(event, ContainerWarning):
            warnings.append(event.message)

    options = RunOptions(command=("true",), network="host", publish=publish("80"), remove=True)
    engine.containers.run("busybox", options, on_event=note)
    assert "Published ports are discarded when using host network mode" in warnings


def test_connections_end_with_the_container(serve: Serve) -> None:
    container = serve("echo", "80")
    with connect(container) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        container.rm(force=True)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_it_serves_on_when_the_engine_and_the_launcher_die(serve: Serve, engine: Engine, state_root: Path) -> None:
    script = (
        "import os, pathlib; from dockmagic.engine import Engine; from dockmagic.oci.options import RunOptions\n"
        "from dockmagic.commands.run_ports import publish\n"
        f"engine = Engine(pathlib.Path({str(state_root)!r}))\n"
        "command = ('nc', '-ll', '-p', '80', '-e', 'cat')\n"
        "engine.containers.run_detached('busybox', RunOptions(command=command, "
        "publish=publish('80'), name='orphan'))\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    container = engine.containers.get("orphan")
    os.kill(launcher_of(container), signal.SIGKILL)
    until(lambda: answers(container, b"still here"))
    container.rm(force=True)
    assert run(engine, "echo", "a new launcher").stdout == "a new launcher\n"


def test_the_forwarder_goes_with_the_monitor(serve: Serve) -> None:
    container = serve("echo", "80")
    pid, port = forwarder(container), container.ports()[0].host_port
    os.kill(parent(pid), signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    socket.create_server(("0.0.0.0", port)).close()
    assert container.ports() == ()


def test_the_forwarder_has_no_rights_and_nothing_of_the_monitors(serve: Serve) -> None:
    container = serve("echo", "80")
    pid = forwarder(container)
    until(lambda: "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text())
    assert "CapPrm:\t0000000000000000" in Path(f"/proc/{pid}/status").read_text()
    assert len(descriptors(pid)) == 3 + 1 + 2 + 2  # streams, epoll, the port's sockets, netlink
    assert Path(f"/proc/{pid}/ns/net").readlink() == Path(f"/proc/{container.state().pid}/ns/net").readlink()


def own(container: Container) -> str:
    """The container's address."""
    return str(container.inspect()["NetworkSettings"]["IPAddress"])


def gateway(container: Container) -> str:
    """The host's address in the container's network."""
    return str(container.inspect()["NetworkSettings"]["Gateway"])


def rules(table: str = "") -> str:
    """A table of the host's rules, or all of them, as nft shows them; "" where there is none."""
    words = ["table", "ip", table] if table else ["ruleset"]
    return subprocess.run(["nft", "list", *words], capture_output=True, text=True).stdout


def parent(pid: int) -> int:
    """The parent's process number."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def monitor_of(container: Container) -> int:
    """The process number of a container's monitor."""
    return parent(container.state().pid)


def launcher_of(container: Container) -> int:
    """The process number of its launcher."""
    return parent(monitor_of(container))


def forwarder(container: Container) -> int:
    """The process number of its forwarder."""
    monitor = monitor_of(container)
    children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    return next(int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "dockmagic-port\n")


def resident_kb(pid: int) -> int:
    """Memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def descriptors(pid: int) -> list[str]:
    """What its descriptors are of."""
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
