"""Commands on images: tag, rm, history, bootstrap. Source: Docker's reference."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.container import for_each
from dockmagic.commands.human import ago, decimal_size, short_id
from dockmagic.commands.refused import TEMPLATES, Refused, add_refused
from dockmagic.commands.results import Names, Stored
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_INSTRUCTION_WIDTH = 45


def _tag_arguments(parser: CommandParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="image to name")
    parser.add_argument("target", metavar="TARGET", help="its new name")


def _tag(engine: Engine, args: Namespace, console: Console) -> Names:
    """Give an image one more name."""
    engine.images.tag(args.source, args.target)
    return Names()


def _rm_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="also where a stopped container uses it")
    parser.add_argument(
        "--remote", action="store_true", help="in their registries: a tag, or by digest an image with all its tags"
    )
    add_refused(parser, (Refused(("--no-prune",), "layers that nothing uses are always removed", switch=True),))
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="name or id")


def _rm(engine: Engine, args: Namespace, console: Console) -> Names:
    """Take names from images, and remove those that have none left."""
    lines: list[str] = []
    if not args.remote:
        for_each(args.images, lambda name: lines.extend(engine.images.rm(name, force=args.force)), console)
        return Names(lines)
    if args.force:
        raise InvalidOption("-f means nothing in a registry: leave it out")
    with console.watching() as on_event:
        for_each(args.images, lambda name: lines.append(engine.images.delete_remote(name, on_event)), console)
    return Names(lines)


def _history_arguments(parser: CommandParser) -> None:
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten ids and instructions")
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument(
        "-H",
        "--human",
        action=BooleanOptionalAction,
        default=True,
        help="sizes and times in words (--human=false: not)",
    )
    add_refused(parser, TEMPLATES)
    parser.add_argument("image", metavar="IMAGE", help="name or id")


def _history(engine: Engine, args: Namespace, console: Console) -> Table:
    """Table of what made an image, the last instruction first."""
    tree = engine.images.tree(args.image)
    now = datetime.now(UTC)
    last = len(tree.nodes) - 1
    identifier = str(tree.image.id) if args.no_trunc else short_id(tree.image.id)
    rows = [
        (
            identifier if index == last else "<missing>",
            _age(node.created, now) if args.human else node.created or "N/A",
            _instruction(node.instruction, args.no_trunc),
            decimal_size(node.size_bytes) if args.human else str(node.size_bytes),
        )
        for index, node in enumerate(tree.nodes)
    ]
    columns = ("IMAGE", "CREATED" if args.human else "CREATED AT", "CREATED BY", "SIZE")
    return Table(columns, tuple(reversed(rows)), tuple(reversed(tree.nodes)), bare=args.quiet)


def _age(created: str, now: datetime) -> str:
    """How long ago an RFC 3339 time was."""
    try:
        return ago((now - datetime.fromisoformat(created)).total_seconds())
    except (TypeError, ValueError):
        return "N/A"


def _instruction(text: str, no_trunc: bool) -> str:
    """An instruction on one line."""
    line = " ".join(text.split())
    return line if no_trunc or len(line) <= _INSTRUCTION_WIDTH else f"{line[: _INSTRUCTION_WIDTH - 1]}…"


def _bootstrap_arguments(parser: CommandParser) -> None:
    parser.add_argument("name", metavar="NAME", help="busybox, debian, or debian:SUITE")


def _bootstrap(engine: Engine, args: Namespace, console: Console) -> Stored:
    """Make a base image of this machine's parts, where no registry can be reached."""
    with console.watching() as on_event:
        return Stored(engine.images.bootstrap(args.name, on_event=on_event))


def _command(
    verb: str,
    aliases: tuple[str, ...],
    summary: str,
    arguments: Callable[[CommandParser], None],
    run: Callable[..., object],
) -> Command:
    """A command of this module."""
    return Command("image", verb, aliases, summary, arguments, run)


COMMANDS = (
    _command("tag", ("tag",), "Give an image one more name.", _tag_arguments, _tag),
    _command("rm", ("rmi", "image remove"), "Remove names of images, and images.", _rm_arguments, _rm),
    _command("history", ("history",), "Show what made an image.", _history_arguments, _history),
    _command("bootstrap", (), "Make a base image without a registry.", _bootstrap_arguments, _bootstrap),
)
