"""The rows of networks, and of containers in them; leases of addresses. Safe to use from several processes."""

from __future__ import annotations

import ipaddress
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from dockmagic.database import Database
from dockmagic.errors import Conflict, NotFound
from dockmagic.network import addresses
from dockmagic.network.model import Endpoint, Network, Subnet
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.networks import BRIDGE, DEFAULT, NetworkOptions

Alive = Callable[[str], bool]
"""Whether a container, by its ID, runs or is being started."""
_ENDPOINTS = "SELECT * FROM endpoints WHERE "


class NetworkStore:
    """The networks of a state root, whose short name `key` is in the names of their interfaces."""

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._key = key

    # -- networks ----------------------------------------------------------------------------------------------

    def all(self) -> list[Network]:
        """All networks, the predefined ones first, then by age."""
        rows = self._database.query("SELECT * FROM networks ORDER BY subnets != '[]' AND NOT chosen, created_ns, name")
        return sorted((self._network(row) for row in rows), key=lambda network: not network.predefined)

    def find(self, name: str) -> Network:
        """The network with this name, ID, or beginning of an ID that no other has; raises NotFound."""
        name = BRIDGE if name == DEFAULT else name
        rows = self._database.query("SELECT * FROM networks WHERE name = ? OR id = ?", (name, name))
        if not rows and name.isalnum():
            rows = self._database.query("SELECT * FROM networks WHERE id LIKE ?", (f"{name}%",))
        if len(rows) > 1:
            raise NotFound("network", name, f"{len(rows)} IDs begin with it; give more digits")
        if not rows:
            raise NotFound("network", name, "network ls lists those there are")
        return self._network(rows[0])

    def insert(self, network: Network) -> Network:
        """Write a new network down, whose ID and interface are chosen here; raises Conflict where its name is taken."""
        network = replace(network, id=secrets.token_hex(32), created_ns=time.time_ns())
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO networks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (
                        *(network.id, network.name, network.driver, network.created_ns, network.interface),
                        *(_subnets_text(network.subnets), network.chosen, network.internal, network.ipv6),
                        *(network.attachable, json.dumps(dict(network.options)), json.dumps(dict(network.labels))),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise Conflict("network", network.name, f"network with name {network.name} already exists") from error
        return self.find(network.id)

    def choose_subnets(self, network: Network, subnets: Iterable[Subnet]) -> Network:
        """Give the network other subnets, whose addresses nobody has; old leases are void."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE networks SET subnets = ?, cursor = 0 WHERE id = ?", (_subnets_text(subnets), network.id)
            )
            connection.execute("UPDATE endpoints SET ipv4 = NULL, ipv6 = NULL WHERE network_id = ?", (network.id,))
        return self.find(network.id)

    def delete(self, network: Network) -> None:
        """Remove the network, and all places in it."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM networks WHERE id = ?", (network.id,))

    def _network(self, row: sqlite3.Row) -> Network:
        subnets = tuple(decode(Subnet, subnet) for subnet in json.loads(row["subnets"]))
        own = f"dm{self._key}{row['id'][:5]}" if row["driver"] == BRIDGE else ""  # 15 characters, the most there may be
        return Network(
            row["id"],
            row["name"],
            row["driver"],
            row["created_ns"],
            row["interface"] or own,
            subnets,
            bool(row["chosen"]),
            bool(row["internal"]),
            bool(row["ipv6"]),
            bool(row["attachable"]),
            json.loads(row["options"]),
            json.loads(row["labels"]),
        )

    # -- containers in them ------------------------------------------------------------------------------------

    def connect(self, container_id: str, options: NetworkOptions) -> Endpoint:
        """Give the container a place in a network; raises NotFound, Conflict where it has one there."""
        with self._database.transaction() as connection:
            network = self.find(options.network)
            used = {endpoint.interface for endpoint in self.of_container(container_id)}
            interface = options.interface or next(f"eth{n}" for n in range(len(used) + 1) if f"eth{n}" not in used)
            if interface in used:
                raise Conflict("network", network.name, f"the container has an interface {interface} already")
            try:
                connection.execute(
                    "INSERT INTO endpoints (network_id, container_id, interface, options) VALUES (?, ?, ?, ?)",
                    (network.id, container_id, interface, json.dumps(encode(options))),
                )
            except sqlite3.IntegrityError as error:
                why = f"endpoint for container {container_id[:12]} already exists in network {network.name}"
                raise Conflict("network", network.name, why) from error
        return Endpoint(network, container_id, interface, options)

    def disconnect(self, endpoint: Endpoint) -> None:
        """Take the container out of the network."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM endpoints WHERE network_id = ? AND container_id = ?",
                (endpoint.network.id, endpoint.container_id),
            )

    def of_container(self, container_id: str) -> list[Endpoint]:
        """The container's places in networks, in the order in which it got them."""
        rows = self._database.query(_ENDPOINTS + "container_id = ? ORDER BY rowid", (container_id,))
        return [self._endpoint(row) for row in rows]

    def of_network(self, network: Network) -> list[Endpoint]:
        """All places in the network, whether their containers run or not."""
        rows = self._database.query(_ENDPOINTS + "network_id = ? ORDER BY rowid", (network.id,))
        return [self._endpoint(row, network) for row in rows]

    def forget(self, container_id: str) -> None:
        """The container is gone: it leaves all networks."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM endpoints WHERE container_id = ?", (container_id,))

    def containers(self) -> set[str]:
        """IDs of all containers and build steps that have a place in a network."""
        return {row["container_id"] for row in self._database.query("SELECT DISTINCT container_id FROM endpoints")}

    def _endpoint(self, row: sqlite3.Row, network: Network | None = None) -> Endpoint:
        network = network or self.find(row["network_id"])
        options = decode(NetworkOptions, json.loads(row["options"]))
        own = row["ipv4"] or "", row["ipv6"] or "", row["mac"] or ""
        return Endpoint(network, row["container_id"], row["interface"], options, *own)

    # -- leases ------------------------------------------------------------------------------------------------

    def lease(self, container_id: str, alive: Alive) -> list[Endpoint]:
        """The container's places, each with addresses that are its own from now on; raises Conflict.

        Of another container's address only that is taken whose container isn't alive.
        """
        with self._database.transaction():
            return [self._lease(endpoint, alive) for endpoint in self.of_container(container_id)]

    def _lease(self, endpoint: Endpoint, alive: Alive) -> Endpoint:
        network, options = endpoint.network, endpoint.options
        ipv4 = self._address(endpoint, network.subnet(4), options.ipv4, endpoint.ipv4, alive)
        ipv6 = self._address(endpoint, network.subnet(6), options.ipv6, endpoint.ipv6, alive)
        leased = replace(endpoint, ipv4=ipv4, ipv6=ipv6, mac=options.mac or addresses.mac_of(ipv4))
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE endpoints SET ipv4 = ?, ipv6 = ?, mac = ? WHERE network_id = ? AND container_id = ?",
                (ipv4 or None, ipv6 or None, leased.mac, network.id, endpoint.container_id),
            )
            if ipv4 and not options.ipv4:
                number = int(ipaddress.IPv4Address(ipv4))
                connection.execute("UPDATE networks SET cursor = ? WHERE id = ?", (number, network.id))
        return leased

    def _address(self, endpoint: Endpoint, subnet: Subnet | None, wanted: str, last: str, alive: Alive) -> str:
        """An address of the subnet for this place: the wanted one, else the one it had last, else the next."""
        if subnet is None:
            return ""

        def taken(address: str) -> bool:
            return self._taken(endpoint, subnet.version, address, alive, wanted=address == wanted)

        if wanted:
            if taken(wanted):
                raise Conflict("network", endpoint.network.name, f"address {wanted}: Address already in use")
            return wanted
        if last and not taken(last):
            return last
        row = self._database.query("SELECT cursor FROM networks WHERE id = ?", (endpoint.network.id,))[0]
        return addresses.next_address(subnet, row["cursor"] if subnet.version == 4 else 0, taken)

    def _taken(self, endpoint: Endpoint, version: int, address: str, alive: Alive, *, wanted: bool) -> bool:
        """Whether another container has the address; where it isn't alive, it loses it.

        One that was asked for by its container is kept for it, unless another asks for the same.
        """
        sql = _ENDPOINTS + f"network_id = ? AND container_id != ? AND (ipv{version} = ? OR options LIKE ?)"
        others = (endpoint.network.id, endpoint.container_id, address, f'%"{address}"%')
        for row in self._database.query(sql, others):
            asked = address in (json.loads(row["options"]).get("ipv4"), json.loads(row["options"]).get("ipv6"))
            if (asked and not wanted) or (row[f"ipv{version}"] == address and alive(row["container_id"])):
                return True
            with self._database.transaction() as connection:
                sql = f"UPDATE endpoints SET ipv{version} = NULL WHERE container_id = ? AND ipv{version} = ?"
                connection.execute(sql, (row["container_id"], address))
        return False


def _subnets_text(subnets: Iterable[Subnet]) -> str:
    return json.dumps([encode(subnet) for subnet in subnets])
