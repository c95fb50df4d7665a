"""What the resolver knows of containers: read from the state root's database, afresh whenever that has changed.

Others write the database meanwhile. Source: Docker's "DNS services" and "--network-alias"; sqlite.org, "PRAGMA
data_version".
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from dockmagic.network.answers import Address
from dockmagic.oci.networks import PREDEFINED
from dockmagic.runtime import etc, resolv_conf
from dockmagic.runtime.resolv_conf import ResolvConf, Upstream

SHORT_ID: Final = 12
_ENDPOINTS: Final = """
    SELECT networks.name AS network, networks.internal AS internal, others.container_id AS container_id,
        others.ipv4 AS ipv4, others.ipv6 AS ipv6, others.options AS options, containers.name AS name,
        json_extract(containers.options, '$.hostname') AS hostname
    FROM endpoints AS own
    JOIN networks ON networks.id = own.network_id
    JOIN endpoints AS others ON others.network_id = own.network_id
    LEFT JOIN containers ON containers.id = others.container_id
    WHERE own.container_id = ?
    ORDER BY own.rowid, others.rowid
"""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A container on one network, what it is called there (in small letters, its name first), and where it is."""

    container_id: str
    network: str
    names: tuple[str, ...]
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What one container may know: the others on its networks, and whom else to ask.

    `links` are containers, by ID, under the names that it has for them; `flags` are servers, search list and options
    of resolv.conf that its user gave.
    """

    neighbours: tuple[Neighbour, ...]
    links: Mapping[str, str]
    flags: tuple[Sequence[str], Sequence[str], Sequence[str]]
    internal: bool

    def addresses(self, name: str, running: Collection[str]) -> Sequence[Address]:
        """Addresses of those that are called that, on the first network that has one of them; none of who is gone."""
        found: dict[str, list[Address]] = {}
        for neighbour in self.neighbours:
            if neighbour.container_id in running and self._is_called(neighbour, name):
                found.setdefault(neighbour.network, []).extend(neighbour.addresses)
        return next(iter(found.values()), [])

    def _is_called(self, neighbour: Neighbour, name: str) -> bool:
        """Whether this is the neighbour's name for this container; a link of it comes before other names."""
        if name in self.links:
            return self.links[name] == neighbour.container_id
        return name in neighbour.names or name.removesuffix(f".{neighbour.network}") in neighbour.names

    def name(self, address: Address, running: Collection[str]) -> str:
        """Name and network of who has the address, "" where nobody has."""
        for neighbour in self.neighbours:
            if address in neighbour.addresses and neighbour.container_id in running:
                return f"{neighbour.names[0]}.{neighbour.network}"
        return ""


class Records:
    """The database, read only; what was read is kept until it changes. `running` gives who runs now, by id."""

    def __init__(self, state_root: Path, running: Callable[[], Collection[str]]) -> None:
        path = f"file:{state_root / 'state.db'}?mode=ro"
        self._connection = sqlite3.connect(path, uri=True, timeout=5, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._running = running
        self._version = -1
        self._known: dict[str, Known] = {}

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def neighbours(self, container_id: str) -> Names:
        """The others on its networks."""
        return Names(lambda: self._of(container_id), self._running)

    def servers(self, container_id: str) -> tuple[Upstream, ...]:
        """Whom it may ask besides; none where all its networks are internal."""
        known = self._of(container_id)
        if known.internal:
            return ()
        ipv6 = any(
            address.version == 6
            for neighbour in known.neighbours
            if neighbour.container_id == container_id
            for address in neighbour.addresses
        )
        return resolv_conf.upstreams(_wanted(known), ipv6=ipv6)

    def dotted(self, container_id: str) -> bool:
        """Whether names of one word are for the search list only: somebody chose `ndots`, and more than none."""
        return bool(_wanted(self._of(container_id)).ndots)

    def _of(self, container_id: str) -> Known:
        """What the container may know by now; raises OSError where the database can't be read."""
        try:
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._version = version
                self._known.clear()
            if container_id not in self._known:
                self._known[container_id] = self._read(container_id)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"cannot read the database: {error}") from error
        return self._known[container_id]

    def _read(self, container_id: str) -> Known:
        rows = self._connection.execute(_ENDPOINTS, (container_id,)).fetchall()
        found = self._connection.execute("SELECT options FROM containers WHERE id = ?", (container_id,)).fetchone()
        options = json.loads(found["options"]) if found else {}  # another version may have written others, too
        internal = {row["network"]: bool(row["internal"]) for row in rows}
        return Known(
            tuple(_neighbour(row) for row in rows if row["network"] not in PREDEFINED),
            {alias.lower(): linked for linked, alias in options.get("links", ())},
            (options.get("dns", ()), options.get("dnsSearch", ()), options.get("dnsOptions", ())),
            bool(internal) and all(internal.values()),
        )


class Names:
    """A container's neighbours, as they are at each question."""

    def __init__(self, known: Callable[[], Known], running: Callable[[], Collection[str]]) -> None:
        self._known = known
        self._running = running

    def addresses(self, name: str) -> Sequence[Address]:
        """All addresses of who is called that."""
        return self._known().addresses(name, self._running())

    def name(self, address: Address) -> str:
        """Name and network of who has the address."""
        return self._known().name(address, self._running())


def _wanted(known: Known) -> ResolvConf:
    """The host's resolv.conf as it is now, with what the container's user gave."""
    return resolv_conf.chosen(resolv_conf.parse(etc.host().resolv_conf), *known.flags)


def _neighbour(row: Any) -> Neighbour:
    """What a row of endpoints says; a build step's container has no name but its id."""
    short = row["container_id"][:SHORT_ID]
    aliases = json.loads(row["options"]).get("aliases", ())
    names = (row["name"] or short, short, *aliases, *([row["hostname"]] if row["hostname"] else []))
    addresses = tuple(ip_address(row[kind]) for kind in ("ipv4", "ipv6") if row[kind])
    small = tuple(dict.fromkeys(name.lower() for name in names))
    return Neighbour(row["container_id"], row["network"].lower(), small, addresses)
