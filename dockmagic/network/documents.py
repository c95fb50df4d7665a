"""Networks, and a container's places in them, in the JSON shapes of `docker inspect`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from dockmagic.network.model import Endpoint, Network


def network_document(network: Network, places: Iterable[Endpoint], name_of: Callable[[str], str]) -> dict[str, Any]:
    """A network; `places` are those of containers that run, whose names `name_of` tells by their IDs."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": datetime.fromtimestamp(network.created_ns // 10**9).astimezone().isoformat(),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": network.ipv6,
        "IPAM": {"Driver": "default", "Options": {}, "Config": _ipam(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {place.container_id: _member(place, name_of(place.container_id)) for place in places},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


def _ipam(network: Network) -> list[dict[str, Any]]:
    found = []
    for subnet in network.subnets:
        facts: dict[str, Any] = {"Subnet": subnet.cidr}
        facts |= {"IPRange": subnet.ip_range} if subnet.ip_range else {}
        facts |= {"Gateway": subnet.gateway}
        facts |= {"AuxiliaryAddresses": dict(subnet.reserved)} if subnet.reserved else {}
        found.append(facts)
    return found


def _member(place: Endpoint, name: str) -> dict[str, str]:
    by_version = {":" in address: address for address in place.addresses}
    return {
        "Name": name,
        "EndpointID": endpoint_id(place),
        "MacAddress": place.mac,
        "IPv4Address": by_version.get(False, ""),
        "IPv6Address": by_version.get(True, ""),
    }


def endpoint_id(place: Endpoint) -> str:
    """The ID of a place, made of those of its network and its container."""
    return f"{int(place.network.id, 16) ^ int(place.container_id, 16):064x}"


def container_settings(places: Sequence[Endpoint], *, running: bool) -> dict[str, Any]:
    """The "NetworkSettings" of a container; its addresses only while it runs. The first fields are the bridge's."""
    default = next((place for place in places if place.network.predefined), None)
    facts = _endpoint(default, places, running=running) if default else {}
    first = ("EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen")
    return {
        "Bridge": "",
        **{name: facts.get(name, 0 if name.endswith("Len") else "") for name in first},
        "IPv6Gateway": facts.get("IPv6Gateway", ""),
        "MacAddress": facts.get("MacAddress", ""),
        "Networks": {place.network.name: _endpoint(place, places, running=running) for place in places},
    }


def _endpoint(place: Endpoint, places: Sequence[Endpoint], *, running: bool) -> dict[str, Any]:
    """One entry of "Networks"."""
    options = place.options
    asked = {"IPv4Address": options.ipv4, "IPv6Address": options.ipv6}
    ipv4, ipv6 = place.network.subnet(4), place.network.subnet(6)
    there, there6 = running and ipv4 and place.ipv4, running and ipv6 and place.ipv6
    return {
        "IPAMConfig": {name: value for name, value in asked.items() if value} or None,
        "Links": None,
        "Aliases": list(options.aliases) or None,
        "MacAddress": place.mac if running else options.mac,
        "DriverOpts": dict(options.driver_options) or None,
        "GwPriority": options.gateway_priority,
        "NetworkID": place.network.id,
        "EndpointID": endpoint_id(place) if running else "",
        "Gateway": ipv4.gateway if there and ipv4 and not place.network.internal else "",
        "IPAddress": place.ipv4 if there else "",
        "IPPrefixLen": ipv4.prefix if there and ipv4 else 0,
        "IPv6Gateway": ipv6.gateway if there6 and ipv6 and not place.network.internal else "",
        "GlobalIPv6Address": place.ipv6 if there6 else "",
        "GlobalIPv6PrefixLen": ipv6.prefix if there6 and ipv6 else 0,
        "DNSNames": list(place.aliases) if place.aliases else None,
    }


def elsewhere_settings(mode: str, network: Network | None) -> dict[str, Any]:
    """The "NetworkSettings" of a container on the host's network or none, or on that of another container."""
    settings = container_settings((), running=False)
    if network is not None:
        settings["Networks"] = {mode: {"NetworkID": network.id, "IPAddress": "", "MacAddress": "", "Aliases": None}}
    return settings
