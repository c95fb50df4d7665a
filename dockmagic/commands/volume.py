"""The commands volume create, ls, inspect, rm and prune. Source: Docker's reference, "docker volume"."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from dockmagic.commands import document, filters, template
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.confirm import add_force, confirm
from dockmagic.commands.container import removed
from dockmagic.commands.environment import pairs
from dockmagic.commands.filters import Filter
from dockmagic.commands.prune import Cancelled, Reclaimed, add_filter, joined
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.commands.results import Document, Names
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption
from dockmagic.volumes.local import driver

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.volumes.store import Volume
    from dockmagic.volumes.verbs import VolumeUse

_HEADINGS: Final = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Status": "STATUS",
}
_UNKNOWN: Final = "N/A"  # as Docker says in a list
_FILTERS: Final = ("dangling", "driver", "label", "name")
_PRUNE_FILTERS: Final = ("label", "label!", "all")
_SWARM: Final = "there is no cluster"


# create, ls, inspect, rm


def _create_arguments(parser: CommandParser) -> None:
    parser.add_argument("-d", "--driver", type=typed(driver), metavar="DRIVER", help="local, the only one there is")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="add a label")
    parser.add_argument(
        "-o", "--opt", action="append", default=[], metavar="NAME=VALUE",
        help="type=tmpfs|none, device=tmpfs|/DIR, o=MOUNT OPTIONS such as size=64m or bind",
    )  # fmt: skip
    add_refused(parser, (Refused(("--availability", "--group", "--limit-bytes", "--required-bytes"), _SWARM),))
    add_refused(parser, (Refused(("--scope", "--secret", "--sharing", "--type"), _SWARM),))
    add_refused(parser, (Refused(("--topology-preferred", "--topology-required"), _SWARM),))
    parser.add_argument("name", metavar="VOLUME", nargs="?", default="", help="name (made up)")


def _create(engine: Engine, args: Namespace, console: Console) -> Volume:
    """Make a volume; one that is there already stays as it is."""
    return engine.volumes.create(args.name, labels=pairs(args.label), options=pairs(args.opt))


def _ls_arguments(parser: CommandParser) -> None:
    parse_filter = typed(lambda text: filters.parse(text, _FILTERS))
    parse_format = typed(lambda text: template.parse(text, list(_HEADINGS)))
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: dangling=true, driver=local, label=KEY[=VALUE], name=PART",
    )  # fmt: skip
    parser.add_argument("--format", type=parse_format, metavar="FORMAT", help="json, or a template: '{{.Name}}'")
    add_refused(parser, (Refused(("--cluster",), _SWARM, switch=True),))


def _ls(engine: Engine, args: Namespace, console: Console) -> Table | Names:
    """Table of volumes, by name."""
    takes = [_filter(one) for one in args.filter]
    uses = [use for use in engine.volumes.ls() if all(take(use) for take in takes)]
    values = tuple(use.volume for use in uses)
    if args.quiet:
        names = tuple((volume.name,) for volume in values)
        return Table(("VOLUME NAME",), names, values, bare=True, caption="no volumes")
    rows = [_fields(use) for use in uses]
    if args.format is not None:
        shown: Table | Names = args.format.shown(rows, _HEADINGS)
        return shown
    cells = tuple((row["Driver"], row["Name"]) for row in rows)
    return Table((_HEADINGS["Driver"], _HEADINGS["Name"]), cells, values, caption="no volumes")


def _fields(use: VolumeUse) -> Mapping[str, str]:
    """What templates know of a volume; as in Docker, a list counts and measures nothing."""
    labels = ",".join(f"{name}={value}" for name, value in sorted(use.volume.labels.items()))
    known = {"Driver": "local", "Name": use.volume.name, "Scope": "local", "Labels": labels}
    return {**dict.fromkeys(_HEADINGS, _UNKNOWN), **known, "Mountpoint": str(use.volume.mountpoint)}


def _filter(given: Filter) -> Callable[[VolumeUse], bool]:
    """Which volumes a filter takes. Raises InvalidOption."""
    if given.name == "dangling":
        wanted = filters.truth(given)
        return lambda use: wanted != bool(use.containers)
    if given.name == "driver":
        return lambda use: given.value == "local"
    if given.name == "name":
        return lambda use: given.value in use.volume.name
    chosen = filters.selection([given], time.time())
    return lambda use: chosen.takes(use.volume.created_ns, use.volume.labels)


def _inspect_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "-f", "--format", type=typed(document.parse), metavar="FORMAT", help="json, or a template: '{{.Mountpoint}}'"
    )
    _names(parser)


def _inspect(engine: Engine, args: Namespace, console: Console) -> Document | Names:
    """All that is known of volumes, in Docker's JSON form."""
    found = Document(engine.volumes.get(name).inspect() for name in args.volumes)
    return found if args.format is None else Names(args.format.shown(one) for one in found)


def _names(parser: CommandParser) -> None:
    parser.add_argument("volumes", metavar="VOLUME", nargs="+", help="name")


def _rm_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="one that isn't there is no error")
    _names(parser)


def _rm(engine: Engine, args: Namespace, console: Console) -> Names:
    """Remove volumes with all that is in them."""
    return removed(args.volumes, engine.volumes.rm, console, force=args.force)


# prune


def _prune_arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="those with a name, too")
    add_filter(parser, _PRUNE_FILTERS, "label=KEY[=VALUE], label!=KEY[=VALUE], all=true")
    add_force(parser)


def _prune(engine: Engine, args: Namespace, console: Console) -> Reclaimed:
    """Remove volumes that no container uses."""
    chosen = filters.selection(args.filter, time.time())
    asked = [filters.truth(one) for one in args.filter if one.name == "all"]
    if args.all and asked:
        raise InvalidOption("conflicting options: cannot specify both --all and --filter all=1")
    every = args.all or asked[-1:] == [True]
    which = "all local volumes" if every else "anonymous local volumes"
    if not confirm(console, args.force, f"This will remove {which} not used by at least one container."):
        return Cancelled()
    return joined(("Deleted Volumes", engine.volumes.prune(chosen, all=every)))


COMMANDS = (
    Command("volume", "create", (), "Make a volume.", _create_arguments, _create),
    Command("volume", "ls", ("volume list",), "List volumes.", _ls_arguments, _ls),
    Command("volume", "inspect", (), "Show all that is known of volumes, as JSON.", _inspect_arguments, _inspect),
    Command("volume", "rm", ("volume remove",), "Remove volumes.", _rm_arguments, _rm),
    Command("volume", "prune", (), "Remove volumes that no container uses.", _prune_arguments, _prune),
)
