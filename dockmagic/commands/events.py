"""The command events: what happened to containers and images, as it happens. Source: Docker's reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dockmagic.commands import document, filters
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.filters import Filter
from dockmagic.commands.results import harmless
from dockmagic.journal import Entry

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_FILTERS: Final = ("container", "daemon", "event", "image", "label", "network", "scope", "type", "volume")


@dataclass(frozen=True)
class Happened:
    """Events that were shown as they happened; as a sequence it gives them."""

    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        """Number of events."""
        return len(self.entries)

    def __getitem__(self, index: int) -> Entry:
        """An event."""
        return self.entries[index]

    def __str__(self) -> str:
        """Nothing more."""
        return ""

    def _ipython_display_(self) -> None:
        """Show nothing more."""


def _arguments(parser: CommandParser) -> None:
    parse_filter = typed(lambda text: filters.parse(text, _FILTERS))
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: container=NAME, event=die, image=NAME, label=KEY[=VALUE], type=container …",
    )  # fmt: skip
    parser.add_argument("--format", type=typed(document.parse), metavar="FORMAT", help="json, or a template")
    parser.add_argument("--since", default="", metavar="TIME", help="those since then, too: a time, or 10m (ago)")
    parser.add_argument("--until", default="", metavar="TIME", help="no later ones (-10s is in ten seconds)")


def _events(engine: Engine, args: Namespace, console: Console) -> Happened:
    """Show events until the time is over, or an interrupt."""
    now_s = time.time()
    since_ns = filters.moment_ns(args.since, now_s) if args.since else int(now_s * 1e9)
    until_ns = filters.moment_ns(args.until, now_s) if args.until else None
    takes = _takes(args.filter)
    seen: list[Entry] = []
    try:
        for entry in engine.journal.entries(since_ns, until_ns):
            if takes(entry):
                seen.append(entry)
                shown = _line(entry) if args.format is None else args.format.shown(_document(entry))
                console.write("stdout", f"{shown}\n".encode())
    except KeyboardInterrupt:  # it is how one ends it
        if until_ns is not None:
            raise
    return Happened(tuple(seen))


def _document(entry: Entry) -> dict[str, object]:
    """The event as templates see it: in JSON's form, with the names of the command line's own fields."""
    return {**entry.document(), "From": entry.attributes.get("image", "")}


def _line(entry: Entry) -> str:
    """The event on one line, as Docker prints it."""
    seconds, nanoseconds = divmod(entry.time_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    zone = f"{moment:%z}"
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}{zone[:3]}:{zone[3:5]}"
    facts = ", ".join(f"{name}={value}" for name, value in sorted(entry.attributes.items()))
    return harmless(f"{stamp} {entry.type} {entry.action} {entry.id} ({facts})").replace("\n", "\\n")


def _takes(given: list[Filter]) -> Callable[[Entry], bool]:
    """Whether an event is of one of the values of every filter that is given; labels are needed all."""
    by_name: dict[str, list[str]] = {}
    for one in given:
        by_name.setdefault(one.name, []).append(one.value)

    def takes(entry: Entry) -> bool:
        return all(
            (all if name == "label" else any)(_matches(entry, name, value) for value in values)
            for name, values in by_name.items()
        )

    return takes


def _matches(entry: Entry, name: str, value: str) -> bool:
    """Whether an event is about what a filter names."""
    if name == "event":
        return entry.action == value or entry.action.partition(":")[0] == value
    if name == "type":
        return entry.type == value
    if name == "label":
        key, equals, wanted = value.partition("=")
        return key in entry.attributes and (not equals or entry.attributes[key] == wanted)
    if name == "scope":
        return value == "local"
    if name == "image":
        return _is_image(entry, value)
    named = value in (entry.id, entry.attributes.get("name"))
    return entry.type == name and (named or (len(value) > 3 and entry.id.startswith(value)))


def _is_image(entry: Entry, value: str) -> bool:
    """Whether it is about an image, or a container of it; a name is meant with any tag."""
    own = (entry.id, entry.attributes.get("name", "")) if entry.type == "image" else ()
    names = {*own, entry.attributes.get("image", "")}
    return value in names or value in {name.partition(":")[0] for name in names}


COMMANDS = (
    Command("system", "events", ("events",), "Show what happens to containers and images.", _arguments, _events),
)
