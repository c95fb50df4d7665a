"""Loading and unloading: every command becomes a line magic, `%docker` takes any of them, and some take a cell.

`%container_run?` shows the help of the command's own parser.
"""

from __future__ import annotations

import atexit
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython.core.magic import needs_local_scope, no_var_expand

from dockmagic.commands.catalogue import COMMANDS, by_name, find, overview
from dockmagic.commands.command import Command, CommandParser, Console, HelpRequested
from dockmagic.errors import InvalidOption
from dockmagic.magics import line
from dockmagic.magics.console import ShellConsole
from dockmagic.magics.dockerfile import dockerfile, dockerfile_parser
from dockmagic.magics.interrupt import Interrupted
from dockmagic.magics.session import Session
from dockmagic.magics.statements import ShowAlone

_TAKING_A_BODY = ("container run", "container exec", "build-shell")  # their cell is the process' standard input
Locals = Mapping[str, Any] | None


class Extension:
    """What one shell was given: its magics by kind and name, the transformer of its cells, the session."""

    def __init__(self, shell: Any) -> None:
        self.session = Session(shell)
        self.magics: dict[str, dict[str, Callable[..., object]]] = {"line": {}, "cell": {}}
        for command in COMMANDS:
            if command.magic:
                self.magics["line"][command.magic] = self._line_magic(command, f"%{command.magic}")
        for name in _TAKING_A_BODY:
            command = by_name()[name]
            self.magics["cell"][command.magic] = self._cell_magic(command, f"%%{command.magic}")
        self.magics["line"]["docker"] = self._magic(self._docker, lambda: overview("%docker"))
        self.magics["cell"]["dockerfile"] = self._magic(self._dockerfile, lambda: _help(dockerfile_parser()))
        self.transformer = ShowAlone({*self.magics["line"], *self.magics["cell"]})

    def _line_magic(self, command: Command, prog: str) -> Callable[..., object]:
        """A magic that runs the command with the words of its line."""

        def run(words: list[str]) -> object:
            return self._run(command, prog, words, None)

        return self._magic(run, lambda: _help(command.parser(prog)))

    def _cell_magic(self, command: Command, prog: str) -> Callable[..., object]:
        """A magic that runs the command with the cell's body as its standard input."""

        def run(words: list[str], body: str) -> object:
            return self._run(command, prog, ["-i", *words], body)

        return self._magic(run, lambda: _help(command.parser(prog)))

    def _docker(self, words: list[str]) -> object:
        """A whole Docker command line."""
        if not words or words[0] in {"--help", "-h", "help"}:
            raise HelpRequested(f"{overview('%docker')}\n")
        command, name, rest = find(words)
        return self._run(command, f"%docker {name}", rest, None)

    def _dockerfile(self, words: list[str], body: str) -> object:
        """Build the cell."""
        with self._console(None) as console:
            return dockerfile(self.session, words, body, console)

    def _run(self, command: Command, prog: str, words: list[str], body: str | None) -> object:
        """Run a command; what it returns."""
        args = command.parser(prog).parse_words(words)
        if body is not None and args.detach:
            raise InvalidOption("-d: a container in the background can't read the cell's body; leave -d out")
        with self._console(body) as console:
            return command.run(self.session.engine, args, console)

    @contextmanager
    def _console(self, body: str | None) -> Iterator[Console]:
        """A console on the running cell; its standard input is the body, if there is one."""
        with tempfile.TemporaryFile() as file:
            file.write((body or "").encode())
            file.seek(0)
            stdin = None if body is None else file.fileno()
            attended = self.session.attended
            console = ShellConsole(in_notebook=self.session.in_notebook, stdin=stdin, embeds=attended)
            try:
                yield console
            finally:
                console.close()

    def _magic(self, run: Callable[..., object], help_text: Callable[[], str]) -> Callable[..., object]:
        """Make a function for IPython, which hands it the line as typed, and the body of a cell."""

        @no_var_expand
        @needs_local_scope
        def magic(text: str, *body: str, local_ns: Locals = None) -> object:
            try:
                return run(line.words_of(text, self.session.names(local_ns)), *body)
            except HelpRequested as help_requested:
                sys.stdout.write(help_requested.text)
                return None
            except KeyboardInterrupt:
                raise Interrupted("stopped") from None

        setattr(magic, "getdoc", help_text)  # noqa: B010  (IPython's inspector asks for it: no parser is made before)
        return magic


def _help(parser: CommandParser) -> str:
    """A parser's help, and how a line is read."""
    return f"{parser.format_help()}\n{line.__doc__}"


def load(shell: Any) -> None:
    """Register everything with an IPython shell."""
    extension = Extension(shell)
    for kind, magics in extension.magics.items():
        for name, magic in magics.items():
            shell.register_magic_function(magic, kind, name)
    shell.ast_transformers.append(extension.transformer)
    shell.dockmagic = extension
    atexit.register(extension.session.close)


def unload(shell: Any) -> None:
    """Take everything out again and close the engine."""
    extension: Extension = shell.dockmagic
    for kind, magics in extension.magics.items():
        for name in magics:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.ast_transformers.remove(extension.transformer)
    atexit.unregister(extension.session.close)
    extension.session.close()
    del shell.dockmagic
