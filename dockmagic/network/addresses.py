"""Which address comes next, which subnet is free, and the MAC address that goes with an address. Pure."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Network
from typing import Final

from dockmagic.errors import Conflict, InvalidOption
from dockmagic.network.model import IPNetwork, Subnet

POOLS: Final = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
"""Where subnets are chosen from, and how long their prefixes are: Docker's own pools."""
IPV6_POOL_PREFIX: Final = 64


def candidates() -> Iterator[IPv4Network]:
    """The subnets that the pools hold, in the order in which they are tried."""
    for pool, prefix in POOLS:
        yield from IPv4Network(pool).subnets(new_prefix=prefix)


def free_subnet(taken: Iterable[IPNetwork], start: int = 0) -> Subnet:
    """The first subnet of the pools, from the one at `start` on, that overlaps none of these; raises Conflict."""
    others = [network for network in taken if isinstance(network, IPv4Network)]
    pools = list(candidates())
    start %= len(pools)
    for pool in (*pools[start:], *pools[:start]):
        if not any(pool.overlaps(other) for other in others):
            return Subnet(str(pool), str(pool[1]))
    why = "all predefined address pools have been fully subnetted; remove networks, or choose one with --subnet"
    raise Conflict("network", "subnet", why)


def unique_local() -> Subnet:
    """A subnet of IPv6 that nobody else is likely to have (RFC 4193)."""
    prefix = (0xFD << 40 | secrets.randbits(40)) << 80
    network = ipaddress.IPv6Network((prefix, IPV6_POOL_PREFIX))
    return Subnet(str(network), str(network[1]))


def next_address(subnet: Subnet, after: int, taken: Callable[[str], bool]) -> str:
    """The first address of the subnet's range that nobody has taken, in a round that begins behind `after`.

    `after` is an address as a number, 0 for none. Raises Conflict where all are taken.
    """
    network = subnet.network
    span = ipaddress.ip_network(subnet.ip_range) if subnet.ip_range else network
    first, last = int(span.network_address), int(span.broadcast_address)
    never = {int(network.network_address), int(ipaddress.ip_address(subnet.gateway)) if subnet.gateway else -1}
    never |= {int(network.broadcast_address)} if network.version == 4 else set()
    never |= {int(ipaddress.ip_address(address)) for address in subnet.reserved.values()}
    make = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
    start = after + 1 if first <= after < last else first
    size = min(last - first + 1, 1 << 20)
    for step in range(size):
        number = first + (start - first + step) % (last - first + 1)
        if number not in never and not taken(str(make(number))):
            return str(make(number))
    raise Conflict("network", subnet.cidr, "no available addresses; stop containers, or make a larger subnet")


def check_address(address: str, subnet: Subnet | None, flag: str) -> str:
    """The address in its usual form; raises InvalidOption unless it is one of the subnet's, other than its own."""
    try:
        value = ipaddress.ip_address(address)
    except ValueError:
        raise InvalidOption(f"{flag} {address}: invalid address; write one such as 172.18.0.5") from None
    if subnet is None or value not in subnet.network:
        where = "no subnet of that IP version" if subnet is None else f"the subnet {subnet.cidr}, where it isn't"
        raise InvalidOption(f"{flag} {address}: no configured subnet contains it; the network has {where}")
    edges = (subnet.network.network_address, subnet.network.broadcast_address) if value.version == 4 else ()
    if str(value) == subnet.gateway or value in edges or str(value) in subnet.reserved.values():
        raise InvalidOption(f"{flag} {address}: Address already in use: it is the network's own; choose another")
    return str(value)


def mac_of(address: str) -> str:
    """The MAC address that goes with an IP address; it is a private one, and made up where there is no IPv4 address.

    >>> mac_of("172.17.0.2")
    '02:42:ac:11:00:02'
    """
    tail = ipaddress.IPv4Address(address).packed if address else secrets.token_bytes(4)
    return (b"\x02\x42" + tail).hex(":")
