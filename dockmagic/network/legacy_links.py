"""Legacy links: variables and hosts entries of a container that another one sees on the default bridge. Pure.

Source: Docker's "Legacy container links", "Environment variables" and "Updating the /etc/hosts file".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.runtime.hosts import Entry

_OF_EVERY_CONTAINER: Final = frozenset(("HOME", "PATH"))
Port = tuple[int, str]
"""A number and "tcp", "udp" or "sctp"."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A container that is linked to: what its name is, how it calls itself, and where it is."""

    name: str
    hostname: str
    address: str
    env: Sequence[str] = ()
    ports: Sequence[Port] = ()


def parse(text: str) -> tuple[str, str]:
    """Container and alias of a --link.

    >>> parse("db:database"), parse("db")
    (('db', 'database'), ('db', 'db'))
    """
    name, _, alias = text.partition(":")
    if not name or ":" in alias or text.endswith(":"):
        raise InvalidOption(f"bad format for links: {text}; write CONTAINER or CONTAINER:ALIAS")
    return name.removeprefix("/"), alias or name.removeprefix("/")


def entry(linked: Linked, alias: str) -> Entry:
    """The line of /etc/hosts: the alias, what the container calls itself, and its name."""
    return " ".join(dict.fromkeys((alias, linked.hostname, linked.name))), linked.address


def variables(linked: Linked, alias: str, parent: str) -> list[str]:
    """The variables of container `parent` that tell of the linked one, each "NAME=value"."""
    prefix = alias.upper().replace("-", "_")
    ports = sorted(set(linked.ports), key=lambda port: (port[1] != "tcp", port[1], port[0]))
    found = [f"{prefix}_PORT={_url(linked.address, ports[0])}"] if ports else []
    for run in _runs(ports):
        for port in run:
            found += _of_port(prefix, linked.address, port)
        if len(run) > 1:
            found += _of_range(prefix, linked.address, run[0], run[-1])
    found.append(f"{prefix}_NAME=/{parent}/{alias}")
    given = [variable for variable in linked.env if variable.partition("=")[0] not in _OF_EVERY_CONTAINER]
    return found + [f"{prefix}_ENV_{variable}" for variable in given if "=" in variable]


def _runs(ports: Iterable[Port]) -> Iterator[list[Port]]:
    """Ports in a row, of one protocol, together."""
    for _, run in groupby(enumerate(ports), key=lambda at: (at[1][1], at[1][0] - at[0])):
        yield [port for _, port in run]


def _url(address: str, port: Port) -> str:
    return f"{port[1]}://{address}:{port[0]}"


def _of_port(prefix: str, address: str, port: Port) -> list[str]:
    name = f"{prefix}_PORT_{port[0]}_{port[1].upper()}"
    return [
        f"{name}={_url(address, port)}",
        f"{name}_ADDR={address}",
        f"{name}_PORT={port[0]}",
        f"{name}_PROTO={port[1]}",
    ]


def _of_range(prefix: str, address: str, first: Port, last: Port) -> list[str]:
    name = f"{prefix}_PORT_{first[0]}_{first[1].upper()}"
    return [
        f"{name}_START={_url(address, first)}",
        f"{name}_PORT_START={first[0]}",
        f"{name}_END={_url(address, last)}",
        f"{name}_PORT_END={last[0]}",
    ]
