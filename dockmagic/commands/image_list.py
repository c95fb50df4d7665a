"""The command image ls: which images, and how they are shown. Source: Docker's reference, "docker image ls"."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dockmagic.commands import filters, template
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.filters import Filter
from dockmagic.commands.human import ago, decimal_size, short_id
from dockmagic.commands.results import Names
from dockmagic.commands.table import Table
from dockmagic.errors import DockerfileError, InvalidOption

if TYPE_CHECKING:
    from dockmagic.dockerfile.pattern import PathPattern
    from dockmagic.engine import Engine
    from dockmagic.image.store import Image
    from dockmagic.oci.reference import Reference

_NONE: Final = "<none>"
_HEADINGS: Final = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
}
_PLAIN: Final = ("Repository", "Tag", "ID", "CreatedSince", "Size")
_WITH_DIGEST: Final = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")
_FILTERS: Final = ("dangling", "label", "before", "since", "until", "reference")

_Takes = Callable[["Image"], bool]


def _arguments(parser: CommandParser) -> None:
    parse_filter = typed(lambda text: filters.parse(text, _FILTERS))
    parse_format = typed(lambda text: template.parse(text, list(_HEADINGS)))
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten ids")
    parser.add_argument("-a", "--all", action="store_true", help="intermediate images, too; builds leave none")
    parser.add_argument("--digests", action="store_true", help="show digests")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=24h, reference=PATTERN",
    )  # fmt: skip
    parser.add_argument("--format", type=parse_format, metavar="FORMAT", help="json, or a template: '{{.ID}} {{.Tag}}'")
    parser.add_argument("repository", metavar="REPOSITORY[:TAG]", nargs="?", help="only the images of this name")


def _ls(engine: Engine, args: Namespace, console: Console) -> Table | Names:
    """Table of images, a row for each name, newest first."""
    images = engine.images.ls()
    takes = [_filter(engine, one) for one in args.filter if one.name != "reference"]
    patterns = [_pattern(one.value) for one in args.filter if one.name == "reference"]
    patterns += [] if args.repository is None else [_pattern(args.repository)]
    now = datetime.now(UTC)
    found = [
        (image, row)
        for image in images
        if all(take(image) for take in takes)
        for row in _rows(image, patterns, now, args.no_trunc)
    ]
    return _shown(found, args)


def _shown(found: Sequence[tuple[Image, dict[str, str]]], args: Namespace) -> Table | Names:
    """The rows in the form that was asked for."""
    values = tuple(image for image, _ in found)
    rows = [row for _, row in found]
    if args.quiet:
        identifiers = tuple((identifier,) for identifier in dict.fromkeys(row["ID"] for row in rows))
        return Table(("IMAGE ID",), identifiers, values, bare=True, caption="no images")
    if args.format is not None:
        shown: Table | Names = args.format.shown(rows, _HEADINGS)
        return shown
    fields = _WITH_DIGEST if args.digests else _PLAIN
    cells = tuple(tuple(row[field] for field in fields) for row in rows)
    return Table(tuple(_HEADINGS[field] for field in fields), cells, values, caption="no images")


def _rows(image: Image, patterns: Sequence[PathPattern], now: datetime, no_trunc: bool) -> list[dict[str, str]]:
    """The fields of each of the image's names that matches, or of an image without a name."""
    created = image.created
    rest = {
        "ID": str(image.id) if no_trunc else short_id(image.id),
        "CreatedSince": "N/A" if created is None else ago((now - created).total_seconds()),
        "CreatedAt": "N/A" if created is None else f"{created.astimezone(UTC):%Y-%m-%d %H:%M:%S} +0000 UTC",
        "Size": decimal_size(image.size_bytes),
    }
    if not image.references:
        return [] if patterns else [{"Repository": _NONE, "Tag": _NONE, "Digest": _NONE, **rest}]
    return [
        {"Repository": name.familiar_name, "Tag": name.tag or _NONE, "Digest": str(name.digest or _NONE), **rest}
        for name in image.references
        if not patterns or any(_matches(pattern, name) for pattern in patterns)
    ]


# which


def _filter(engine: Engine, given: Filter) -> _Takes:
    """Which images a filter takes. Raises InvalidOption, or NotFound for an image that it compares with."""
    if given.name == "dangling":
        wanted = filters.truth(given)
        return lambda image: wanted == all(name.digest is not None for name in image.references)
    if given.name in ("before", "since"):
        other = _created_s(engine.images.get(given.value))
        sign = 1 if given.name == "before" else -1
        return lambda image: sign * _created_s(image) < sign * other
    chosen = filters.selection([given], time.time())
    return lambda image: chosen.takes(int(_created_s(image) * 1e9), image.config.config.labels)


def _created_s(image: Image) -> float:
    """When the image was made, in seconds since 1970; 0 where its config doesn't say."""
    return 0.0 if image.created is None else image.created.timestamp()


def _pattern(text: str) -> PathPattern:
    """A pattern for names. Raises InvalidOption."""
    from dockmagic.dockerfile.pattern import PathPattern

    try:
        return PathPattern(text, line=1)
    except DockerfileError as error:
        raise InvalidOption(f"{text!r} isn't a pattern: {error.message}") from error


def _matches(pattern: PathPattern, name: Reference) -> bool:
    """Whether a pattern matches a name with its tag or without."""
    return pattern.matches(name.familiar) or pattern.matches(name.familiar_name)


COMMANDS = (Command("image", "ls", ("images", "image list"), "List images.", _arguments, _ls),)
