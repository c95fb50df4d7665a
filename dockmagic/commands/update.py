"""The command that changes limits and restart policies of containers. Source: docker container update's reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.container import for_each
from dockmagic.commands.refused import UPDATE, add_refused
from dockmagic.commands.results import Names
from dockmagic.commands.run_life import add_restart
from dockmagic.commands.run_resources import add_limits, limits
from dockmagic.commands.run_shape import add_shape, shape
from dockmagic.errors import InvalidOption

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.oci.options import LimitChanges


def _arguments(parser: CommandParser) -> None:
    add_limits(parser)
    add_shape(parser)
    add_restart(parser)
    add_refused(parser, UPDATE)
    parser.add_argument("containers", metavar="CONTAINER", nargs="+", help="name, id, or the beginning of an id")


def _update(engine: Engine, args: Namespace, console: Console) -> Names:
    """Change limits and restart policies of containers, of running ones at once."""
    asked = {**limits(args), **shape(args), "blkio_weight": args.blkio_weight or None, "restart": args.restart}
    changes = cast("LimitChanges", {name: value for name, value in asked.items() if value not in (None, "")})
    if not changes:
        raise InvalidOption("you must provide one or more flags when using this command: --memory, --cpus, …")

    def change(name: str) -> None:
        for warning in engine.containers.get(name).update(**changes):
            console.write("stderr", f"WARNING: {warning}\n".encode())

    return for_each(args.containers, change, console)


_SUMMARY = "Change limits and restart policies of containers."
COMMANDS = (Command("container", "update", ("update",), _SUMMARY, _arguments, _update),)
