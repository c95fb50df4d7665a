"""The terminal's door: `dockmagic run --rm busybox echo hi`.

Output of a container goes to file descriptors 1 and 2 as it arrives, progress to 2. The exit status is the container's;
125 where run itself failed, 126 and 127 where its command couldn't be started, 1 for other errors, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from dockmagic.commands.command import Command, HelpRequested
from dockmagic.commands.doors import open_engine
from dockmagic.commands.progress_style import ProgressStyle, in_lines
from dockmagic.commands.shortcut import find
from dockmagic.errors import DockmagicError, InvalidOption, StartFailed
from dockmagic.events import ContainerOutput, Event, OnEvent

if TYPE_CHECKING:
    from dockmagic.commands.command import Namespace
    from dockmagic.oci.spec import ConsoleSize
    from dockmagic.runtime.attach import Attachment, Controls

_DESCRIPTORS = {"stdout": 1, "stderr": 2}
_RUN_FAILED = 125


class TerminalConsole:
    """A console on the process' own descriptors."""

    stdin: int | None = 0
    stdout: int | None = 1

    def __init__(self) -> None:
        self.typing = os.isatty(0)
        self.embeds = False

    def write(self, stream: str, data: bytes) -> None:
        """Write all of the bytes to descriptor 1 or 2. A reader that has gone raises BrokenPipeError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(_DESCRIPTORS[stream], rest) :]

    @contextmanager
    def watching(self, style: ProgressStyle | None = None) -> Iterator[OnEvent]:
        """Show a container's output as it is, and everything else on standard error: in lines, or live.

        Classic builds go to standard output, as they always did.
        """
        with self._progress(style) as progress:

            def on_event(event: Event) -> None:
                if isinstance(event, ContainerOutput):
                    self.write(event.stream, event.data)
                else:
                    progress(event)

            yield on_event

    def _progress(self, style: ProgressStyle | None) -> AbstractContextManager[OnEvent]:
        """What shows all but a container's output. Raises InvalidOption."""
        live = os.isatty(2) and os.environ.get("TERM") != "dumb"
        if style is ProgressStyle.TTY and not live:
            raise InvalidOption("--progress=tty: standard error isn't a terminal; choose plain")
        if style is ProgressStyle.TTY or (style is ProgressStyle.AUTO and live):
            from dockmagic.commands.terminal import LiveText

            return LiveText(lambda text: self.write("stderr", text.encode()), lambda: os.get_terminal_size(2))
        stream = "stdout" if style is ProgressStyle.CLASSIC else "stderr"
        return nullcontext(in_lines(style, lambda line: self.write(stream, f"{line}\n".encode())))

    def ask(self, prompt: str, *, secret: bool = False) -> str | None:
        """Ask at the terminal that standard input is; None where it isn't one, or has ended."""
        if not os.isatty(0):
            return None
        try:
            return _ask_secret(prompt) if secret else input(prompt)
        except EOFError:
            return None

    def window(self) -> ConsoleSize | None:
        """Size of the terminal that standard output or input is."""
        from dockmagic.commands.raw import window

        return window(1, 0)

    @contextmanager
    def given_over(self, controls: Controls, *, raw: bool, proxy: bool) -> Iterator[None]:
        """Pass signals and sizes on, with `raw` all keys, and restore everything at the end."""
        from dockmagic.commands import raw as terminal

        with terminal.raw(0) if raw else nullcontext(), terminal.forwarding(controls, self.window, proxy=proxy):
            yield

    def embed(self, title: str, follow: Callable[[Attachment, OnEvent], int], wanted: Attachment) -> None:
        """Nothing: a terminal is given over instead."""

    @contextmanager
    def renewing(self) -> Iterator[Callable[[object], None]]:
        """Show tables one after the other on standard output."""
        from dockmagic.commands.table import Rolling

        yield Rolling(lambda line: self.write("stdout", f"{line}\n".encode()))


def _ask_secret(prompt: str) -> str:
    """A line that isn't shown while it is typed."""
    from getpass import getpass

    return getpass(prompt)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; its exit status."""
    words = sys.argv[1:] if words is None else list(words)
    console = TerminalConsole()
    with _signals() as received:
        try:
            return _dispatch(words, console)
        except HelpRequested as help_text:
            console.write("stdout", help_text.text.encode())
            return 0
        except KeyboardInterrupt:
            return 128 + (received[0] if received else signal.SIGINT)
        except BrokenPipeError:
            return 128 + signal.SIGPIPE


def _dispatch(words: list[str], console: TerminalConsole) -> int:
    """Find the command and run it; errors become a line on standard error."""
    if not words or words[0] in {"--help", "-h", "help"}:
        from dockmagic.commands.catalogue import overview

        raise HelpRequested(f"{overview('dockmagic')}\n")
    if words[0] in {"--version", "-v"}:
        from importlib.metadata import version  # it takes as long to import as many a command to run

        console.write("stdout", f"dockmagic {version('dockmagic')}\n".encode())
        return 0
    command = None
    try:
        command, name, rest = find(words)
        args = command.parser(f"dockmagic {name}").parse_words(rest)
        return _run(command, args, console)
    except DockmagicError as error:
        console.write("stderr", f"dockmagic: {error}\n".encode())
        return _error_status(command, error)


def _run(command: Command, args: Namespace, console: TerminalConsole) -> int:
    """Run the command on an engine of its own and show the result."""
    from dockmagic.commands.fsck import Verified
    from dockmagic.commands.results import Checked, Finished

    engine = open_engine(os.environ)
    try:
        result = command.run(engine, args, console)
        command.show(result, console)
    finally:
        engine.close()
    return result.exit_status if isinstance(result, Finished | Checked | Verified) else 0


def _error_status(command: Command | None, error: DockmagicError) -> int:
    """The exit status that Docker's own command line has after such an error."""
    if isinstance(error, StartFailed):
        return error.exit_status
    is_run = command is not None and command.verb == "run"
    return _RUN_FAILED if is_run or isinstance(error, InvalidOption) else 1


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Take SIGTERM and SIGHUP as interrupts, so that a container in the foreground is stopped; those that came."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
