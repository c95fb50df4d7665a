"""A new network out of what the flags of `network create` say. Pure. Source: docker network create's reference."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dockmagic.errors import Conflict, InvalidOption, Unsupported, one_of
from dockmagic.network.addresses import free_subnet, unique_local
from dockmagic.network.model import IPNetwork, Network, Subnet
from dockmagic.network.plan import MTU
from dockmagic.network.rules import COMMUNICATION, MASQUERADE
from dockmagic.oci.networks import BRIDGE, PREDEFINED

BRIDGE_NAME: Final = "com.docker.network.bridge.name"
_KNOWN: Final = (BRIDGE_NAME, COMMUNICATION, MASQUERADE, MTU)
_MOST_NAME: Final = 15  # characters of an interface's name


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """What the flags ask for, as texts; `reserved` are addresses by their names (--aux-address)."""

    name: str
    driver: str = BRIDGE
    subnets: Sequence[str] = ()
    gateways: Sequence[str] = ()
    ip_ranges: Sequence[str] = ()
    reserved: Mapping[str, str] = field(default_factory=dict)
    ipv6: bool = False
    ipv4: bool = True
    internal: bool = False
    attachable: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def new_network(request: NetworkRequest, taken: Sequence[IPNetwork]) -> Network:
    """The network, with subnets that overlap none of the taken ones; raises InvalidOption, Conflict, Unsupported."""
    _check(request)
    subnets = _subnets(request, taken)
    if not any(subnet.version == 4 for subnet in subnets):
        if not request.ipv4:
            raise Unsupported("networks without IPv4", "leave --ipv4=false out")
        subnets.insert(0, free_subnet(taken))
    if request.ipv6 and not any(subnet.version == 6 for subnet in subnets):
        subnets.append(unique_local())
    if not request.ipv6:
        subnets = [subnet for subnet in subnets if subnet.version == 4]
    chosen = not any(ipaddress.ip_network(text, strict=False).version == 4 for text in request.subnets)
    return Network(
        "",
        request.name,
        BRIDGE,
        0,
        request.options.get(BRIDGE_NAME, ""),
        tuple(subnets),
        chosen,
        request.internal,
        request.ipv6,
        request.attachable,
        request.options,
        request.labels,
    )


def _check(request: NetworkRequest) -> None:
    """Raise unless the name, the driver and its options are some that there can be."""
    if request.name in PREDEFINED or request.name == "default":
        raise Conflict("network", request.name, f"operation is not permitted on predefined {request.name} network")
    first, rest = request.name[:1], request.name[1:]
    if not (first.isascii() and first.isalnum() and all(c.isascii() and (c.isalnum() or c in "_.-") for c in rest)):
        raise InvalidOption(f"invalid network name {request.name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-]* are allowed")
    if request.driver != BRIDGE:
        hint = "there is the driver bridge; host and none are always there"
        raise Unsupported(f"the network driver {request.driver}", hint)
    for name, value in request.options.items():
        if name not in _KNOWN:
            raise InvalidOption(f"--opt {name}: the driver bridge has no such option; there are {one_of(_KNOWN)}")
        if name in (COMMUNICATION, MASQUERADE) and value.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise InvalidOption(f"--opt {name}={value}: write true or false")
        if name == MTU and not (value.isdecimal() and 68 <= int(value) <= 65535):
            raise InvalidOption(f"--opt {name}={value}: an MTU is a number from 68 to 65535")
        if name == BRIDGE_NAME and not (0 < len(value) <= _MOST_NAME and "/" not in value and value.isprintable()):
            raise InvalidOption(f"--opt {name}={value}: an interface's name has at most {_MOST_NAME} characters")


def _subnets(request: NetworkRequest, taken: Iterable[IPNetwork]) -> list[Subnet]:
    """The subnets that the flags give, each with its gateway, range and reserved addresses."""
    networks = [_network(text, "--subnet") for text in request.subnets]
    for place, network in enumerate(networks):
        hit = next((other for other in taken if _overlap(other, network)), None)
        if hit is not None:
            raise Conflict("network", request.name, f"Pool overlaps with other one on this address space: {hit}")
        if any(_overlap(network, other) for other in networks[:place]):
            raise InvalidOption("multiple overlapping subnet configuration is not supported")
        if any(network.version == other.version for other in networks[:place]):
            raise InvalidOption(f"--subnet {network}: the bridge driver has one subnet of IPv{network.version} at most")
    gateways = _assigned("--gateway", request.gateways, networks)
    ranges = _assigned("--ip-range", request.ip_ranges, networks)
    reserved = [(name, _assigned("--aux-address", [address], networks)) for name, address in request.reserved.items()]
    return [
        Subnet(
            str(network),
            gateways.get(network, str(network[1])),
            ranges.get(network, ""),
            {name: found[network] for name, found in reserved if network in found},
        )
        for network in networks
    ]


def _assigned(flag: str, values: Sequence[str], networks: Sequence[IPNetwork]) -> dict[IPNetwork, str]:
    """Each address, or range, by the subnet that it is in; raises InvalidOption where there is none."""
    found: dict[IPNetwork, str] = {}
    for value in values:
        inner = _network(value, flag)
        home = next((each for each in networks if each.version == inner.version and _overlap(each, inner)), None)
        if home is None:
            raise InvalidOption(f"no matching subnet for {flag.removeprefix('--')} {value}; give --subnet, too")
        if int(inner.network_address) < int(home.network_address) or inner.prefixlen < home.prefixlen:
            raise InvalidOption(f"{flag} {value}: it is larger than its subnet {home}")
        found[home] = str(inner) if flag == "--ip-range" else str(inner.network_address)
    return found


def _network(text: str, flag: str) -> IPNetwork:
    """A subnet as it is written; what isn't part of its prefix is dropped. Raises InvalidOption."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        form = (
            "an address such as 172.28.0.1" if flag in ("--gateway", "--aux-address") else "one such as 172.28.0.0/16"
        )
        raise InvalidOption(f"{flag} {text}: invalid CIDR address; write {form}") from None


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)
