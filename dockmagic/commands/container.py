"""Commands on containers that exist: ps, start, stop, kill, rm, wait, inspect, logs. Source: Docker's reference."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from dockmagic.commands import values
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.human import ago, duration, short_id
from dockmagic.commands.output import CappedStreams
from dockmagic.commands.refused import INSPECT, LOGS, PS, START, Refused, add_refused
from dockmagic.commands.results import Document, Names, Numbers, Shown
from dockmagic.commands.table import Table
from dockmagic.errors import DockmagicError, NotFound

if TYPE_CHECKING:
    from dockmagic.containers import Container
    from dockmagic.engine import Engine
    from dockmagic.runtime.logs import LogLine
    from dockmagic.runtime.state import ContainerState

T = TypeVar("T")
_COLUMNS = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
_COMMAND_WIDTH = 20


def for_each(names: Sequence[str], action: Callable[[str], object], console: Console) -> Names:
    """Act on every name, also after one that fails; the names as they were given. Raises what went wrong at the end."""

    def act(name: str) -> str:
        action(name)
        return name

    return Names(results_of(names, act, console))


def results_of(names: Sequence[str], action: Callable[[str], T | None], console: Console) -> list[T]:
    """What acting on every name gave, None left out. Raises what went wrong at the end, and shows the results first."""
    results: list[T] = []
    errors: list[DockmagicError] = []
    for name in names:
        try:
            result = action(name)
        except DockmagicError as error:
            errors.append(error)
        else:
            results += [] if result is None else [result]
    if errors and results:
        console.write("stdout", "".join(f"{result}\n" for result in results).encode())
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DockmagicError("\n".join(str(error) for error in errors))
    return results


def add_names(parser: CommandParser) -> None:
    """Add one or more containers."""
    parser.add_argument("containers", metavar="CONTAINER", nargs="+", help="name, id, or the beginning of an id")


# ps


def _ps_arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="show the stopped ones too")
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten ids and commands")
    parser.add_argument("-n", "--last", type=typed(values.natural), metavar="N", help="the last N made, in any state")
    parser.add_argument("-l", "--latest", action="store_true", help="the last one made, in any state")
    add_refused(parser, PS)


def _ps(engine: Engine, args: Namespace, console: Console) -> Table:
    """Table of containers, newest first."""
    last = 1 if args.latest else args.last
    containers = engine.containers.ls(all=args.all or last is not None)
    containers = sorted(containers, key=lambda container: container.created_ns, reverse=True)[:last]
    now_ns = time.time_ns()
    rows = tuple(_ps_row(container, now_ns, args.no_trunc) for container in containers)
    caption = "no containers" if args.all else "no running containers"
    return Table(_COLUMNS, rows, tuple(containers), bare=args.quiet, caption=caption)


def _ps_row(container: Container, now_ns: int, no_trunc: bool) -> tuple[str, ...]:
    """A container's row."""
    command = _command_text(container.command)
    if not no_trunc and len(command) > _COMMAND_WIDTH:
        command = f"{command[: _COMMAND_WIDTH - 1]}…"
    return (
        container.id if no_trunc else short_id(container.id),
        container.image,
        json.dumps(command, ensure_ascii=False),
        ago((now_ns - container.created_ns) / 1e9),
        status_text(container.state(), now_ns),
        "",
        container.name,
    )


def _command_text(command: Sequence[str]) -> str:
    """A command on one line; arguments with a blank stand in quotes, so that one sees where they end."""
    first, *rest = command
    return " ".join([first, *(f"'{word}'" if " " in word else word for word in rest)])


def status_text(state: ContainerState, now_ns: int) -> str:
    """The status in Docker's words: "Up 3 seconds", "Exited (0) 5 seconds ago", "Created"."""
    if state.status in {"running", "paused"}:
        paused = " (Paused)" if state.status == "paused" else ""
        return f"Up {duration((now_ns - (state.started_ns or now_ns)) / 1e9)}{paused}"
    if state.status == "exited":
        return f"Exited ({state.exit_status}) {ago((now_ns - (state.finished_ns or now_ns)) / 1e9)}"
    return state.status.capitalize()


# start, stop, kill, rm, wait


def _start_arguments(parser: CommandParser) -> None:
    add_refused(parser, START)
    add_names(parser)


def _start(engine: Engine, args: Namespace, console: Console) -> Names:
    """Start containers that were made or have ended."""
    return for_each(args.containers, lambda name: engine.containers.get(name).start(), console)


def stop_arguments(parser: CommandParser) -> None:
    """Add how to stop containers, and which."""
    parser.add_argument(
        "-t", "--time", "--timeout", type=typed(values.integer), metavar="SECONDS",
        help="time before it is killed (10); -1 waits for ever",
    )  # fmt: skip
    parser.add_argument("-s", "--signal", type=typed(values.signal_name), help="signal to send first (its stop signal)")
    add_names(parser)


def _stop(engine: Engine, args: Namespace, console: Console) -> Names:
    """Stop containers: their stop signal, and after a time KILL."""
    return for_each(
        args.containers, lambda name: engine.containers.get(name).stop(args.time, args.signal or ""), console
    )


def _kill_arguments(parser: CommandParser) -> None:
    parser.add_argument("-s", "--signal", default="KILL", type=typed(values.signal_name), help="signal to send (KILL)")
    add_names(parser)


def _kill(engine: Engine, args: Namespace, console: Console) -> Names:
    """Send a signal to the first process of containers."""
    return for_each(args.containers, lambda name: engine.containers.get(name).kill(args.signal), console)


def _rm_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="kill it first, if it runs")
    add_refused(parser, (Refused(("-v", "--volumes", "-l", "--link"), "there are no volumes or links", switch=True),))
    add_names(parser)


def _rm(engine: Engine, args: Namespace, console: Console) -> Names:
    """Remove containers; with --force one that isn't there is only mentioned."""

    def remove(name: str) -> str | None:
        try:
            engine.containers.get(name).rm(force=args.force)
        except NotFound as error:
            if not args.force:
                raise
            console.write("stderr", f"{error}\n".encode())
            return None
        return name

    return Names(results_of(args.containers, remove, console))


def _wait(engine: Engine, args: Namespace, console: Console) -> Numbers:
    """Wait until containers have ended; their exit statuses."""
    return Numbers(results_of(args.containers, lambda name: engine.containers.get(name).wait(), console))


# inspect, logs


def _inspect_arguments(parser: CommandParser) -> None:
    add_refused(parser, INSPECT)
    add_names(parser)


def _inspect(engine: Engine, args: Namespace, console: Console) -> Document:
    """All that is known of containers, in Docker's JSON form."""
    return Document(engine.containers.get(name).inspect() for name in args.containers)


@dataclass(frozen=True)
class Log:
    """The log of a container: its lines as (time_ns, stream, data), oldest first."""

    lines: tuple[LogLine, ...]
    timestamps: bool = False

    def show(self, write: Callable[[str, bytes], None]) -> None:
        """Write every line to its stream."""
        for line in self.lines:
            write(line.stream, _log_bytes(line, self.timestamps))

    def __str__(self) -> str:
        """All lines as text."""
        return b"".join(_log_bytes(line, self.timestamps) for line in self.lines).decode("utf-8", "replace")

    def _ipython_display_(self) -> None:
        """Show the lines on the notebook's two streams."""
        streams = CappedStreams(sys.stdout, sys.stderr)
        self.show(streams.write)
        streams.close()


def _log_bytes(line: LogLine, timestamps: bool) -> bytes:
    """A line's bytes, with its time (RFC 3339, ns) in front where asked for."""
    if not timestamps:
        return line.data
    seconds, nanoseconds = divmod(line.time_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{nanoseconds:09}Z ".encode() + line.data


def _logs_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    parser.add_argument("-n", "--tail", type=typed(values.tail_lines), metavar="N", help="the last N lines (all)")
    parser.add_argument("-t", "--timestamps", action="store_true", help="put the time in front of each line")
    add_refused(parser, LOGS)
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")


def _logs(engine: Engine, args: Namespace, console: Console) -> Log | Shown:
    """The container's log; with --follow it is shown as it grows."""
    lines = engine.containers.get(args.container).logs(follow=args.follow, tail=args.tail)
    if not args.follow:
        return Log(tuple(lines), args.timestamps)
    for line in lines:
        console.write(line.stream, _log_bytes(line, args.timestamps))
    return Shown()


def _show_log(result: Log | Shown, console: Console) -> None:
    """Write a log's lines to the streams that they came from."""
    if isinstance(result, Log):
        result.show(console.write)


def _command(
    verb: str,
    summary: str,
    arguments: Callable[[CommandParser], None],
    run: Callable[..., object],
    *aliases: str,
) -> Command:
    """A command of this module; its verb alone is its first alias."""
    return Command("container", verb, (verb, *aliases), summary, arguments, run)


COMMANDS = (
    _command("ps", "List containers.", _ps_arguments, _ps, "container ls", "container list"),
    _command("start", "Start containers that don't run.", _start_arguments, _start),
    _command("stop", "Stop running containers.", stop_arguments, _stop),
    _command("kill", "Send a signal to running containers.", _kill_arguments, _kill),
    _command("rm", "Remove containers.", _rm_arguments, _rm, "container remove"),
    _command("wait", "Wait until containers end, and give their exit statuses.", add_names, _wait),
    Command("container", "inspect", (), "Show all that is known of containers, as JSON.", _inspect_arguments, _inspect),
    Command("container", "logs", ("logs",), "Show what a container wrote.", _logs_arguments, _logs, _show_log),
)
