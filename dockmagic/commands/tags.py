"""Commands on what registries list: image tags, image catalog, image referrers.

Source: skopeo-list-tags(1) for the JSON form; distribution-spec "Content Discovery".
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.human import decimal_size
from dockmagic.commands.results import Json
from dockmagic.commands.table import Pretty, Table
from dockmagic.errors import InvalidOption
from dockmagic.oci.reference import Reference
from dockmagic.widgets.style import MONO, NO_MATH
from dockmagic.widgets.text import printable

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_MOST_SHOWN: Final = 2000  # in a notebook
_COLUMNS: Final = f"columns:auto 16ch;max-height:320px;overflow:auto;{MONO};font-size:12px"


@dataclass(frozen=True)
class Listed:
    """Names that a registry lists; as a sequence it gives them. They may hold anything: shown is what is printable."""

    names: tuple[str, ...]

    def __len__(self) -> int:
        """Number of names."""
        return len(self.names)

    def __getitem__(self, index: int) -> str:
        """A name."""
        return self.names[index]

    def __str__(self) -> str:
        """One name a line."""
        return "\n".join(map(printable, self.names))

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The names in columns, as many as a notebook can show."""
        cells = "".join(f"<div>{html.escape(printable(name))}</div>" for name in self.names[:_MOST_SHOWN])
        more = len(self.names) - _MOST_SHOWN
        rest = f'<div style="opacity:.7">… and {more} more</div>' if more > 0 else ""
        return f'<div {NO_MATH}><div style="{_COLUMNS}">{cells}</div>{rest}</div>'


def _limit(text: str) -> int:
    """A number of names. Raises InvalidOption."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InvalidOption(f"{text!r} isn't a number of names; write 1 or more")
    return int(text)


def _pattern(text: str) -> str:
    """The pattern of `--filter`, which may be called by its field. Raises InvalidOption."""
    name, equals, value = text.partition("=")
    if equals and name not in ("tag", "name"):
        raise InvalidOption(f"invalid filter {name!r}; write a pattern such as '1.*', or tag='1.*'")
    return value if equals else text


def _json(text: str) -> str:
    """The only format that there is."""
    if text != "json":
        raise InvalidOption(f"{text!r} isn't available; write json, or use the names in Python")
    return text


def _list_arguments(parser: CommandParser) -> None:
    """Add the flags of a list of names."""
    parser.add_argument("--limit", type=typed(_limit), metavar="NUMBER", help="show that many at most, the first ones")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=typed(_pattern), metavar="PATTERN",
        help="only names that match: '1.*', '*-alpine', '[0-9]*'; of several, any",
    )  # fmt: skip
    parser.add_argument("--format", type=typed(_json), metavar="FORMAT", help="json")


def _chosen(names: Iterable[str], args: Namespace) -> tuple[str, ...]:
    """The names that are wanted."""
    matching = [name for name in names if not args.filter or any(fnmatchcase(name, one) for one in args.filter)]
    return tuple(matching[: args.limit])


def _tags_arguments(parser: CommandParser) -> None:
    _list_arguments(parser)
    parser.add_argument("repository", metavar="NAME", help="repository in a registry")


def _tags(engine: Engine, args: Namespace, console: Console) -> Listed | Json:
    """The tags of a repository in its registry, in natural order: 1.9 before 1.10."""
    repository = Reference.parse(args.repository)
    if repository.digest is not None or args.repository.endswith(f":{repository.tag}"):
        raise InvalidOption(f"{args.repository}: give the repository alone, {repository.familiar_name}")
    with console.watching() as on_event:
        names = _chosen(engine.images.tags(args.repository, on_event), args)
    return Json({"Repository": repository.name, "Tags": list(names)}) if args.format else Listed(names)


def _catalog_arguments(parser: CommandParser) -> None:
    _list_arguments(parser)
    parser.add_argument("registry", metavar="HOST[:PORT]", help="registry")


def _catalog(engine: Engine, args: Namespace, console: Console) -> Listed | Json:
    """The repositories of a registry."""
    with console.watching() as on_event:
        names = _chosen(engine.images.catalog(args.registry, on_event), args)
    return Json({"Registry": args.registry, "Repositories": list(names)}) if args.format else Listed(names)


def _referrers_arguments(parser: CommandParser) -> None:
    parser.add_argument("--artifact-type", default="", metavar="TYPE", help="only artifacts of this media type")
    parser.add_argument("image", metavar="IMAGE", help="name of an image in a registry")


def _referrers(engine: Engine, args: Namespace, console: Console) -> Table:
    """Table of what refers to an image in its registry."""
    with console.watching() as on_event:
        found = engine.images.referrers(args.image, args.artifact_type, on_event)
    rows = tuple((entry.digest, entry.artifact_type or entry.media_type, decimal_size(entry.size)) for entry in found)
    return Table(("DIGEST", "ARTIFACT TYPE", "SIZE"), rows, found, caption="nothing refers to it")


COMMANDS = (
    Command("image", "tags", (), "List the tags that a registry has.", _tags_arguments, _tags),
    Command("image", "catalog", (), "List the repositories that a registry has.", _catalog_arguments, _catalog),
    Command("image", "referrers", (), "List signatures and the like in a registry.", _referrers_arguments, _referrers),
)
