"""Commands on images in Python packages: wheel, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.human import short_id
from dockmagic.commands.results import Names
from dockmagic.commands.table import Table

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_COLUMNS = ("REPOSITORY", "TAG", "MANIFEST", "PLATFORM", "PACKAGE", "VERSION")


def _wheel_arguments(parser: CommandParser) -> None:
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path(), help="where to write it (here)")
    parser.add_argument("--name", default="", help="name of the package (dockmagic-image-NAME of the first image)")
    parser.add_argument("--version", default="", help="its version (the first image's tag if that can be one, else 0)")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="name; without a tag, all tags of that name")


def _wheel(engine: Engine, args: Namespace, console: Console) -> Names:
    """Write images as a package that pip installs; its path."""
    return Names([str(engine.images.wheel(args.images, args.output, name=args.name, version=args.version))])


def _offline(engine: Engine, args: Namespace, console: Console) -> Table:
    """Table of the images that installed packages offer."""
    from dockmagic.image.platform import describe

    offers = engine.images.offline()
    rows = [
        (
            offer.reference.familiar_name,
            offer.reference.tag or "<none>",
            short_id(offer.descriptor.digest),
            describe(offer.descriptor.platform) if offer.descriptor.platform is not None else "",
            offer.package,
            offer.version,
        )
        for offer in offers
    ]
    caption = "no installed package offers an image; `dockmagic image wheel` makes such packages"
    return Table(_COLUMNS, tuple(rows), tuple(offers), caption=caption)


def _no_arguments(parser: CommandParser) -> None:
    """Add nothing."""


COMMANDS = (
    Command("image", "wheel", (), "Write images as a Python package.", _wheel_arguments, _wheel),
    Command("image", "offline", (), "List the images of installed packages.", _no_arguments, _offline),
)
