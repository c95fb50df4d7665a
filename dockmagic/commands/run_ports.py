"""The flags on a container's ports. Source: docker run's reference, "-p" and "--expose"; Docker's port specifications.

Forms of -p: 80, 8080:80, 127.0.0.1:8080:80, 127.0.0.1::80, [::1]:8080:80, 8000-8002:80-82, 8000-8010:80; each with
/tcp or /udp; and published=8080,target=80,protocol=tcp.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import JOIN
from dockmagic.oci.ports import PortBinding

_HIGHEST: Final = 65535
_SERVED: Final = ("tcp", "udp")
_KEYS: Final = ("published", "target", "protocol", "mode")


def add_ports(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("ports")
    group.add_argument(
        "-p", "--publish", action="append", default=[], type=typed(publish), metavar="[[IP:]PORT:]PORT[/PROTO]",
        help="have a port of the host lead to one of the container's",
    )  # fmt: skip
    group.add_argument("-P", "--publish-all", action="store_true", help="publish all exposed ports at any free ones")
    group.add_argument(
        "--expose", action="append", default=[], type=typed(expose), metavar="PORT[/PROTO]", help="expose a port"
    )


def ports(args: Namespace) -> dict[str, Any]:
    """What the flags ask for, as fields of RunOptions; raises InvalidOption with a network that has no own ports."""
    bindings = tuple(binding for found in args.publish for binding in found)
    exposed = tuple(dict.fromkeys(name for found in args.expose for name in found))
    if args.network and args.network[0].network.startswith(JOIN) and (bindings or args.publish_all or exposed):
        what = "publishing" if bindings or args.publish_all else "exposing"
        raise InvalidOption(f"conflicting options: port {what} and the container type network mode")
    return {"publish": bindings, "publish_all": args.publish_all, "expose": exposed}


def publish(text: str) -> tuple[PortBinding, ...]:
    """The bindings that one -p asks for, in any of its forms; raises InvalidOption.

    >>> publish("127.0.0.1:8080:80")
    (PortBinding(port=80, protocol='tcp', host_ip='127.0.0.1', host_port=8080, last_host_port=8080),)
    """
    place, _, protocol = (_plain(text) if "=" in text else text).partition("/")
    parts = place.rsplit(":", 2)
    address, host, container = ["", "", *parts][-3:]
    if not container:
        raise InvalidOption(f"no port specified: {text}<empty>; write the container's port, such as 8080:80")
    first, last = _range(container, "containerPort", text)
    host = "" if host == "0" else host
    first_host, last_host = _range(host, "hostPort", text) if host else (0, 0)
    if host and first != last and last - first != last_host - first_host:
        raise InvalidOption(f"invalid ranges specified for container and host Ports: {container} and {host}")
    fixed = _protocol(protocol), _address(address)
    if first == last:
        return (PortBinding(first, *fixed, first_host, last_host),)
    step = 1 if host else 0
    hosts = [first_host + step * offset for offset in range(last - first + 1)]
    return tuple(PortBinding(first + offset, *fixed, port, port) for offset, port in enumerate(hosts))


def expose(text: str) -> tuple[str, ...]:
    """The ports that one --expose names, such as "80/tcp"; raises InvalidOption.

    >>> expose("8000-8001/udp")
    ('8000/udp', '8001/udp')
    """
    if ":" in text:
        raise InvalidOption(f"invalid port format for --expose: {text}; write PORT[-PORT][/PROTOCOL]")
    return tuple(f"{port}/{protocol}" for port, protocol in port_range(text, f"range format for --expose: {text}"))


def port_range(text: str, what: str) -> list[tuple[int, str]]:
    """Port and protocol of each port in "8000-8001/udp"; raises InvalidOption about `what`."""
    numbers, _, protocol = text.partition("/")
    try:
        first, last = _numbers(numbers)
    except ValueError as error:
        raise InvalidOption(f"invalid {what}, error: {error}") from None
    checked = _protocol(protocol, served=False)
    return [(port, checked) for port in range(first, last + 1)]


def _plain(text: str) -> str:
    """The long form as the short one; raises InvalidOption."""
    given = {"published": "", "target": "", "protocol": "tcp", "mode": "host"}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidOption(f"invalid publish opts format (should be name=value but got '{part}')")
        if name not in _KEYS:
            raise InvalidOption(f"--publish: {name!r} isn't a field; there are {', '.join(_KEYS)}")
        given[name] = value
    if given["mode"] != "host":
        raise InvalidOption(f"--publish: mode={given['mode']} belongs to swarms; a container has mode=host")
    return f"{given['published']}:{given['target']}/{given['protocol']}"


def _address(text: str) -> str:
    """The address without brackets; raises InvalidOption."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ip_address(bare)) if bare else ""
    except ValueError:
        raise InvalidOption(f"invalid IP address: {text}") from None


def _protocol(text: str, *, served: bool = True) -> str:
    """The protocol in small letters, by default tcp; raises InvalidOption for one that isn't known, or `served`."""
    protocol = text.lower() or "tcp"
    if protocol == "sctp" and served:
        raise InvalidOption("sctp: ports of this protocol can't be published here; only tcp and udp are forwarded")
    if protocol not in (*_SERVED, "sctp"):
        raise InvalidOption(f"invalid proto: {text}; use {' or '.join(_SERVED)}")
    return protocol


def _range(text: str, what: str, whole: str) -> tuple[int, int]:
    """First and last port; raises InvalidOption."""
    try:
        return _numbers(text)
    except ValueError as error:
        raise InvalidOption(f"invalid {what}: {text} in {whole!r}: {error}") from None


def _numbers(text: str) -> tuple[int, int]:
    """First and last port of "80" or "80-82"; raises ValueError."""
    first, dash, last = text.partition("-")
    low, high = _number(first), _number(last if dash else first)
    if low > high:
        raise ValueError(f"the first port of {text} is higher than the last")
    return low, high


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= _HIGHEST):
        raise ValueError(f"a port is a number from 1 to {_HIGHEST}")
    return int(text)
