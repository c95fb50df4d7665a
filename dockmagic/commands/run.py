"""Commands that start a process: run, create, exec. Source: docker run, docker create and docker exec."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from dockmagic.commands.attach import add_detach_keys, add_sig_proxy, attached, standard_input
from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.embedded import embeds
from dockmagic.commands.embedded import execute as execute_embedded
from dockmagic.commands.embedded import run as run_embedded
from dockmagic.commands.environment import variables
from dockmagic.commands.output import Tail
from dockmagic.commands.results import KILLED, Finished, Shown
from dockmagic.commands.run_flags import add_run_flags, run_options
from dockmagic.commands.run_image import watching
from dockmagic.commands.run_mounts import prepare_mounts
from dockmagic.errors import InvalidOption
from dockmagic.events import ContainerOutput, ContainerStarted, Event, OnEvent
from dockmagic.oci.options import ExecOptions
from dockmagic.runtime.attach import OUTPUTS, Attachment

if TYPE_CHECKING:
    from dockmagic.container import Container
    from dockmagic.engine import Engine

_KEPT_BYTES = 1 << 20


class Kept:
    """The last bytes of each stream, noted on their way to the receiver of the events."""

    def __init__(self, on_event: OnEvent, most_bytes: int = _KEPT_BYTES) -> None:
        self._on_event = on_event
        self._tails = {"stdout": Tail(most_bytes), "stderr": Tail(most_bytes)}

    def __call__(self, event: Event) -> None:
        """Note output, and pass the event on."""
        if isinstance(event, ContainerOutput):
            self._tails[event.stream].add(event.data)
        self._on_event(event)

    def last(self, stream: str) -> bytes:
        """The end of what the stream gave."""
        return self._tails[stream].last()


def _run_arguments(parser: CommandParser) -> None:
    """Add run's flags: create's, and whether to wait."""
    parser.add_argument("-d", "--detach", action="store_true", help="run in the background and give the container")
    add_sig_proxy(parser)
    add_detach_keys(parser)
    add_run_flags(parser)


def _run(engine: Engine, args: Namespace, console: Console) -> Finished | Container | Shown:
    """Run a container: to its end (Finished), in the background (its handle), or in a terminal that stays."""
    if args.detach and args.attach:
        raise InvalidOption("-a: conflicting options: what runs in the background (-d) is attached to nothing")
    options = replace(run_options(args, detach=args.detach), console_size=console.window() if args.tty else None)
    embedded = not args.detach and not args.attach and embeds(console, tty=args.tty, interactive=args.interactive)
    wanted = Attachment() if args.detach or embedded else _attachment(args, console)
    prepare_mounts(args)
    if embedded:
        return run_embedded(engine, args, options, console)
    with watching(console, args) as on_event:
        if args.detach:
            return engine.containers.run_detached(args.image, options, on_event=on_event)
        kept = Kept(on_event if wanted.outputs else _telling(console, on_event))
        with attached(console, wanted, kept, at_start=True) as (attachment, receive):
            result = engine.containers.run(args.image, options, attachment=attachment, on_event=receive)
    return Finished(
        exit_status=result.exit_status,
        container_id=result.container_id,
        oom_killed=result.oom_killed,
        memory_limit_bytes=options.memory_bytes,
        stdout=kept.last("stdout"),
        stderr=kept.last("stderr"),
    )


def _telling(console: Console, on_event: OnEvent) -> OnEvent:
    """Passes events on, and writes the id of a container that starts with nothing to show."""

    def receive(event: Event) -> None:
        if isinstance(event, ContainerStarted):
            console.write("stdout", f"{event.container_id}\n".encode())
        on_event(event)

    return receive


def _attachment(args: Namespace, console: Console) -> Attachment:
    """What of the process's streams is connected: by default all that there are. Raises InvalidOption."""
    reads = args.interactive and (not args.attach or "stdin" in args.attach)
    outputs = tuple(name for name in OUTPUTS if not args.attach or name in args.attach)
    stdin = standard_input(console, tty=args.tty) if reads else None
    return Attachment(stdin, outputs, args.detach_keys, proxy=args.sig_proxy, tty=args.tty)


def _create(engine: Engine, args: Namespace, console: Console) -> Container:
    """Make a container without starting it."""
    options = replace(run_options(args), console_size=console.window() if args.tty else None)
    prepare_mounts(args)
    with watching(console, args) as on_event:
        return engine.containers.create(args.image, options, on_event)


def _exec_arguments(parser: CommandParser) -> None:
    """Add exec's flags; they end at the container."""
    parser.add_argument("-d", "--detach", action="store_true", help="run in the background")
    parser.add_argument("-i", "--interactive", action="store_true", help="connect standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    parser.add_argument("--privileged", action="store_true", help="give it all capabilities")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="set a variable")
    parser.add_argument("--env-file", action="append", default=[], metavar="FILE", help="read variables from a file")
    parser.add_argument("-u", "--user", default="", metavar="USER[:GROUP]", help="run as, by name or number")
    parser.add_argument("-w", "--workdir", default="", metavar="DIR", help="working directory")
    add_detach_keys(parser)
    parser.add_argument("container", metavar="CONTAINER", help="name or id of a running container")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="command and its arguments")


def _exec(engine: Engine, args: Namespace, console: Console) -> Finished | Shown:
    """Run one more process in a running container."""
    if not args.command:
        raise InvalidOption("a command is missing; write it after the container")
    embedded = not args.detach and embeds(console, tty=args.tty, interactive=args.interactive)
    reads = args.interactive and not args.detach and not embedded
    stdin = standard_input(console, tty=args.tty) if reads else None
    container = engine.containers.get(args.container)
    options = ExecOptions(
        command=tuple(args.command),
        env=variables(args.env, args.env_file, os.environ),
        user=args.user,
        workdir=args.workdir,
        interactive=args.interactive,
        tty=args.tty,
        console_size=console.window() if args.tty else None,
        privileged=args.privileged,
        detach=args.detach,
    )
    if embedded:
        return execute_embedded(container, options, args, console)
    wanted = Attachment(stdin, keys=args.detach_keys, tty=args.tty)
    with console.watching() as on_event:
        kept = Kept(on_event)
        with attached(console, wanted, kept) as (attachment, receive):
            status = container.exec(options, attachment=attachment, on_event=receive)
    oom_killed = status == KILLED and container.running and container.state().oom_killed
    limit = container.row.options.memory_bytes if oom_killed else None
    return Finished(status, container.id, oom_killed, limit, kept.last("stdout"), kept.last("stderr"))


def show_id(result: Finished | Container | Shown, console: Console) -> None:
    """Write the id of a container in the background; of one that has ended, why it was killed."""
    if isinstance(result, Shown):
        return
    if not isinstance(result, Finished):
        console.write("stdout", f"{result.id}\n".encode())
    elif result.oom_killed:
        console.write("stderr", f"dockmagic: {result}\n".encode())


def _command(
    verb: str, summary: str, arguments: Callable[[CommandParser], None], run: Callable[..., object]
) -> Command:
    """A command of this module."""
    return Command("container", verb, (verb,), summary, arguments, run, show_id)


COMMANDS = (
    _command("run", "Make a container from an image and run a command in it.", _run_arguments, _run),
    _command("create", "Make a container without starting it.", add_run_flags, _create),
    _command("exec", "Run a command in a running container.", _exec_arguments, _exec),
)
