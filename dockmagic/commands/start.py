"""Starting containers that were made before, in the background or attached. Source: docker start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockmagic.commands.attach import add_detach_keys, add_sig_proxy, attached, show_end, standard_input
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, show_text
from dockmagic.commands.container import for_each
from dockmagic.commands.embedded import attach as attach_embedded
from dockmagic.commands.embedded import embeds
from dockmagic.commands.results import Finished, Names, Shown
from dockmagic.errors import InvalidOption
from dockmagic.runtime.attach import Attachment

if TYPE_CHECKING:
    from dockmagic.engine import Engine


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--attach", action="store_true", help="connect its output, and pass signals on")
    parser.add_argument("-i", "--interactive", action="store_true", help="connect its standard input")
    add_sig_proxy(parser)
    add_detach_keys(parser)
    parser.add_argument("containers", metavar="CONTAINER", nargs="+", help="name, id, or the beginning of an id")


def _start(engine: Engine, args: Namespace, console: Console) -> Names | Finished | Shown:
    """Start containers that were made or have ended; a single one may be attached until it ends."""
    if args.attach or args.interactive:
        return _start_attached(engine, args, console)
    return for_each(args.containers, lambda name: engine.containers.get(name).start(), console)


def _start_attached(engine: Engine, args: Namespace, console: Console) -> Finished | Shown:
    if len(args.containers) > 1:
        raise InvalidOption("you cannot start and attach multiple containers at once")
    container = engine.containers.get(args.containers[0])
    tty = container.row.spec.process.terminal
    reads = args.interactive and container.row.options.interactive
    if embeds(console, tty=tty, interactive=reads):
        return attach_embedded(container, args, console)
    stdin = standard_input(console, tty=tty) if reads else None
    wanted = Attachment(stdin, keys=args.detach_keys, proxy=args.sig_proxy, owner=False, tty=tty)
    with console.watching() as on_event:
        with attached(console, wanted, on_event) as (attachment, receive):
            status = container.start_attached(attachment, receive)
    return Finished(status, container.id)


def _show(result: Names | Finished | Shown, console: Console) -> None:
    """Write the names of what runs in the background."""
    (show_text if isinstance(result, Names) else show_end)(result, console)


COMMANDS = (Command("container", "start", ("start",), "Start containers that don't run.", _arguments, _start, _show),)
