"""Commands on containers that exist: stop, kill, rm, wait, logs. Source: Docker's reference."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dockmagic.commands import values
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.filters import moment_ns
from dockmagic.commands.output import CappedStreams
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.commands.results import Names, Numbers, Shown
from dockmagic.commands.run_logs import details
from dockmagic.errors import DockmagicError, NotFound
from dockmagic.runtime.stdio import timestamp

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.runtime.logs import LogLine

T = TypeVar("T")


def for_each(names: Sequence[str], action: Callable[[str], object], console: Console) -> Names:
    """Act on every name, also after one that fails; the names as they were given. Raises what went wrong at the end."""

    def act(name: str) -> str:
        action(name)
        return name

    return Names(results_of(names, act, console))


def _lines(results: Sequence[object]) -> str:
    return "\n".join(map(str, results))


def removed(names: Sequence[str], remove: Callable[[str], object], console: Console, *, force: bool) -> Names:
    """Remove what has these names, with `force` as far as it is there; shows the names. Raises as `results_of`."""

    def act(name: str) -> None:
        try:
            remove(name)
        except NotFound:
            if not force:
                raise

    return for_each(names, act, console)


def results_of(
    names: Sequence[str],
    action: Callable[[str], T | None],
    console: Console,
    text: Callable[[Sequence[T]], object] = _lines,
) -> list[T]:
    """What acting on every name gave, None left out.

    Raises what went wrong at the end, and shows the results first, as their `text`.
    """
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
        console.write("stdout", f"{text(results)}\n".encode())
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DockmagicError("\n".join(str(error) for error in errors))
    return results


def add_names(parser: CommandParser) -> None:
    """Add one or more containers."""
    parser.add_argument("containers", metavar="CONTAINER", nargs="+", help="name, id, or the beginning of an id")


# stop, kill, rm, wait


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
    parser.add_argument("-v", "--volumes", action="store_true", help="remove its volumes without a name, too")
    add_refused(parser, (Refused(("-l", "--link"), "there are no links", switch=True),))
    add_names(parser)


def _rm(engine: Engine, args: Namespace, console: Console) -> Names:
    """Remove containers; with --force one that isn't there is only mentioned."""

    def remove(name: str) -> str | None:
        try:
            engine.containers.get(name).rm(force=args.force, volumes=args.volumes)
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


# logs


@dataclass(frozen=True)
class Log:
    """The log of a container: its lines as (time_ns, stream, data), oldest first."""

    lines: tuple[LogLine, ...]
    timestamps: bool = False
    details: str = ""

    def show(self, write: Callable[[str, bytes], None]) -> None:
        """Write every line to its stream."""
        for line in self.lines:
            write(line.stream, _log_bytes(line, self.timestamps, self.details))

    def __str__(self) -> str:
        """All lines as text."""
        return b"".join(_log_bytes(line, self.timestamps, self.details) for line in self.lines).decode(
            "utf-8", "replace"
        )

    def _ipython_display_(self) -> None:
        """Show the lines on the notebook's two streams."""
        streams = CappedStreams(sys.stdout, sys.stderr)
        self.show(streams.write)
        streams.close()


def _log_bytes(line: LogLine, timestamps: bool, details: str) -> bytes:
    """A line's bytes, with its time (RFC 3339, ns) in front where asked for, then details."""
    stamp = f"{timestamp(line.time_ns)} " if timestamps else ""
    return f"{stamp}{details}".encode() + line.data


def _logs_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    parser.add_argument("-n", "--tail", type=typed(values.tail_lines), metavar="N", help="the last N lines (all)")
    parser.add_argument("-t", "--timestamps", action="store_true", help="put the time in front of each line")
    parser.add_argument("--since", metavar="TIME", help="since then: a time, or 10m (ago)")
    parser.add_argument("--until", metavar="TIME", help="until then: a time, or 10m (ago)")
    parser.add_argument("--details", action="store_true", help="show what --log-opt labels, env and tag ask for, too")
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")


def _logs(engine: Engine, args: Namespace, console: Console) -> Log | Shown:
    """The container's log; with --follow it is shown as it grows."""
    container, now_s = engine.containers.get(args.container), time.time()
    since_ns = moment_ns(args.since, now_s) if args.since else 0
    until_ns = moment_ns(args.until, now_s) if args.until else None
    lines = container.logs(follow=args.follow, tail=args.tail, since_ns=since_ns, until_ns=until_ns)
    prefix = f"{details(container.row)} " if args.details else ""
    if not args.follow:
        return Log(tuple(lines), args.timestamps, prefix)
    for line in lines:
        console.write(line.stream, _log_bytes(line, args.timestamps, prefix))
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
    _command("stop", "Stop running containers.", stop_arguments, _stop),
    _command("kill", "Send a signal to running containers.", _kill_arguments, _kill),
    _command("rm", "Remove containers.", _rm_arguments, _rm, "container remove"),
    _command("wait", "Wait until containers end, and give their exit statuses.", add_names, _wait),
    Command("container", "logs", ("logs",), "Show what a container wrote.", _logs_arguments, _logs, _show_log),
)
