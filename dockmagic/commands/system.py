"""Commands on the engine as a whole: info, version, and inspect of whatever has the name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.refused import INSPECT, TEMPLATES, add_refused
from dockmagic.commands.results import Document, Facts
from dockmagic.errors import NotFound

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


def _inspect_arguments(parser: CommandParser) -> None:
    parser.add_argument("--type", choices=("container", "image"), help="only look among these")
    add_refused(parser, INSPECT)
    parser.add_argument("names", metavar="NAME", nargs="+", help="name or id of a container or an image")


def _inspect(engine: Engine, args: Namespace, console: Console) -> Document:
    """All that is known of containers or images, in Docker's JSON form; a container goes first."""
    return Document(_inspect_one(engine, name, args.type) for name in args.names)


def _inspect_one(engine: Engine, name: str, kind: str | None) -> dict[str, object]:
    """One container or image. Raises NotFound."""
    if kind != "image":
        try:
            return engine.containers.get(name).inspect()
        except NotFound:
            if kind == "container":
                raise
    try:
        return engine.images.inspect(name)
    except NotFound as error:
        if kind == "image":
            raise
        raise NotFound("container or image", name) from error


COMMANDS = (
    Command("system", "info", ("info",), "Show what is at work.", _info_arguments, _info),
    Command("system", "version", ("version",), "Show the version.", _info_arguments, _version),
    Command("", "inspect", (), "Show all that is known of containers or images.", _inspect_arguments, _inspect),
)
