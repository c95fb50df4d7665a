"""The host, its networks and the containers on them as plain values, for pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network: its name, its driver, the bridge's name on the host, and the host's addresses on it with prefixes."""

    name: str
    driver: str = "bridge"
    interface: str = ""
    addresses: tuple[str, ...] = ()
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container is on a network: the network's name, its interface there and its addresses."""

    network: str
    interface: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A container. Each of `ports` is what `docker ps` shows of one, such as "0.0.0.0:49160->8080/tcp".

    `joined` is the name of the container whose network it has, "" for a network of its own.
    """

    name: str
    image: str
    running: bool
    places: tuple[Place, ...] = ()
    ports: tuple[str, ...] = ()
    joined: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it; `addresses` are those of the host in networks of its own."""

    host: str
    addresses: tuple[str, ...]
    bridges: tuple[Bridge, ...]
    nodes: tuple[Node, ...]
