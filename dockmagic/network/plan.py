"""A container's places in networks as the links that are to be made for it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dockmagic.network.addresses import mac_of
from dockmagic.network.model import Endpoint, Network
from dockmagic.network.rules import COMMUNICATION, is_on
from dockmagic.runtime.links import Interface, guard_table

MTU: Final = "com.docker.network.driver.mtu"


def router_mac(network: Network) -> str:
    """The MAC address of a network's bridge."""
    subnet = network.subnet(4)
    return mac_of(subnet.gateway) if subnet else f"02:42:{':'.join(network.id[at : at + 2] for at in (0, 2, 4, 6))}"


def way_out(endpoints: Sequence[Endpoint], version: int) -> Endpoint | None:
    """The place whose network has the default route: of those with most priority the first by name; None for none."""
    usable = [place for place in endpoints if not place.network.internal and place.network.subnet(version)]
    return min(usable, key=lambda place: (-place.options.gateway_priority, place.network.name), default=None)


def interfaces(endpoints: Sequence[Endpoint], key: str) -> tuple[Interface, ...]:
    """The links of a container with these places; the host's names for them begin with `key`."""
    return tuple(_interface(place, key, endpoints) for place in endpoints)


def _interface(place: Endpoint, key: str, others: Sequence[Endpoint]) -> Interface:
    network = place.network
    own = (place.ipv4, place.ipv6)
    subnets = [
        subnet for subnet, address in ((network.subnet(4), own[0]), (network.subnet(6), own[1])) if address and subnet
    ]
    out = [subnet.gateway for subnet in subnets if way_out(others, subnet.version) == place]
    return Interface(
        place.interface,
        network.interface,
        place.mac,
        place.addresses,
        router_mac(network),
        tuple(subnet.gateway for subnet in subnets),
        tuple(out),
        key,
        guard_table(key),
        not is_on(network, COMMUNICATION),
    )
