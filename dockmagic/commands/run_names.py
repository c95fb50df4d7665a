"""The flags on what a container calls others, and whom it asks. Source: docker run's reference, "DNS services"."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, Final

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.errors import InvalidOption
from dockmagic.network import legacy_links
from dockmagic.oci.networks import DEFAULT, HOST, NONE
from dockmagic.oci.options import JOIN
from dockmagic.runtime.hosts import GATEWAY

_LABEL: Final = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_MOST_DOMAIN: Final = 254
_UNDEFINED: Final = "This would result in undefined behavior"


def add_names(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("names")
    group.add_argument(
        "--dns", action="append", default=[], type=typed(server), metavar="ADDRESS", help="DNS server, not the host's"
    )
    group.add_argument(
        "--dns-search", action="append", default=[], type=typed(domain), metavar="DOMAIN",
        help="domain in which names are looked for; . for none",
    )  # fmt: skip
    group.add_argument(
        "--dns-option", "--dns-opt", action="append", default=[], metavar="OPTION", help="option of resolv.conf"
    )
    group.add_argument(
        "--add-host", action="append", default=[], type=typed(extra_host), metavar="NAME:ADDRESS",
        help=f"add a line to /etc/hosts; {GATEWAY} is the host's address",
    )  # fmt: skip
    group.add_argument(
        "--link", action="append", default=[], type=typed(legacy_links.parse), metavar="CONTAINER[:ALIAS]",
        help="know another container by name (legacy)",
    )  # fmt: skip


def name_options(args: Namespace) -> dict[str, Any]:
    """What the flags ask for, as fields of RunOptions; raises InvalidOption where the network has no room for it."""
    mode = args.network[0].network if args.network else DEFAULT
    joined = mode.startswith(JOIN)
    if joined and (args.dns or args.dns_search or args.dns_option):
        raise InvalidOption("conflicting options: dns and the network mode: the other container's servers are asked")
    if joined and args.add_host:
        raise InvalidOption("conflicting options: custom host-to-IP mapping and the network mode; leave --add-host out")
    if args.link and (joined or mode in {HOST, NONE}):
        kind = "container" if joined else mode
        raise InvalidOption(f"conflicting options: {kind} type networking can't be used with links. {_UNDEFINED}")
    return {
        "dns": tuple(args.dns),
        "dns_search": tuple(args.dns_search),
        "dns_options": tuple(args.dns_option),
        "extra_hosts": tuple(args.add_host),
        "links": tuple(args.link),
    }


def server(text: str) -> str:
    """An address, in its usual form.

    >>> server(" 2001:DB8:0::1")
    '2001:db8::1'
    """
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        raise InvalidOption(f"IP address is not correctly formatted: {text}") from None


def domain(text: str) -> str:
    """A domain, or "." for none."""
    name = text.strip()
    if name != "." and (not _DOMAIN.fullmatch(name) or len(name) > _MOST_DOMAIN or not re.search("[a-zA-Z]", name)):
        raise InvalidOption(f"{text} is not a valid domain")
    return name


def extra_host(text: str) -> tuple[str, str]:
    """A name and its address, from "name:address" or "name=address"; the address may be "host-gateway".

    >>> extra_host("v6:[::1]"), extra_host("host.docker.internal=host-gateway")
    (('v6', '::1'), ('host.docker.internal', 'host-gateway'))
    """
    name, _, address = text.partition("=" if "=" in text else ":")
    if not name or ":" in name or any(char.isspace() for char in name) or not address:
        raise InvalidOption(f"bad format for add-host: {text!r}; write NAME:ADDRESS")
    if address == GATEWAY:
        return name, address
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    try:
        return name, str(ip_address(address))
    except ValueError:
        raise InvalidOption(f"invalid IP address in add-host: {address!r}; write NAME:ADDRESS") from None
