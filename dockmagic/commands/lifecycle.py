"""Commands on containers that run: pause, unpause, restart, rename, top. Source: Docker's reference."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.container import add_names, for_each, stop_arguments
from dockmagic.commands.results import Names, Shown
from dockmagic.commands.table import Table

if TYPE_CHECKING:
    from dockmagic.engine import Engine


def _pause(engine: Engine, args: Namespace, console: Console) -> Names:
    """Make all processes of containers stand still."""
    return for_each(args.containers, lambda name: engine.containers.get(name).pause(), console)


def _unpause(engine: Engine, args: Namespace, console: Console) -> Names:
    """Let the processes of paused containers go on."""
    return for_each(args.containers, lambda name: engine.containers.get(name).unpause(), console)


def _restart(engine: Engine, args: Namespace, console: Console) -> Names:
    """Stop containers and start them again."""
    first = args.signal or ""
    return for_each(args.containers, lambda name: engine.containers.get(name).restart(args.time, first), console)


def _rename_arguments(parser: CommandParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")
    parser.add_argument("name", metavar="NEW_NAME", help="its name from now on")


def _rename(engine: Engine, args: Namespace, console: Console) -> Shown:
    """Give a container another name."""
    engine.containers.get(args.container).rename(args.name)
    return Shown()


def _top_arguments(parser: CommandParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")
    parser.add_argument(
        "options", metavar="PS OPTIONS", nargs=argparse.REMAINDER, help="-ef (as without any), aux, or -o and columns"
    )


def _top(engine: Engine, args: Namespace, console: Console) -> Table:
    """Table of a container's processes, by the host's numbers."""
    listing = engine.containers.get(args.container).top(args.options)
    return Table(listing.titles, listing.rows, listing.rows)


COMMANDS = (
    Command("container", "pause", ("pause",), "Make all processes of containers stand still.", add_names, _pause),
    Command("container", "unpause", ("unpause",), "Let paused containers go on.", add_names, _unpause),
    Command("container", "restart", ("restart",), "Stop containers and start them again.", stop_arguments, _restart),
    Command("container", "rename", ("rename",), "Give a container another name.", _rename_arguments, _rename),
    Command("container", "top", ("top",), "Show the processes of a container.", _top_arguments, _top),
)
