"""The rules of a state root's networks, as requests of nf_tables. Pure.

    table inet dockmagic-KEY {
        chain forward       what may pass between links: nothing into a network but answers, and published ports
        chain postrouting   what leaves a network seems to come from the host
    }
    table bridge dockmagic-KEY {
        set ipv4, ipv6      pairs of MAC and IP address that containers have
        chain prerouting    frames of containers go to `guard`, which drops what comes from other addresses
    }

Tables belong to nobody but us: Docker's and podman's rules are left alone, but for a rule that lets our packets through
a FORWARD chain that would drop them. Source: nft(8); ebtables(8) for what can be spoofed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from dockmagic.linux import nftables as nft
from dockmagic.linux.netlink import Message
from dockmagic.network.model import Endpoint, Network
from dockmagic.runtime.links import IPV4_PAIRS, IPV6_PAIRS, link_prefix, pair

FORWARD: Final = "forward"
POSTROUTING: Final = "postrouting"
PREROUTING: Final = "prerouting"
GUARD: Final = "guard"
MASQUERADE: Final = "com.docker.network.bridge.enable_ip_masquerade"
COMMUNICATION: Final = "com.docker.network.bridge.enable_icc"

_ETHER_ADDR, _IPV4_ADDR, _IPV6_ADDR = 9, 7, 8  # types of nft's
_SETS: Final = {IPV4_PAIRS: (_ETHER_ADDR << 6 | _IPV4_ADDR, 12), IPV6_PAIRS: (_ETHER_ADDR << 6 | _IPV6_ADDR, 24)}
_IPV4, _ARP, _IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"
_ACCEPT, _DROP = nft.verdict(nft.ACCEPT), nft.verdict(nft.DROP)


def is_on(network: Network, option: str) -> bool:
    """Whether a switch among the network's options is on, which it is by default."""
    return network.options.get(option, "true").lower() not in ("false", "0", "f")


def tables(table: str, key: str, networks: Sequence[Network], endpoints: Iterable[Endpoint]) -> list[Message]:
    """Make both tables anew for these networks and the addresses of these containers."""
    return [*_routed(table, networks), *_bridged(table, key, endpoints)]


def _anew(family: int, table: str) -> list[Message]:
    return [nft.new_table(family, table), nft.delete_table(family, table), nft.new_table(family, table)]


def _routed(table: str, networks: Sequence[Network]) -> list[Message]:
    """The table of what passes between networks."""
    messages = [
        *_anew(nft.INET, table),
        nft.base_chain(nft.INET, table, FORWARD, "filter", nft.FORWARD, nft.PRIORITY_FILTER),
        nft.base_chain(nft.INET, table, POSTROUTING, "nat", nft.POSTROUTING, nft.PRIORITY_SOURCE_NAT),
    ]
    for network in networks:
        messages += [nft.new_rule(nft.INET, table, FORWARD, parts) for parts in _passing(network)]
        if not network.internal and is_on(network, MASQUERADE):
            messages += [nft.new_rule(nft.INET, table, POSTROUTING, parts) for parts in _leaving(network)]
    return messages


def _passing(network: Network) -> Iterable[Sequence[bytes]]:
    """Rules for packets into a network, and out of it. They stop at the first one that decides."""
    into, out_of = nft.interface(nft.OIFNAME, network.interface), nft.interface(nft.IIFNAME, network.interface)
    yield *out_of, *into, _ACCEPT if is_on(network, COMMUNICATION) else _DROP
    if network.internal:
        yield *out_of, _DROP
        yield *into, _DROP
        return
    yield *into, *nft.tracked(nft.CT_STATE, nft.ESTABLISHED | nft.RELATED), _ACCEPT
    yield *into, *nft.tracked(nft.CT_STATUS, nft.DNAT), _ACCEPT
    yield *into, _DROP


def _leaving(network: Network) -> Iterable[Sequence[bytes]]:
    """Rules that hide a network's addresses from everybody else."""
    for subnet in network.subnets:
        offset, protocol = (12, _IPV4) if subnet.version == 4 else (8, _IPV6)
        mask = subnet.network.netmask.packed
        yield (
            *(nft.meta(nft.PROTOCOL), nft.equal(protocol)),
            *(nft.payload(nft.NETWORK_HEADER, offset, len(mask)), nft.masked(mask)),
            nft.equal(subnet.network.network_address.packed),
            *nft.interface(nft.OIFNAME, network.interface, negated=True),
            nft.masquerade(),
        )


def _bridged(table: str, key: str, endpoints: Iterable[Endpoint]) -> list[Message]:
    """The table of what may come from containers."""
    messages = _anew(nft.BRIDGE, table)
    for number, (name, (kind, size)) in enumerate(_SETS.items(), 1):
        messages.append(nft.new_set(nft.BRIDGE, table, name, kind, size, number))
    messages += [
        nft.new_chain(nft.BRIDGE, table, GUARD),
        *(nft.new_rule(nft.BRIDGE, table, GUARD, parts) for parts in _guarding()),
        nft.base_chain(nft.BRIDGE, table, PREROUTING, "filter", nft.PREROUTING, nft.PRIORITY_BRIDGE_FILTER),
    ]
    ours = (*nft.interface(nft.IIFNAME, f"{link_prefix(key)}*"), nft.verdict(nft.GOTO, GUARD))
    messages.append(nft.new_rule(nft.BRIDGE, table, PREROUTING, ours))
    places = list(endpoints)
    ipv4 = [pair(place.mac, place.ipv4) for place in places if place.ipv4 and place.mac]
    ipv6 = [pair(place.mac, place.ipv6) for place in places if place.ipv6 and place.mac]
    for name, values in ((IPV4_PAIRS, ipv4), (IPV6_PAIRS, ipv6)):
        messages += [nft.add_elements(nft.BRIDGE, table, name, values)] if values else []
    return messages


def _guarding() -> Iterable[Sequence[bytes]]:
    """Rules for a container's frames: IP, ARP, neighbour discovery, only of its own addresses; nothing else passes."""
    sender = nft.payload(nft.LINK_HEADER, 6, 6)
    protocol = nft.meta(nft.PROTOCOL)
    yield (
        *(protocol, nft.equal(_IPV4), sender, nft.payload(nft.NETWORK_HEADER, 12, 4, nft.THIRD_WORD)),
        *(nft.in_set(IPV4_PAIRS), _ACCEPT),
    )
    arp_sender = nft.payload(nft.NETWORK_HEADER, 8, 6), nft.payload(nft.NETWORK_HEADER, 14, 4, nft.THIRD_WORD)
    yield protocol, nft.equal(_ARP), *arp_sender, nft.in_set(IPV4_PAIRS), _ACCEPT
    yield protocol, nft.equal(_ARP), nft.payload(nft.NETWORK_HEADER, 14, 4), nft.equal(bytes(4)), _ACCEPT
    icmp = protocol, nft.equal(_IPV6), nft.payload(nft.NETWORK_HEADER, 6, 1), nft.equal(b"\x3a")
    advertised = nft.payload(nft.TRANSPORT_HEADER, 0, 1), nft.equal(b"\x88")
    target = sender, nft.payload(nft.TRANSPORT_HEADER, 8, 16, nft.THIRD_WORD)
    yield *icmp, *advertised, *target, nft.in_set(IPV6_PAIRS), _ACCEPT
    yield (
        *icmp,
        *advertised,
        nft.payload(nft.TRANSPORT_HEADER, 8, 2),
        nft.masked(b"\xff\xc0"),
        nft.equal(b"\xfe\x80"),
        _ACCEPT,
    )
    yield *icmp, *advertised, _DROP
    yield *icmp, nft.payload(nft.TRANSPORT_HEADER, 0, 1), nft.equal(b"\x86"), _DROP  # nobody but the host is a router
    source = nft.payload(nft.NETWORK_HEADER, 8, 16, nft.THIRD_WORD)
    yield protocol, nft.equal(_IPV6), sender, source, nft.in_set(IPV6_PAIRS), _ACCEPT
    link_local = nft.payload(nft.NETWORK_HEADER, 8, 2), nft.masked(b"\xff\xc0"), nft.equal(b"\xfe\x80")
    yield protocol, nft.equal(_IPV6), *link_local, _ACCEPT
    yield protocol, nft.equal(_IPV6), nft.payload(nft.NETWORK_HEADER, 8, 16), nft.equal(bytes(16)), _ACCEPT
    yield (_DROP,)


def through_others(table: str, network: Network) -> Iterable[Sequence[bytes]]:
    """Rules for a chain of others that drops what it doesn't know: let a network's packets through."""
    yield *nft.interface(nft.IIFNAME, network.interface), _ACCEPT
    yield *nft.interface(nft.OIFNAME, network.interface), _ACCEPT
