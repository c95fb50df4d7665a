"""The commands container inspect, and inspect, which looks for images too. Source: Docker's reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dockmagic.commands import document
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.container import results_of
from dockmagic.commands.ps import image_bytes
from dockmagic.commands.results import Document, Json, Names
from dockmagic.errors import InvalidOption, NotFound, one_of

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_Look = Callable[["Engine", str, bool], dict[str, Any]]


def _container_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "-f", "--format", type=typed(document.parse), metavar="FORMAT", help="json, or a template: '{{.State.Status}}'"
    )
    parser.add_argument("-s", "--size", action="store_true", help="tell how much it has written")
    parser.add_argument("--oci", action="store_true", help="show a container's config.json, as OCI runtimes read it")
    parser.add_argument("names", metavar="NAME", nargs="+", help="name, id, or the beginning of an id")


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("--type", type=typed(_type), metavar="TYPE", help="look for these only: container, image")
    _container_arguments(parser)


def _type(text: str) -> str:
    """A kind of things. Raises InvalidOption."""
    if text not in _KINDS:
        raise InvalidOption(f"unknown type: {text!r}; there are {one_of(list(_KINDS))}")
    return text


def _container(engine: Engine, name: str, sized: bool) -> dict[str, Any]:
    """A container in Docker's form."""
    container = engine.containers.get(name)
    found = container.inspect()
    if sized:
        written = container.size_bytes()
        found |= {"SizeRw": written, "SizeRootFs": written + image_bytes(engine, container)}
    return found


def _image(engine: Engine, name: str, sized: bool) -> dict[str, Any]:
    """An image in Docker's form."""
    return engine.images.inspect(name)


_KINDS: Final[dict[str, _Look]] = {"container": _container, "image": _image}


def _any(engine: Engine, name: str, sized: bool) -> dict[str, Any]:
    """The first that has this name. Raises NotFound."""
    for look in _KINDS.values():
        try:
            return look(engine, name, sized)
        except NotFound:
            continue
    raise NotFound("container or image", name)


def _configs(engine: Engine, args: Namespace, console: Console) -> Document | Json:
    """The config.json of a container, or a list of them for several. Raises InvalidOption."""
    if args.format is not None or args.size or args.type not in (None, "container"):
        raise InvalidOption("--oci: it shows the whole config.json of a container; leave the other flags out")
    if len(args.names) == 1:
        return Json(engine.containers.get(args.names[0]).oci_config())
    return Document(results_of(args.names, lambda name: engine.containers.get(name).oci_config(), console, Document))


def _inspect(engine: Engine, args: Namespace, console: Console) -> Document | Names | Json:
    """All that is known of things, in Docker's JSON form, or what a template takes of it."""
    if args.oci:
        return _configs(engine, args, console)
    look = _KINDS.get(args.type, _any)
    if args.format is None:
        return Document(results_of(args.names, lambda name: look(engine, name, args.size), console, Document))
    return Names(results_of(args.names, lambda name: args.format.shown(look(engine, name, args.size)), console))


def _inspect_container(engine: Engine, args: Namespace, console: Console) -> Document | Names | Json:
    """All that is known of containers."""
    args.type = "container"
    return _inspect(engine, args, console)


COMMANDS = (
    Command(
        "container", "inspect", (), "Show all that is known of containers, as JSON.",
        _container_arguments, _inspect_container,
    ),
    Command("", "inspect", (), "Show all that is known of containers and images, as JSON.", _arguments, _inspect),
)  # fmt: skip
