"""The commands image inspect and image tree, of the store or, with --remote, of a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockmagic.commands import document
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.commands.remote import Remote, RemoteLayers
from dockmagic.commands.remote import document as remote_document
from dockmagic.commands.results import Document, Names
from dockmagic.commands.table import Pretty
from dockmagic.errors import InvalidOption
from dockmagic.image.platform import platform_option
from dockmagic.widgets.tree import tree_html, tree_text

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.remote import RemoteImage
    from dockmagic.image.tree import ImageTree, LayerNode

_SIZE = Refused(("-s", "--size"), "it means something for containers only", switch=True)


@dataclass(frozen=True)
class Layers:
    """The layers of an image, lowest first, with what they did to the files; `name` is what the user called it."""

    name: str
    tree: ImageTree

    def __len__(self) -> int:
        """Number of instructions."""
        return len(self.tree.nodes)

    def __getitem__(self, index: int) -> LayerNode:
        """An instruction and its layer."""
        return self.tree.nodes[index]

    def __str__(self) -> str:
        """The tree as text."""
        return tree_text(self.name, self.tree.nodes)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The tree as folds."""
        return tree_html(self.name, self.tree.nodes)


def _remote_arguments(parser: CommandParser) -> None:
    """Add the flags of looking at a registry."""
    parser.add_argument("--remote", action="store_true", help="look at it in its registry; nothing is pulled")
    parser.add_argument(
        "--platform", default="", metavar="OS/ARCH", help="with --remote: the image for this platform, of an index"
    )


def _inspect_arguments(parser: CommandParser) -> None:
    _remote_arguments(parser)
    parser.add_argument(
        "-f", "--format", type=typed(document.parse), metavar="FORMAT", help="json, or a template: '{{json .Config}}'"
    )
    add_refused(parser, (_SIZE,))
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="name or id; with --remote one name")


def _inspect(engine: Engine, args: Namespace, console: Console) -> Document | Names | Remote:
    """All that is known of images: in Docker's JSON form, or of one in a registry as a table."""
    if args.remote:
        if len(args.images) > 1:
            raise InvalidOption("--remote takes one NAME at a time")
        remote = _look(engine, args, args.images[0], console)
        return Remote(remote) if args.format is None else Names([args.format.shown(remote_document(remote))])
    _check_local(args)
    found = Document(engine.images.inspect(name) for name in args.images)
    return found if args.format is None else Names(args.format.shown(one) for one in found)


def _tree_arguments(parser: CommandParser) -> None:
    _remote_arguments(parser)
    parser.add_argument("image", metavar="IMAGE", help="name or id")


def _tree(engine: Engine, args: Namespace, console: Console) -> Layers | RemoteLayers:
    """What each layer of an image did to the files, or of one in a registry, what made each layer, with its size."""
    if args.remote:
        return RemoteLayers(_look(engine, args, args.image, console))
    _check_local(args)
    return Layers(args.image, engine.images.tree(args.image))


def _look(engine: Engine, args: Namespace, name: str, console: Console) -> RemoteImage:
    """The image in its registry."""
    platform = platform_option(args.platform) if args.platform else None
    with console.watching() as on_event:
        return engine.images.remote(name, platform=platform, on_event=on_event)


def _check_local(args: Namespace) -> None:
    """Raise InvalidOption where a flag makes no sense for an image in the store."""
    if args.platform:
        raise InvalidOption("--platform chooses among the images of an index, which are in registries: add --remote")


COMMANDS = (
    Command("image", "inspect", (), "Show all that is known of images, as JSON.", _inspect_arguments, _inspect),
    Command("image", "tree", (), "Show the files of each layer.", _tree_arguments, _tree),
)
