"""The stats command: what containers use, as a table while they are sampled and as a figure afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dockmagic.commands import template, values
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.human import binary_size, decimal_size, short_id
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.commands.results import Names
from dockmagic.commands.table import Pretty, Table
from dockmagic.errors import InvalidOption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dockmagic.container import Container
    from dockmagic.engine import Engine
    from dockmagic.runtime.series import Series, Usage
    from dockmagic.widgets.stats import Trace

_HEADINGS = {
    "ID": "CONTAINER ID",
    "Container": "CONTAINER",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_PLAIN = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "BlockIO", "PIDs")
_NOTHING = {"CPUPerc": "--", "MemUsage": "-- / --", "MemPerc": "--", "BlockIO": "--", "PIDs": "--"}
_ONE_SHOT_S = 0.5
_ROW_INTERVAL_S = 1.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Stats:
    """What containers used while they were sampled: a trace each, whose `usage` holds arrays over time.

    `stats.figure` is a matplotlib figure, `stats["burn"]` one container's arrays.
    """

    traces: tuple[Trace, ...]

    @cached_property
    def figure(self) -> Figure:
        """CPU and memory over time, with their limits."""
        from dockmagic.widgets.stats import stats_figure

        return stats_figure(self.traces)

    def __getitem__(self, name: str) -> Usage:
        """Arrays of one container. Raises KeyError."""
        return {trace.name: trace.usage for trace in self.traces}[name]

    def __str__(self) -> str:
        """A line or two of words for each container."""
        from dockmagic.widgets.stats import cpu_summary, memory_summary

        return "\n".join(
            f"{trace.name}: CPU {cpu_summary(trace)}; memory {memory_summary(trace)}" for trace in self.traces
        )

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_png_(self) -> bytes:
        """The figure for IPython."""
        from dockmagic.widgets.stats import png

        return png(self.figure)


def _arguments(parser: CommandParser) -> None:
    """Add how long to sample, and what."""
    parser.add_argument(
        "--for",
        dest="seconds",
        type=typed(values.sampling_s),
        metavar="TIME",
        help="sample so long, such as 3s (until interrupted)",
    )
    parser.add_argument("--no-stream", action="store_true", help="one table of the present use")
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten ids")
    parser.add_argument(
        "--format", type=typed(lambda text: template.parse(text, list(_HEADINGS))), metavar="FORMAT",
        help="json, or a template such as 'table {{.Name}}\\t{{.CPUPerc}}'",
    )  # fmt: skip
    add_refused(parser, (Refused(("-a", "--all"), "only running containers use anything", switch=True),))
    parser.add_argument("containers", metavar="CONTAINER", nargs="*", help="name or id (all that run)")


def _stats(engine: Engine, args: Namespace, console: Console) -> Stats | Table | Names:
    """Sample containers: a row for each every second; at the end what they used."""
    containers = [engine.containers.get(name) for name in args.containers] or engine.containers.ls()
    if not containers:
        raise InvalidOption("no container runs; start one with run -d")
    with ExitStack() as stack:
        watched = [(container, _watch(container, stack)) for container in containers]
        if args.no_stream:
            time.sleep(_ONE_SHOT_S)
            return _table(watched, args)
        began_ns = time.monotonic_ns()
        try:
            _sample(watched, args, console)
        except KeyboardInterrupt:
            if args.seconds is not None:
                raise
        used = [(container, series.usage(began_ns)) for container, series in watched]
    return Stats(tuple(_trace(container, usage) for container, usage in used))


def _watch(container: Container, stack: ExitStack) -> Series:
    """Begin to sample; it ends with the stack."""
    series = container.watch()
    stack.callback(container.unwatch)
    return series


def _sample(watched: Sequence[tuple[Container, Series]], args: Namespace, console: Console) -> None:
    """Show a table every second until the time is over or no container is left."""
    end_s = time.monotonic() + (args.seconds or float("inf"))
    due_s = time.monotonic()
    with console.renewing() as show:
        while (now_s := time.monotonic()) < end_s and not all(series.ended.is_set() for _, series in watched):
            if now_s >= due_s and all(len(series) > 1 or series.ended.is_set() for _, series in watched):
                show(_table(watched, args))
                due_s = now_s + _ROW_INTERVAL_S
            time.sleep(min(_POLL_S, end_s - now_s))


def _table(watched: Sequence[tuple[Container, Series]], args: Namespace) -> Table | Names:
    """The present use, a row for each container, in the form that was asked for."""
    rows = [_fields(container, series, args.no_trunc) for container, series in watched]
    values = tuple(container for container, _ in watched)
    if args.format is not None:
        shown: Table | Names = args.format.shown(rows, _HEADINGS, values)
        return shown
    cells = tuple(tuple(row[name] for name in _PLAIN) for row in rows)
    return Table(tuple(_HEADINGS[name] for name in _PLAIN), cells, values)


def _fields(container: Container, series: Series, no_trunc: bool) -> dict[str, str]:
    """A container's row: its CPU over the last second, its memory and its tasks now, all that it read and wrote."""
    usage, last = series.usage(), series.last()
    identifier = container.id if no_trunc else short_id(container.id)
    names = {"ID": identifier, "Container": container.id, "Name": container.name}
    if last is None or not len(usage.time_s) or series.ended.is_set():
        return {**names, **_NOTHING}
    recent = usage.time_s > usage.time_s[-1] - _ROW_INTERVAL_S
    memory, limit = float(usage.memory_bytes[-1]), container.memory_limit_bytes or _host_memory_bytes()
    return {
        **names,
        "CPUPerc": f"{100 * usage.cpu_cores[recent].mean():.2f}%",
        "MemUsage": f"{binary_size(memory)} / {binary_size(limit)}",
        "MemPerc": f"{100 * memory / limit:.2f}%",
        "BlockIO": f"{decimal_size(last.read_bytes)} / {decimal_size(last.written_bytes)}",
        "PIDs": f"{usage.pids[-1]:.0f}",
    }


def _host_memory_bytes() -> int:
    """All memory of this machine: the limit of a container without one."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _trace(container: Container, usage: Usage) -> Trace:
    """What was sampled of a container, with its limits."""
    from dockmagic.widgets.stats import Trace

    return Trace(container.name, usage, container.cpu_limit, container.memory_limit_bytes)


COMMANDS = (Command("container", "stats", ("stats",), "Show what containers use.", _arguments, _stats),)
