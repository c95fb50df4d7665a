"""The command port: where the ports of a container are published. Source: Docker's reference, "docker port"."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.results import PRE
from dockmagic.commands.run_ports import port_range
from dockmagic.commands.table import Pretty
from dockmagic.errors import NotFound
from dockmagic.oci.ports import Published, order
from dockmagic.runtime.ports.link import html_links

if TYPE_CHECKING:
    from dockmagic.engine import Engine


@dataclass(frozen=True)
class Ports:
    """Places on the host that lead to a container, by its ports; of `one` port the places alone are shown."""

    published: tuple[Published, ...]
    one: bool = False

    def __str__(self) -> str:
        """A place a line."""
        return "\n".join(each.place if self.one else f"{each.name} -> {each.place}" for each in self.published)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same, with links."""
        text = f'<pre style="{PRE}">{html.escape(str(self))}</pre>'
        return " · ".join([text, *html_links(self.published, os.environ)])


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")
    parser.add_argument("port", metavar="PORT[/PROTO]", nargs="?", help="one of its ports; protocol: tcp")


def _port(engine: Engine, args: Namespace, console: Console) -> Ports:
    """The published ports of a container, or where one of them is. Raises NotFound where that isn't published."""
    container = engine.containers.get(args.container)
    found = tuple(sorted(container.ports(), key=lambda each: order(each.name)))
    if args.port is None:
        return Ports(found)
    wanted = {f"{port}/{protocol}" for port, protocol in port_range(args.port, f"port: {args.port}")}
    found = tuple(each for each in found if each.name in wanted)
    if not found:
        raise NotFound("public port", f"{' '.join(sorted(wanted))} published for {args.container}")
    return Ports(found, one=True)


COMMANDS = (Command("container", "port", ("port",), "Show where ports are published.", _arguments, _port),)
