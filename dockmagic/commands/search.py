"""The command search. Source: Docker's reference, "docker search"; podman-search(1) for other registries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockmagic.commands import filters, template
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.filters import Filter
from dockmagic.commands.results import Names
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.search import Found

_HEADINGS: Final = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
}
_SHOWN: Final = ("Name", "Description", "StarCount", "IsOfficial")
_FILTERS: Final = ("is-official", "is-automated", "stars")
_WIDTH: Final = 45
_WORDS: Final = ("", "[OK]")
_JSON_WORDS: Final = ("false", "true")


def _arguments(parser: CommandParser) -> None:
    from dockmagic.image.search import DEFAULT_LIMIT, MOST_RESULTS  # brings all of the registry client

    parse_filter = typed(lambda text: filters.parse(text, _FILTERS))
    parse_format = typed(lambda text: template.parse(text, list(_HEADINGS)))
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: is-official=true, is-automated=true, stars=NUMBER (that many or more)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=typed(_number), default=DEFAULT_LIMIT, metavar="NUMBER", help=f"1 to {MOST_RESULTS} (25)"
    )
    parser.add_argument("--no-trunc", action="store_true", help="don't shorten descriptions")
    parser.add_argument("--format", type=parse_format, metavar="FORMAT", help="json, or a template: '{{.Name}}'")
    parser.add_argument(
        "term", metavar="TERM", help="word to look for on Docker Hub; HOST/TERM in another registry, HOST/ for all"
    )


def _search(engine: Engine, args: Namespace, console: Console) -> Table | Names:
    """Table of repositories that were found."""
    with console.watching() as on_event:
        found = engine.images.search(args.term, args.limit, on_event)
    found = tuple(one for one in found if all(_takes(filter, one) for filter in args.filter))
    words = _JSON_WORDS if args.format is not None and args.format.text == "{{json .}}" else _WORDS
    rows = [_row(one, args.no_trunc, words) for one in found]
    if args.format is not None:
        shown: Table | Names = args.format.shown(rows, _HEADINGS)
        return shown
    cells = tuple(tuple(row[field] for field in _SHOWN) for row in rows)
    return Table(tuple(_HEADINGS[field] for field in _SHOWN), cells, found, caption="nothing found")


def _row(found: Found, no_trunc: bool, words: tuple[str, str]) -> dict[str, str]:
    """The fields of a repository; `words` are for what isn't so, and what is."""
    text = " ".join(found.description.split())
    return {
        "Name": found.name,
        "Description": text if no_trunc or len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…",
        "StarCount": str(found.stars),
        "IsOfficial": words[found.official],
        "IsAutomated": words[found.automated],
    }


def _takes(filter: Filter, found: Found) -> bool:
    """Whether a filter takes it. Raises InvalidOption."""
    if filter.name == "stars":
        return found.stars >= _number(filter.value)
    return filters.truth(filter) == (found.official if filter.name == "is-official" else found.automated)


def _number(text: str) -> int:
    """A whole number. Raises InvalidOption."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidOption(f"{text!r} isn't a whole number")
    return int(text)


COMMANDS = (Command("image", "search", ("search",), "Look for repositories in a registry.", _arguments, _search),)
