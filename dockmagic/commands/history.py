"""Commands on builds that are over: build-history lists them, build-shell starts a shell on what a step left."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dockmagic.commands import values
from dockmagic.commands.attach import attached, standard_input
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.environment import variables
from dockmagic.commands.human import ago, binary_size, short_id
from dockmagic.commands.results import Finished
from dockmagic.commands.run import Kept, show_id
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import RunOptions
from dockmagic.runtime.attach import Attachment

if TYPE_CHECKING:
    from dockmagic.builder.history import BuildRecord, StepRecord
    from dockmagic.builder.states import State
    from dockmagic.engine import Engine

_BUILD_COLUMNS = ("BUILD ID", "CREATED", "DURATION", "STATUS", "STEPS", "CACHED", "TAGS")
_STEP_COLUMNS = ("STEP", "STAGE", "INSTRUCTION", "STATUS", "DURATION", "CPU", "PEAK MEMORY", "IMAGE", "REASON")
_WIDTH = 45
_SHELL = ("/bin/sh",)


def _history_arguments(parser: CommandParser) -> None:
    """Add the flags of build-history."""
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten instructions and reasons")
    parser.add_argument("build", metavar="BUILD", nargs="?", help="a tag, or an ID or its beginning: show the steps")


def _history(engine: Engine, args: Namespace, console: Console) -> Table:
    """Table of builds, newest first, or of one build's steps."""
    if args.build is not None:
        return _steps(engine.past.build(args.build), args.no_trunc)
    builds, counts, now_ns = engine.past.builds(), engine.past.history.counts(), time.time_ns()
    rows = [_build_row(build, counts.get(build.id, (0, 0)), now_ns) for build in builds]
    return Table(_BUILD_COLUMNS, tuple(rows), tuple(builds), caption="no builds")


def _build_row(build: BuildRecord, counts: tuple[int, int], now_ns: int) -> tuple[str, ...]:
    """A build's row."""
    return (
        build.id,
        ago((now_ns - build.started_ns) / 1e9),
        _seconds(build.ended_ns - build.started_ns),
        "failed" if build.error else "done",
        *map(str, counts),
        ", ".join(build.tags),
    )


def _steps(build: BuildRecord, no_trunc: bool) -> Table:
    """Table of a build's steps; its values are the steps."""
    return Table(_STEP_COLUMNS, tuple(_step_row(step, no_trunc) for step in build.steps), build.steps)


def _step_row(step: StepRecord, no_trunc: bool) -> tuple[str, ...]:
    """A step's row."""
    return (
        str(step.number),
        step.stage,
        _line(step.text, no_trunc),
        step.state.value,
        _seconds(step.duration_ns),
        _seconds(step.cpu_ns),
        binary_size(step.peak_memory_bytes) if step.peak_memory_bytes else "",
        short_id(step.image_id),
        _line(step.reason, no_trunc),
    )


def _seconds(time_ns: int) -> str:
    """A time with two decimals: "1.25s"."""
    return f"{time_ns / 1e9:.2f}s"


def _line(text: str, no_trunc: bool) -> str:
    """A text on one line."""
    line = " ".join(text.split())
    return line if no_trunc or len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _shell_arguments(parser: CommandParser) -> None:
    """Add the flags of build-shell; they end at the state."""
    parser.add_argument("--before", action="store_true", help="as it was before the step")
    parser.add_argument("-i", "--interactive", action="store_true", help="always so, where there is something to read")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="set a variable")
    parser.add_argument("-u", "--user", default="", metavar="USER[:GROUP]", help="run as, by name or number")
    parser.add_argument("-w", "--workdir", default="", metavar="DIR", help="working directory")
    parser.add_argument(
        "--network", default="default", type=typed(values.network), metavar="NETWORK", help="default, none or host"
    )
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    parser.add_argument(
        "state", metavar="[IMAGE|BUILD][:STEP]", nargs="?", default="",
        help="tag, ID or its beginning, and a step's number (the newest build; the step that failed, or the last one)",
    )  # fmt: skip
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="command, instead of a shell")
    parser.set_defaults(detach=False)


def _shell(engine: Engine, args: Namespace, console: Console) -> Finished:
    """Run a shell, or a command, on the files after a step; the container and what it wrote go again."""
    if not args.command and console.stdin is None:
        raise InvalidOption("there is nothing to read here; give a COMMAND, or use a %% cell, whose body is the script")
    state = engine.past.state(args.state, before=args.before)
    stdin = standard_input(console, tty=args.tty) if args.tty else console.stdin
    options = replace(_options(args, state, stdin), tty=args.tty, console_size=console.window() if args.tty else None)
    with engine.past.image(state) as image, console.watching() as on_event:
        kept = Kept(on_event)
        with attached(console, Attachment(stdin, tty=args.tty), kept, at_start=True) as (attachment, receive):
            result = engine.containers.run(image.id, options, attachment=attachment, on_event=receive)
    return Finished(
        result.exit_status,
        result.container_id,
        result.oom_killed,
        stdout=kept.last("stdout"),
        stderr=kept.last("stderr"),
    )


def _options(args: Namespace, state: State, stdin: int | None) -> RunOptions:
    """The container that is run. A shell that reads from a terminal shows its prompt."""
    shell = (state.image.config.shell or _SHELL)[:1]
    prompting = ("-i",) if stdin is not None and os.isatty(stdin) else ()
    return RunOptions(
        command=tuple(args.command) or (*shell, *prompting),
        entrypoint=(),
        env=variables(args.env, (), os.environ),
        user=args.user,
        workdir=args.workdir,
        network=args.network,
        interactive=stdin is not None,
        remove=True,
    )


COMMANDS = (
    Command("build", "history", (), "List builds, or the steps of one.", _history_arguments, _history),
    Command("build", "shell", (), "Look at the files after any step of a build.", _shell_arguments, _shell, show_id),
)
