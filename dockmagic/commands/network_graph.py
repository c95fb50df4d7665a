"""The command network graph: a picture of the host, its networks and its containers."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.table import Pretty
from dockmagic.network.graph import Bridge, Graph, Node, Place
from dockmagic.oci.networks import HOST, NONE
from dockmagic.widgets.network import network_figure, network_svg, network_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dockmagic.container import Container
    from dockmagic.engine import Engine
    from dockmagic.network.model import Endpoint, Network


@dataclass(frozen=True)
class NetworkGraph:
    """The picture; `graph` has what it shows."""

    graph: Graph

    def __str__(self) -> str:
        """The picture as text."""
        return network_text(self.graph)

    def plot(self) -> Figure:
        """The picture as a figure of matplotlib, to be saved in any format."""
        return network_figure(self.graph)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The picture as SVG."""
        return network_svg(self.graph)


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="show networks without containers, and stopped ones")


def _graph(engine: Engine, args: Namespace, console: Console) -> NetworkGraph:
    """Draw the host, its networks, and the containers on them."""
    nodes = tuple(_node(engine, container) for container in reversed(engine.containers.ls(all=args.all)))
    used = {place.network for node in nodes for place in node.places}
    networks = [network for network in engine.networks.ls() if network.interface or network.name in used]
    bridges = tuple(_bridge(network) for network in networks if args.all or network.name in used)
    return NetworkGraph(Graph(os.uname().nodename, _host_addresses(), bridges, nodes))


def _host_addresses() -> tuple[str, ...]:
    """The addresses from which this machine speaks to others, of both versions; nothing is sent to find out."""
    found = []
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))
            found.append(str(probe.getsockname()[0]))
    return tuple(found)


def _bridge(network: Network) -> Bridge:
    addresses = tuple(f"{subnet.gateway}/{subnet.prefix}" for subnet in network.subnets)
    return Bridge(network.name, network.driver, network.interface, addresses, network.internal)


def _node(engine: Engine, container: Container) -> Node:
    """A container with its places; on the host's network it is on the one that is called so."""
    running, options = container.running, container.row.options
    joined = options.joined().get("network")
    places = tuple(_place(place, running=running) for place in engine.networks.places(container.id))
    if not places and options.network in (HOST, NONE):
        places = (Place(options.network),)
    name = "" if joined is None else next((c.name for c in engine.containers.ls(all=True) if c.id == joined), joined)
    return Node(container.name, container.image, running, places, joined=name)


def _place(place: Endpoint, *, running: bool) -> Place:
    addresses = tuple(address for address in (place.ipv4, place.ipv6) if address and running)
    return Place(place.network.name, place.interface if running else "", addresses)


COMMANDS = (Command("network", "graph", (), "Draw host, networks and containers.", _arguments, _graph),)
