"""The build-stats command: steps of a build against time, and what each of them used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.human import short_id
from dockmagic.commands.table import Pretty, columns_of_text
from dockmagic.errors import InvalidOption, InvalidReference, NotFound
from dockmagic.oci.reference import Reference
from dockmagic.widgets.build import seconds_text
from dockmagic.widgets.text import memory_text, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dockmagic.builder.history import BuildRecord, StepRecord
    from dockmagic.engine import Engine

_COLUMNS = ("STEP", "STAGE", "STATE", "START", "TIME", "CPU", "PEAK MEMORY", "INSTRUCTION")
_TEXT_WIDTH = 60


@dataclass(frozen=True)
class BuildStats:
    """A build that is over: `stats.build.steps` are its steps, `stats.plot()` a matplotlib figure of them."""

    build: BuildRecord

    @cached_property
    def figure(self) -> Figure:
        """Steps against time."""
        from dockmagic.widgets.build_stats import build_figure

        return build_figure(self.build, self._title())

    def plot(self) -> Figure:
        """The figure."""
        return self.figure

    def __str__(self) -> str:
        """What the build came to, and a table of its steps."""
        rows = [_row(step, self.build) for step in self.build.steps]
        kept = [index for index in range(len(_COLUMNS)) if index != 1 or any(row[1] for row in rows)]
        table = columns_of_text([[row[index] for index in kept] for row in (_COLUMNS, *rows)])
        return "\n".join([self._title(), *table])

    def _title(self) -> str:
        """Its name, image, number of steps and time."""
        build = self.build
        name = " ".join(build.tags) or build.filename
        end = short_id(build.image_id) if build.image_id else "failed"
        took = seconds_text(max(build.ended_ns - build.started_ns, 0) / 1e9)
        return f"{name} · {end} · {plural(len(build.steps), 'step')} · {took} · build {build.id}"

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_png_(self) -> bytes:
        """The figure for IPython."""
        from dockmagic.widgets.stats import png

        return png(self.figure)


def _row(step: StepRecord, build: BuildRecord) -> tuple[str, ...]:
    """A step's row in the table."""
    text = step.text if len(step.text) <= _TEXT_WIDTH else f"{step.text[: _TEXT_WIDTH - 1]}…"
    return (
        str(step.number),
        step.stage,
        step.state.value,
        seconds_text(max(step.started_ns - build.started_ns, 0) / 1e9),
        seconds_text(step.duration_ns / 1e9),
        seconds_text(step.cpu_ns / 1e9),
        memory_text(step.peak_memory_bytes) if step.peak_memory_bytes else "",
        text,
    )


def _arguments(parser: CommandParser) -> None:
    """Add which build."""
    parser.add_argument("build", metavar="BUILD|IMAGE", nargs="?", default="", help="which build (the last one)")


def _stats(engine: Engine, args: Namespace, console: Console) -> BuildStats:
    """The last build, or the last of an image, as it is remembered. Raises NotFound, InvalidOption."""
    from dockmagic.builder.history import BuildHistory

    history = BuildHistory(engine.database)
    if not args.build and not history.builds():
        raise InvalidOption("no build is remembered yet; build something first")
    for name in _names(engine, args.build):
        with suppress(NotFound):
            return BuildStats(history.get(name))
    return BuildStats(history.get(args.build))


def _names(engine: Engine, name: str) -> Iterator[str]:
    """What the history may know it by, before the name itself: a tag in full, the id of an image here."""
    if name:
        with suppress(InvalidReference):
            yield Reference.parse(name).familiar
        with suppress(NotFound, InvalidReference):
            yield str(engine.images.get(name).id)


COMMANDS = (Command("build", "stats", (), "Draw a build's steps against time.", _arguments, _stats),)
