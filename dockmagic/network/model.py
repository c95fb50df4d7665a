"""A network, and a container's place in it. Source: Engine API, "Network" and "EndpointSettings"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network

from dockmagic.oci.networks import PREDEFINED, NetworkOptions

IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Subnet:
    """Addresses of a network: `cidr` such as "172.18.0.0/16", the bridge's own one, and where leases come from.

    `ip_range` is "" for the whole subnet; `reserved` are addresses by their names that are never leased.
    """

    cidr: str
    gateway: str
    ip_range: str = ""
    reserved: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def network(self) -> IPNetwork:
        """The subnet as a value of the ipaddress module."""
        return ip_network(self.cidr)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.network.version

    @property
    def prefix(self) -> int:
        """How many bits of an address say which network it is in."""
        return self.network.prefixlen


@dataclass(frozen=True, slots=True)
class Network:
    """A network; `driver` is bridge, host or null.

    `interface` is the name of its bridge on the host, "" where the driver makes none. `chosen`: the engine chose its
    subnets, and may choose others as long as the bridge isn't there. `internal`: nothing leads out of it.
    """

    id: str
    name: str
    driver: str
    created_ns: int
    interface: str = ""
    subnets: tuple[Subnet, ...] = ()
    chosen: bool = False
    internal: bool = False
    ipv6: bool = False
    attachable: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Its whole ID, as `docker network create` prints it."""
        return self.id

    @property
    def predefined(self) -> bool:
        """Whether it is always there: bridge, host and none."""
        return self.name in PREDEFINED

    @property
    def names_resolve(self) -> bool:
        """Whether containers find each other by name: on networks that the user made."""
        return bool(self.interface) and not self.predefined

    def subnet(self, version: int) -> Subnet | None:
        """Its subnet of IP version 4 or 6, None where there is none."""
        return next((subnet for subnet in self.subnets if subnet.version == version), None)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place in a network. The addresses and `mac` are "" until it was started there, and stay afterwards.

    Whether they are still its own one tells by whether the container runs.
    """

    network: Network
    container_id: str
    interface: str
    options: NetworkOptions
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names that others find it by, beside its own name and ID; those of its user, then its short ID."""
        return (*self.options.aliases, self.container_id[:12]) if self.network.names_resolve else ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses with the lengths of their prefixes, such as "172.17.0.2/16"; IPv4 first."""
        given = ((self.ipv4, self.network.subnet(4)), (self.ipv6, self.network.subnet(6)))
        return tuple(f"{address}/{subnet.prefix}" for address, subnet in given if address and subnet)
