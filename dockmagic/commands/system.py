"""Commands on the engine as a whole: info and version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.refused import TEMPLATES, add_refused
from dockmagic.commands.results import Facts

if TYPE_CHECKING:
    from dockmagic.engine import Engine


def _info_arguments(parser: CommandParser) -> None:
    add_refused(parser, TEMPLATES)


def _info(engine: Engine, args: Namespace, console: Console) -> Facts:
    """What is at work: versions, state root, cgroups, kernel, backend."""
    return Facts(tuple((name, str(value)) for name, value in engine.info().items()))


def _version(engine: Engine, args: Namespace, console: Console) -> Facts:
    """The version of dockmagic."""
    return Facts((("version", engine.info()["version"]),))


COMMANDS = (
    Command("system", "info", ("info",), "Show what is at work.", _info_arguments, _info),
    Command("system", "version", ("version",), "Show the version.", _info_arguments, _version),
)
