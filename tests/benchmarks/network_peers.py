"""Who serves in the benchmark of networks: dockmagic, podman with its bridge, and a namespace behind slirp4netns.

All run in a network namespace of this program's own, in which the host has one more address beside its loopback's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tests.benchmarks.peers import ULIMITS

if TYPE_CHECKING:
    from dockmagic.container import Container
    from dockmagic.engine import Engine

PROGRAMS: Final = ("iperf3", "podman", "slirp4netns", "ip", "unshare", "nsenter")
HOST: Final = "198.51.100.1"
PORT: Final = 5201
DIRECTORIES: Final = ("/usr", "/lib", "/lib64")
SERVER: Final = ("iperf3", "-s", "-p", str(PORT))
CLIENT: Final = ("iperf3", "-J", "-t", "2", "-O", "0.5", "-c")
WEB: Final = "mkdir -p /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w"


class Peer(Protocol):
    """An engine that runs a server, clients, and web servers."""

    name: str
    port: int

    def client(self) -> Sequence[str] | None:
        """Command line of a client in another container, without the address; None where there are none."""

    def address(self) -> str:
        """The server's own address."""

    def web(self, port: int) -> None:
        """Start a web server in a container whose port is published there."""

    def end_web(self) -> None:
        """End it."""


@dataclass
class Dockmagic:
    """This engine, in this process."""

    engine: Engine
    name: str = "dockmagic"
    port: int = 20001

    def __post_init__(self) -> None:
        """Start a server, and a container for clients."""
        self.server = self._run("server", SERVER, f"{self.port}:{PORT}")
        self.other = self._run("client", ("sleep", "9999"))
        self._web: Container | None = None

    def _run(self, name: str, command: Sequence[str], *ports: str) -> Container:
        from dockmagic.commands.run_ports import publish
        from dockmagic.oci.options import RunOptions
        from dockmagic.oci.spec import Mount

        options = RunOptions(
            name=name,
            command=tuple(command),
            mounts=tuple(Mount(path, "bind", path, ("rbind", "ro")) for path in DIRECTORIES),
            publish=tuple(binding for text in ports for binding in publish(text)),
            remove=True,
        )
        return self.engine.containers.run_detached("busybox", options)

    def client(self) -> Sequence[str]:
        """A client in the other container's network, which is all that counts of it."""
        return ("nsenter", f"--net=/proc/{self.other.state().pid}/ns/net", *CLIENT)

    def address(self) -> str:
        """By inspect, as podman's."""
        return address_in(self.server.inspect())

    def web(self, port: int) -> None:
        """Start a web server."""
        self._web = self._run("web", ("sh", "-c", WEB), f"{port}:80")

    def end_web(self) -> None:
        """End it."""
        assert self._web is not None
        self._web.rm(force=True)


@dataclass
class Podman:
    """Podman with a bridge; `base` is the beginning of its command lines."""

    base: Sequence[str]
    name: str = "podman"
    port: int = 20002

    def __post_init__(self) -> None:
        """Start a server, and a container for clients."""
        self._run("server", SERVER, "-p", f"{self.port}:{PORT}")
        self._run("client", ("sleep", "9999"))
        self._pid = self._inspected("client")["State"]["Pid"]

    def _run(self, name: str, command: Sequence[str], *flags: str) -> None:
        volumes = [word for path in DIRECTORIES for word in ("-v", f"{path}:{path}:ro")]
        argv = [*self.base, "run", "-d", "--rm", "--name", name, *ULIMITS, *volumes, *flags, "bench", *command]
        subprocess.run(argv, check=True, capture_output=True)

    def _inspected(self, name: str) -> dict[str, dict[str, Any]]:
        done = subprocess.run([*self.base, "inspect", name], check=True, capture_output=True)
        found: dict[str, dict[str, Any]] = json.loads(done.stdout)[0]
        return found

    def client(self) -> Sequence[str]:
        """A client in the other container's network, which is all that counts of it."""
        return ("nsenter", f"--net=/proc/{self._pid}/ns/net", *CLIENT)

    def address(self) -> str:
        """By inspect."""
        return address_in(self._inspected("server"))

    def web(self, port: int) -> None:
        """Start a web server."""
        self._run("web", ("sh", "-c", WEB), "-p", f"{port}:80")

    def end_web(self) -> None:
        """End it."""
        subprocess.run([*self.base, "rm", "-f", "-t", "0", "web"], check=True, capture_output=True)


def address_in(document: dict[str, dict[str, Any]]) -> str:
    """The IPv4 address that inspect tells of."""
    networks = document["NetworkSettings"]["Networks"]
    return next((str(each["IPAddress"]) for each in networks.values() if each.get("IPAddress")), "")


@contextlib.contextmanager
def slirp(directory: Path, port: int) -> Iterator[None]:
    """A server in a namespace of its own, which slirp4netns publishes at a port of the loopback."""
    server = subprocess.Popen(["unshare", "-n", "sh", "-c", f"ip link set lo up; exec {' '.join(SERVER)}"], stdout=-3)
    api = str(directory / "slirp")
    time.sleep(0.5)
    network = ("slirp4netns", "-c", "--mtu=65520", "--api-socket", api, str(server.pid), "tap0")
    forwarder = subprocess.Popen(network, stdout=-3, stderr=-3)
    time.sleep(1)
    ports = {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": port, "guest_port": PORT}
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(api)
        control.sendall(json.dumps({"execute": "add_hostfwd", "arguments": ports}).encode())
        control.recv(1000)
    try:
        yield
    finally:
        for process in (forwarder, server):
            os.kill(process.pid, signal.SIGTERM)
            process.wait()
