"""The flags on a container's networks. Source: docker run's reference, "--network", and its long form."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.networks import DEFAULT, NetworkOptions, has_own_links
from dockmagic.oci.options import JOIN

_MAC: Final = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)
_INTERFACE: Final = "com.docker.network.endpoint.ifname"
_KEYS: Final = ("name", "alias", "ip", "ip6", "mac-address", "link-local-ip", "driver-opt", "gw-priority")
LINK_LOCAL: Final = "a link-local address can be set with IPv6 only, where the kernel chooses it"


def add_networks(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("networks")
    group.add_argument(
        "--network", "--net", action="append", default=[], type=typed(network), metavar="NETWORK",
        help="bridge, none, host, container:NAME, or a network of yours: NAME or name=NAME,alias=…,ip=…,mac-address=…",
    )  # fmt: skip
    group.add_argument("--ip", default="", type=typed(_ipv4), metavar="ADDRESS", help="its IPv4 address")
    group.add_argument("--ip6", default="", type=typed(_ipv6), metavar="ADDRESS", help="its IPv6 address")
    group.add_argument("--mac-address", default="", type=typed(_mac), metavar="MAC", help="its MAC address")
    group.add_argument(
        "--network-alias", "--net-alias", action="append", default=[], metavar="NAME",
        help="one more name by which others on its network find it",
    )  # fmt: skip
    add_refused(parser, (Refused(("--link-local-ip",), LINK_LOCAL),))


def networks(args: Namespace) -> dict[str, Any]:
    """What the flags ask for, as fields of RunOptions; raises InvalidOption where they contradict each other."""
    given: list[NetworkOptions] = list(args.network)
    mode = given[0].network if given else DEFAULT
    own = has_own_links(mode)
    names = [each.network for each in given]
    if len(given) > 1 and not all(has_own_links(name) for name in names):
        text = "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        raise InvalidOption(f"--network: {text}")
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InvalidOption(f"--network: network {repeated!r} is specified multiple times")
    first = _with_flags(given[0] if given else NetworkOptions(DEFAULT), args)
    if not own and first != NetworkOptions(mode):
        raise InvalidOption(f"conflicting options: addresses, MAC addresses and aliases, and the network mode {mode}")
    plain = first == NetworkOptions(DEFAULT)
    return {"network": mode, "networks": (first, *given[1:]) if own and not plain else ()}


def _with_flags(options: NetworkOptions, args: Namespace) -> NetworkOptions:
    """The options of the first network, with those that have flags of their own. Raises InvalidOption."""
    single = (("--ip", args.ip, options.ipv4, "IPv4 address"), ("--ip6", args.ip6, options.ipv6, "IPv6 address"))
    mac = ("--mac-address", args.mac_address, options.mac, "MAC address")
    for flag, value, there, what in (*single, mac, ("--network-alias", args.network_alias, options.aliases, "alias")):
        if value and there:
            raise InvalidOption(f"conflicting options: cannot specify both {flag} and per-network {what}")
    return replace(
        options,
        ipv4=args.ip or options.ipv4,
        ipv6=args.ip6 or options.ipv6,
        mac=args.mac_address or options.mac,
        aliases=(*options.aliases, *args.network_alias),
    )


def network(text: str) -> NetworkOptions:
    """A network by its name, or in the long form of names and values.

    >>> network("name=backend,alias=db,ip=172.28.0.5").ipv4
    '172.28.0.5'
    """
    if "=" not in text:
        if not text or text == JOIN or "," in text:
            raise InvalidOption(
                f"{text!r} isn't a network; write bridge, none, host, container:NAME or a network's name"
            )
        return NetworkOptions(text)
    options = NetworkOptions("")
    for field in text.split(","):
        name, equals, value = field.partition("=")
        if name.strip().lower() not in _KEYS:
            raise InvalidOption(f"invalid field key {name}: use {one_of(_KEYS)}")
        if not equals or not value:
            raise InvalidOption(f"{field!r}: write NAME=VALUE")
        options = _with_field(options, name.strip().lower(), value)
    if not options.network:
        raise InvalidOption("network name/id is not specified: write name=NETWORK")
    return options


def _with_field(options: NetworkOptions, name: str, value: str) -> NetworkOptions:
    """The options with one of the long form's fields. Raises InvalidOption."""
    match name:
        case "name":
            return replace(options, network=value)
        case "alias":
            return replace(options, aliases=(*options.aliases, value))
        case "ip":
            return replace(options, ipv4=_ipv4(value))
        case "ip6":
            return replace(options, ipv6=_ipv6(value))
        case "mac-address":
            return replace(options, mac=_mac(value))
        case "gw-priority":
            if not value.lstrip("-").isdecimal():
                raise InvalidOption(f"gw-priority={value}: write a number")
            return replace(options, gateway_priority=int(value))
        case "driver-opt":
            return with_driver_option(options, value)
    raise InvalidOption(f"{name} isn't available: {LINK_LOCAL}")


def with_driver_option(options: NetworkOptions, text: str) -> NetworkOptions:
    """The options with one of the driver's, "NAME=VALUE": the interface's name. Raises InvalidOption."""
    name, _, value = text.partition("=")
    if name != _INTERFACE or not value or len(value) > 15 or "/" in value:
        raise InvalidOption(f"driver-opt {text}: there is {_INTERFACE}=NAME only, of at most 15 characters")
    return replace(options, interface=value, driver_options={**options.driver_options, name: value})


def _ipv4(text: str) -> str:
    return _address(text, 4)


def _ipv6(text: str) -> str:
    return _address(text, 6)


def _address(text: str, version: int) -> str:
    """An address of this IP version, in its usual form. Raises InvalidOption."""
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or found.version != version:
        raise InvalidOption(f"invalid IPv{version} address: {text}")
    return str(found)


def _mac(text: str) -> str:
    """A MAC address in its usual form, which names one device only. Raises InvalidOption."""
    if not _MAC.fullmatch(text) or int(text[:2], 16) & 1:
        raise InvalidOption(f"{text} is not a valid mac address; write one such as 02:42:ac:11:00:05")
    return text.replace("-", ":").lower()
