"""Commands on registries that are served here: serve, stop.

In a notebook a registry is served in the background, until `registry stop` or the kernel's end. In a terminal it is
served until Ctrl-C, with a line for each request.
"""

from __future__ import annotations

import html
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.commands import values
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.human import decimal_size
from dockmagic.commands.results import PRE, Names
from dockmagic.commands.table import Pretty
from dockmagic.errors import NotFound
from dockmagic.events import RegistryRequest
from dockmagic.widgets.text import printable

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.registry.server import RegistryServer

DEFAULT_PORT = 5000  # as that of Docker's image `registry`


@dataclass(frozen=True)
class Served:
    """A registry that is served; `requests` are those that it was asked for."""

    server: RegistryServer

    @property
    def host(self) -> str:
        """HOST:PORT, as it stands before a repository's name."""
        return self.server.host

    @property
    def url(self) -> str:
        """Where it is on the web."""
        return self.server.url

    @property
    def requests(self) -> tuple[RegistryRequest, ...]:
        """The last requests, oldest first."""
        return self.server.requests

    def stop(self) -> None:
        """End it; idempotent."""
        self.server.stop()

    def __str__(self) -> str:
        """Where it is, how to use it, and what one ought to know."""
        state = "was served" if self.server.stopped else "is served"
        lines = [f"a registry {state} at {self.url}: images are called {self.host}/NAME:TAG"]
        return "\n".join(lines + [f"WARNING: {self.server.warning}"] * bool(self.server.warning))

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same in a preformatted block."""
        return f'<pre style="{PRE}">{html.escape(str(self))}</pre>'


def request_line(request: RegistryRequest, now: datetime) -> str:
    """A request on one line: when, who, what, and what came of it."""
    who = " ".join(word for word in (request.client, request.user, request.agent.partition(" ")[0]) if word)
    size = f"{decimal_size(request.received_bytes)} in, {decimal_size(request.sent_bytes)} out"
    time = f"{request.duration_s * 1000:.0f} ms"
    what = f"{now:%H:%M:%S} {who} {request.method} {request.path} {request.status or 'broken off'} {size}, {time}"
    return printable(f"{what}; {request.error}" if request.error else what)


def _serve_arguments(parser: CommandParser) -> None:
    """Add where, what and for whom."""
    port = typed(values.natural)
    parser.add_argument("-p", "--port", type=port, default=DEFAULT_PORT, help=f"0: any free one ({DEFAULT_PORT})")
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0: all addresses (127.0.0.1)")
    parser.add_argument(
        "--store", "--from-store", action="store_true", help="serve the images that are here, read-only"
    )
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where to keep what is pushed")
    parser.add_argument("--read-only", action="store_true", help="take nothing, delete nothing")
    parser.add_argument("--no-delete", action="store_true", help="delete nothing")
    parser.add_argument("--auth", default="", metavar="USER:PASSWORD|FILE", help="who may use it; FILE: `htpasswd -B`")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate in PEM form")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, where it isn't in the same file")


def _serve(engine: Engine, args: Namespace, console: Console) -> Served:
    """Serve a registry."""
    server = engine.registry.serve(
        args.port,
        args.bind,
        directory=args.directory,
        from_store=args.store,
        read_only=args.read_only,
        delete=not args.no_delete,
        auth=args.auth,
        certificate=args.tls_cert,
        key=args.tls_key,
    )
    return Served(server)


def _follow(served: Served, console: Console) -> None:
    """Say where it is, and write a line for each request until the registry or the user ends it."""
    requests = served.server.follow()  # before anybody knows where it is
    with suppress(KeyboardInterrupt):
        console.write("stderr", f"{served}\n".encode())
        for request in requests:
            console.write("stderr", f"{request_line(request, datetime.now())}\n".encode())
    served.stop()


def _stop_arguments(parser: CommandParser) -> None:
    parser.add_argument("ports", metavar="PORT", nargs="*", type=typed(values.natural), help="which one (all)")


def _stop(engine: Engine, args: Namespace, console: Console) -> Names:
    """Stop registries; a line for each. Raises NotFound for a port that none is served on."""
    served = {server.port: server for server in engine.registry.served}
    for port in args.ports:
        if port not in served:
            raise NotFound("registry", f"on port {port}", "one that a terminal serves ends there, with Ctrl-C")
    ended = [served[port] for port in args.ports or served]
    names = [server.host for server in ended]
    for server in ended:
        server.stop()
    return Names(names)


COMMANDS = (
    Command("registry", "serve", (), "Serve a registry from here.", _serve_arguments, _serve, _follow),
    Command("registry", "stop", (), "Stop registries that are served from here.", _stop_arguments, _stop),
)
