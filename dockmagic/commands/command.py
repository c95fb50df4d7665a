"""What a command is, and the parser that all of them share.

A door (terminal, magic, `%docker`) finds a Command, lets it parse the words of a line, and calls it with an engine and
a console. A parser never exits the interpreter: it raises InvalidOption, or HelpRequested for `--help`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from dockmagic.commands.progress_style import ProgressStyle
from dockmagic.commands.words import arranged
from dockmagic.errors import InvalidOption
from dockmagic.events import OnEvent

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.oci.spec import ConsoleSize
    from dockmagic.runtime.attach import Attachment, Controls

_NO_GROUP: Final = "build"  # a command by itself: a word after it is no verb, but what to build
T = TypeVar("T")
Namespace = argparse.Namespace


class Console(Protocol):
    """Where a command shows what happens while it works. Its result is returned, and shown by the door."""

    stdin: int | None  # descriptor to read from, None where there is no input
    stdout: int | None  # descriptor that takes any bytes, None where all output is shown as text

    typing: bool  # whether `stdin` is a terminal that a process in a container can have
    embeds: bool  # whether a process can have a terminal of its own here, which stays when the command has ended

    def write(self, stream: str, data: bytes) -> None:
        """Show bytes that came from a container; `stream` is "stdout" or "stderr"."""

    def watching(self, style: ProgressStyle | None = None) -> AbstractContextManager[OnEvent]:
        """Give the receiver of the engine's events, and close the picture at the end, whatever the end is.

        `style` is how a build asks to be shown. Raises InvalidOption where the door can't do that.
        """

    def ask(self, prompt: str, *, secret: bool = False) -> str | None:
        """The line that the user types after the prompt, a secret unseen; None where nobody can be asked."""

    def window(self) -> ConsoleSize | None:
        """Size of the terminal that a container would be shown in, None where that isn't known."""

    def given_over(self, controls: Controls, *, raw: bool, proxy: bool) -> AbstractContextManager[None]:
        """Give the console's terminal over to a process, `raw` to have every key; `proxy` passes signals on, too."""

    def embed(self, title: str, follow: Callable[[Attachment, OnEvent], int], wanted: Attachment) -> None:
        """Have `follow` start a process and see it through in the background, in a terminal of its own.

        Raises what starting it raises. Only where the console `embeds`.
        """

    def renewing(self) -> AbstractContextManager[Callable[[object], None]]:
        """Give a function that shows a value in place of the one before, where the door can do that."""


class HelpRequested(Exception):
    """The line asked for help; `text` is what to show."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class HelpFlag(argparse.Action):
    """`--help`, which raises HelpRequested instead of ending the interpreter."""

    def __call__(self, parser: argparse.ArgumentParser, *args: object) -> NoReturn:
        """Raise the parser's help."""
        raise HelpRequested(parser.format_help())


class CommandParser(argparse.ArgumentParser):
    """An argument parser with Docker's habits: whole flag names only, and its way of reading words."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            add_help=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--help", action=HelpFlag, nargs=0, help="show this help")

    def error(self, message: str) -> NoReturn:
        """Raise InvalidOption: which flag, what was wrong with it, and where to read on."""
        text = re.sub(r"^argument ([^:]*): ", r"\1: ", message)
        text = text.replace("the following arguments are required:", "missing:").removesuffix(", COMMAND")
        raise InvalidOption(f"{text}; see {self.prog} --help")

    def parse_words(self, words: Sequence[str]) -> Namespace:
        """Parse the words of a line. Raises InvalidOption naming the flag that can't be used."""
        takes_command = any(action.nargs == argparse.REMAINDER for action in self._get_positional_actions())
        try:
            line = arranged(words, self._option_string_actions, mixed=not takes_command)
        except InvalidOption as error:
            self.error(str(error))
        known, unknown = self.parse_known_args(line)
        if unknown:
            self.error(f"unexpected argument {unknown[-1]!r}")
        return known


def typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Make a value parser (raises InvalidOption) fit for argparse, which then puts the flag's name in front."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except InvalidOption as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def show_text(result: object, console: Console) -> None:
    """Write the result's text and a newline; nothing where it has no text."""
    text = str(result)
    if text:
        console.write("stdout", f"{text}\n".encode())


@dataclass(frozen=True)
class Command:
    """A command of every door: `%container_run`, `dockmagic container run` and, by its alias, `dockmagic run`.

    `run` returns a value with a plain-text form; `show` writes it where there is no display for values. A command
    without a noun has no magic.
    """

    noun: str
    verb: str
    aliases: tuple[str, ...]
    summary: str
    arguments: Callable[[CommandParser], None]
    run: Callable[[Engine, Namespace, Console], object]
    show: Callable[[Any, Console], None] = show_text

    @property
    def names(self) -> tuple[str, ...]:
        """Every form of the command's words: "container run", "run"; "build-stats"."""
        joint = "-" if self.noun == _NO_GROUP else " "
        return (f"{self.noun}{joint}{self.verb}".strip(), *self.aliases)

    @property
    def magic(self) -> str:
        """The magic's name: "container_run"; "" where there is none."""
        return f"{self.noun}_{self.verb}".replace(" ", "_") if self.noun else ""

    def parser(self, prog: str) -> CommandParser:
        """A parser whose messages call the command `prog`."""
        parser = CommandParser(prog, self.summary)
        self.arguments(parser)
        return parser
