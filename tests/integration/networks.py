"""Containers on networks, what they say, and what the host has for them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import StartFailed
from dockmagic.events import ContainerOutput, Event
from dockmagic.network.creation import NetworkRequest
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import ExecOptions, RunOptions
from tests.integration.containers import until

LISTENS = f":{7000:04X} "  # proc_net(5)


def network(engine: Engine, name: str, **more: Any) -> None:
    """Make a network."""
    engine.networks.create(NetworkRequest(name, **more))


def options(command: str, *networks: str | NetworkOptions, **more: Any) -> RunOptions:
    """Options of a container that runs a shell command on these networks, by default on the bridge."""
    given = tuple(each if isinstance(each, NetworkOptions) else NetworkOptions(each) for each in networks)
    mode = given[0].network if given else "default"
    return RunOptions(command=("sh", "-c", command), network=mode, networks=given, remove=True, **more)


def said(engine: Engine, command: str, *networks: str | NetworkOptions, **more: Any) -> str:
    """What a shell command says in a container on these networks, and its status where that isn't 0."""
    output: list[bytes] = []

    def note(event: Event) -> None:
        if isinstance(event, ContainerOutput):
            output.append(event.data)

    result = engine.containers.run("busybox", options(command, *networks, **more), on_event=note)
    return b"".join(output).decode() + (f"status {result.exit_status}" if result.exit_status else "")


def idle(engine: Engine, name: str, *networks: str | NetworkOptions, **more: Any) -> Container:
    """A container that answers "NAME" at TCP port 7000 until it is stopped."""
    command = f"exec nc -ll -p 7000 -e echo {name}"
    container = engine.containers.run_detached("busybox", options(command, *networks, name=name, init=True, **more))
    sockets = [Path(f"/proc/{container.state().pid}/net/{name}") for name in ("tcp", "tcp6")]
    until(lambda: any(LISTENS in each.read_text() for each in sockets))
    return container


def address(container: Container, network: str = "bridge", version: int = 4) -> str:
    """The address of a container that runs."""
    field = "IPAddress" if version == 4 else "GlobalIPv6Address"
    return str(container.inspect()["NetworkSettings"]["Networks"][network][field])


def inside(container: Container, command: str) -> str:
    """What a shell command says in a container that runs, and its status where that isn't 0."""
    output: list[bytes] = []

    def note(event: Event) -> None:
        if isinstance(event, ContainerOutput):
            output.append(event.data)

    try:
        status = container.exec(ExecOptions(("sh", "-c", command)), on_event=note)
    except StartFailed as error:
        return str(error)
    return b"".join(output).decode() + (f"status {status}" if status else "")


def ask(where: str) -> str:
    """A shell command that says what answers at port 7000 of an address within a second."""
    return f"nc -w 1 {where} 7000 </dev/null 2>&1 || echo unreachable"


def ip(*words: str) -> Any:
    """What iproute2 tells of the host, an independent reader."""
    return json.loads(subprocess.run(["ip", "-j", *words], check=True, capture_output=True, text=True).stdout or "[]")


def nft(*words: str) -> str:
    """What the nft program tells of the host's rules."""
    return subprocess.run(["nft", *words], check=True, capture_output=True, text=True).stdout


def bridges(engine: Engine) -> list[str]:
    """Names of the bridges of an engine's state root on the host."""
    names: Sequence[str] = [link["ifname"] for link in ip("link", "show", "type", "bridge")]
    wanted = {found.interface for found in engine.networks.ls()}
    return [name for name in names if name in wanted]
