"""Being attached to containers: the flags that run, start, exec and attach share, and attach itself.

Source: docker attach, docker run ("Foreground"), docker start -a -i.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.embedded import attach as attach_embedded
from dockmagic.commands.embedded import embeds
from dockmagic.commands.results import Finished, Shown
from dockmagic.errors import InvalidOption
from dockmagic.events import ContainerStarted, Event, OnEvent
from dockmagic.runtime import detach
from dockmagic.runtime.attach import Attachment, Controls
from dockmagic.runtime.state import check_attachable

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_STREAMS: Final = ("stdin", "stdout", "stderr")


def add_sig_proxy(parser: CommandParser) -> None:
    """Add --sig-proxy, which is on by itself."""
    parser.add_argument(
        "--sig-proxy",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="pass signals on to the process; without, an interrupt only leaves it (true)",
    )


def add_detach_keys(parser: CommandParser) -> None:
    """Add --detach-keys."""
    parser.add_argument(
        "--detach-keys",
        type=typed(detach.parse),
        default=detach.parse(detach.DEFAULT),
        metavar="KEYS",
        help=f"keys that leave a terminal without ending what runs in it ({detach.DEFAULT})",
    )


def stream(text: str) -> str:
    """A value of -a; raises InvalidOption."""
    if text.lower() not in _STREAMS:
        raise InvalidOption(f"invalid stream {text!r}; there are stdin, stdout and stderr")
    return text.lower()


def standard_input(console: Console, *, tty: bool) -> int:
    """The console's input. Raises InvalidOption where it has none, or none that is a terminal for `tty`."""
    if tty and not console.typing:
        if console.stdin is not None:
            raise InvalidOption("the input device is not a TTY")
        raise InvalidOption(
            "-it: a cell can't type into a terminal; start it with -d -t and send it commands with exec, "
            "or use a terminal: dockmagic run -it …"
        )
    if console.stdin is None:
        raise InvalidOption("-i: there is nothing to read here; use a %% cell, whose body is standard input")
    return console.stdin


@contextmanager
def attached(
    console: Console, attachment: Attachment, on_event: OnEvent, *, at_start: bool = False
) -> Iterator[tuple[Attachment, OnEvent]]:
    """The attachment with the console's signals and size behind it, and a receiver of events.

    With `at_start` the console is given over only when the container has started: until then it shows progress, and an
    interrupt ends the work.
    """
    with Controls() as controls, ExitStack() as stack:

        def give_over() -> None:
            typing = attachment.tty and attachment.stdin is not None
            stack.enter_context(console.given_over(controls, raw=typing, proxy=attachment.proxy))

        def receive(event: Event) -> None:
            if at_start and isinstance(event, ContainerStarted):
                give_over()
            on_event(event)

        if not at_start:
            give_over()
        yield replace(attachment, controls=controls), receive


def _redraw(console: Console, controls: Controls | None) -> None:
    """Change a terminal's size for a moment, so that a program in it shows itself anew."""
    size = console.window()
    if size is not None and controls is not None:
        controls.resize(type(size)(size.height + 1, size.width))
        controls.resize(size)


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("--no-stdin", action="store_true", help="don't connect standard input")
    add_sig_proxy(parser)
    add_detach_keys(parser)
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")


def _attach(engine: Engine, args: Namespace, console: Console) -> Finished | Shown:
    """Connect to a running container until it ends."""
    container = engine.containers.get(args.container)
    check_attachable(container.state())
    tty, interactive = container.row.spec.process.terminal, container.row.options.interactive
    if not args.no_stdin and embeds(console, tty=tty, interactive=interactive):
        return attach_embedded(container, args, console)
    typed_in = interactive and not args.no_stdin and (console.stdin is not None or tty)
    stdin = standard_input(console, tty=tty) if typed_in else None
    wanted = Attachment(stdin, keys=args.detach_keys, proxy=args.sig_proxy, owner=False, tty=tty)
    with console.watching() as on_event, attached(console, wanted, on_event) as (attachment, receive):
        if tty:
            _redraw(console, attachment.controls)
        status = container.attach(attachment, receive)
    return Finished(status, container.id)


def show_end(result: object, console: Console) -> None:
    """Write why a container was killed, if it was; its output has been shown."""
    if isinstance(result, Finished) and result.oom_killed:
        console.write("stderr", f"dockmagic: {result}\n".encode())


COMMANDS = (
    Command("container", "attach", ("attach",), "Connect to what runs in a container.", _arguments, _attach, show_end),
)
