"""Commands on networks. Source: docker network's reference."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dockmagic.commands import document, filters, run_networks, template
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.confirm import add_force, confirm
from dockmagic.commands.container import removed
from dockmagic.commands.environment import pairs
from dockmagic.commands.filters import Filter
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.commands.results import Document, Names
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption
from dockmagic.network.creation import NetworkRequest
from dockmagic.network.model import Network
from dockmagic.oci.networks import NetworkOptions

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_HEADINGS: Final = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
_PLAIN: Final = ("ID", "Name", "Driver", "Scope")
_FILTERS: Final = ("dangling", "driver", "id", "label", "name", "scope", "type")
_SWARM: Final = "there is no cluster"


# create


def _create_arguments(parser: CommandParser) -> None:
    parser.add_argument("-d", "--driver", default="bridge", metavar="DRIVER", help="bridge, the only one there is")
    parser.add_argument("--subnet", action="append", default=[], metavar="CIDR", help="its addresses: 172.28.0.0/16")
    parser.add_argument("--gateway", action="append", default=[], metavar="ADDRESS", help="the host's address in it")
    parser.add_argument("--ip-range", action="append", default=[], metavar="CIDR", help="where containers get theirs")
    parser.add_argument(
        "--aux-address", action="append", default=[], metavar="NAME=ADDRESS", help="an address that nobody gets"
    )
    parser.add_argument("--ipv6", action="store_true", help="have addresses of IPv6, too")
    parser.add_argument("--ipv4", default=True, type=typed(_truth), metavar="BOOL", help="true")
    parser.add_argument("--internal", action="store_true", help="let nothing out of it")
    parser.add_argument("--attachable", action="store_true", help="containers can be connected, as to any network here")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="add a label")
    parser.add_argument("-o", "--opt", action="append", default=[], metavar="NAME=VALUE", help="option of the driver")
    add_refused(parser, (Refused(("--ingress", "--config-only"), _SWARM, switch=True),))
    add_refused(parser, (Refused(("--config-from", "--scope"), _SWARM),))
    add_refused(parser, (Refused(("--ipam-driver", "--ipam-opt"), "addresses are leased by the engine itself"),))
    parser.add_argument("name", metavar="NETWORK", help="name")


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise InvalidOption(f"{text!r}: write true or false")
    return text.lower() in ("true", "1")


def _create(engine: Engine, args: Namespace, console: Console) -> Network:
    """Make a network."""
    request = NetworkRequest(
        args.name,
        args.driver,
        args.subnet,
        args.gateway,
        args.ip_range,
        pairs(args.aux_address),
        args.ipv6,
        args.ipv4,
        args.internal,
        args.attachable,
        pairs(args.opt),
        pairs(args.label),
    )
    return engine.networks.create(request)


# ls, inspect


def _ls_arguments(parser: CommandParser) -> None:
    parse_filter = typed(lambda text: filters.parse(text, _FILTERS))
    parse_format = typed(lambda text: template.parse(text, list(_HEADINGS)))
    parser.add_argument("-q", "--quiet", action="store_true", help="IDs only")
    parser.add_argument("--no-trunc", action="store_true", help="whole IDs")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: dangling=true, driver=bridge, id=…, label=KEY[=VALUE], name=PART, type=custom|builtin",
    )  # fmt: skip
    parser.add_argument("--format", type=parse_format, metavar="FORMAT", help="json, or a template: '{{.Name}}'")


def _ls(engine: Engine, args: Namespace, console: Console) -> Table | Names:
    """Table of networks, by name."""
    takes = [_filter(one, engine) for one in args.filter]
    found = sorted(engine.networks.ls(), key=lambda network: network.name)
    values = tuple(network for network in found if all(take(network) for take in takes))
    rows = [_fields(network, no_trunc=args.no_trunc) for network in values]
    if args.quiet:
        return Table(("NETWORK ID",), tuple((row["ID"],) for row in rows), values, bare=True, caption="no networks")
    if args.format is not None:
        shown: Table | Names = args.format.shown(rows, _HEADINGS)
        return shown
    cells = tuple(tuple(row[name] for name in _PLAIN) for row in rows)
    return Table(tuple(_HEADINGS[name] for name in _PLAIN), cells, values, caption="no networks")


def _fields(network: Network, *, no_trunc: bool) -> Mapping[str, str]:
    """What templates know of a network."""
    created = datetime.fromtimestamp(network.created_ns // 10**9).astimezone()
    return {
        "ID": network.id if no_trunc else network.id[:12],
        "Name": network.name,
        "Driver": network.driver,
        "Scope": "local",
        "IPv4": "true",
        "IPv6": json.dumps(network.ipv6),
        "Internal": json.dumps(network.internal),
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(network.labels.items())),
        "CreatedAt": f"{created:%Y-%m-%d %H:%M:%S %z %Z}",
    }


def _filter(given: Filter, engine: Engine) -> Callable[[Network], bool]:
    """Which networks a filter takes. Raises InvalidOption."""
    value = given.value
    if given.name == "dangling":
        wanted = filters.truth(given)
        return lambda network: wanted == (not network.predefined and not engine.networks.users(network))
    if given.name == "type":
        if value not in ("custom", "builtin"):
            raise InvalidOption(f"--filter type={value}: use custom or builtin")
        return lambda network: network.predefined == (value == "builtin")
    by_text: dict[str, Callable[[Network], bool]] = {
        "driver": lambda network: network.driver == value,
        "id": lambda network: network.id.startswith(value),
        "name": lambda network: value in network.name,
        "scope": lambda network: value == "local",
    }
    if given.name in by_text:
        return by_text[given.name]
    chosen = filters.selection([given], time.time())
    return lambda network: chosen.takes(network.created_ns, network.labels)


def _inspect_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "-f", "--format", type=typed(document.parse), metavar="FORMAT", help="json, or a template: '{{.Driver}}'"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="the same: there is no cluster to tell of")
    _names(parser)


def _inspect(engine: Engine, args: Namespace, console: Console) -> Document | Names:
    """All that is known of networks, in Docker's JSON form."""
    found = Document(engine.networks.inspect(name) for name in args.networks)
    return found if args.format is None else Names(args.format.shown(one) for one in found)


def _names(parser: CommandParser) -> None:
    parser.add_argument("networks", metavar="NETWORK", nargs="+", help="name, ID or beginning of an ID")


# rm, prune


def _rm_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="one that isn't there is no error")
    _names(parser)


def _rm(engine: Engine, args: Namespace, console: Console) -> Names:
    """Remove networks."""
    return removed(args.networks, engine.networks.rm, console, force=args.force)


def _prune_arguments(parser: CommandParser) -> None:
    parse_filter = typed(lambda text: filters.parse(text, ("until", "label", "label!")))
    parser.add_argument(
        "--filter", action="append", default=[], type=parse_filter, metavar="FILTER",
        help="only these: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]",
    )  # fmt: skip
    add_force(parser)


def _prune(engine: Engine, args: Namespace, console: Console) -> Names:
    """Remove the networks that no container uses."""
    chosen = filters.selection(args.filter, time.time())
    question = "This will remove all custom networks not used by at least one container."
    if not confirm(console, args.force, question):
        return Names(())
    removed = engine.networks.prune(chosen)
    return Names(("Deleted Networks:", *removed) if removed else ())


# connect, disconnect


def _connect_arguments(parser: CommandParser) -> None:
    parser.add_argument("--alias", action="append", default=[], metavar="NAME", help="one more name for others")
    parser.add_argument("--ip", default="", metavar="ADDRESS", help="IPv4 address")
    parser.add_argument("--ip6", default="", metavar="ADDRESS", help="IPv6 address")
    parser.add_argument(
        "--gw-priority", type=int, default=0, metavar="NUMBER", help="the highest has the default route"
    )
    parser.add_argument("--driver-opt", action="append", default=[], metavar="NAME=VALUE", help="option of the driver")
    add_refused(parser, (Refused(("--link-local-ip",), run_networks.LINK_LOCAL),))
    add_refused(parser, (Refused(("--link",), "give the other container's name or --alias instead"),))
    parser.add_argument("network", metavar="NETWORK", help="name or ID")
    parser.add_argument("container", metavar="CONTAINER", help="name or ID")


def _connect(engine: Engine, args: Namespace, console: Console) -> None:
    """Connect a container to one more network, at once where it runs."""
    options = NetworkOptions(args.network, tuple(args.alias), args.ip, args.ip6, gateway_priority=args.gw_priority)
    for each in args.driver_opt:
        options = run_networks.with_driver_option(options, each)
    engine.containers.get(args.container).connect(options)


def _disconnect_arguments(parser: CommandParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="as without: it is taken out at once")
    parser.add_argument("network", metavar="NETWORK", help="name or ID")
    parser.add_argument("container", metavar="CONTAINER", help="name or ID")


def _disconnect(engine: Engine, args: Namespace, console: Console) -> None:
    """Take a container out of a network, at once where it runs."""
    engine.containers.get(args.container).disconnect(args.network)


COMMANDS = (
    Command("network", "create", (), "Make a network.", _create_arguments, _create),
    Command("network", "ls", ("network list",), "List networks.", _ls_arguments, _ls),
    Command("network", "inspect", (), "Show all that is known of networks, as JSON.", _inspect_arguments, _inspect),
    Command("network", "rm", ("network remove",), "Remove networks.", _rm_arguments, _rm),
    Command("network", "prune", (), "Remove networks that no container uses.", _prune_arguments, _prune),
    Command("network", "connect", (), "Connect a container to a network.", _connect_arguments, _connect),
    Command("network", "disconnect", (), "Take a container out of a network.", _disconnect_arguments, _disconnect),
)
