"""Networks that a container asks for. Source: docker run's reference, "--network"; Engine API, "EndpointSettings"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

BRIDGE: Final = "bridge"
HOST: Final = "host"
NONE: Final = "none"
DEFAULT: Final = "default"
"""The network of a container that asks for none: the one called bridge."""
PREDEFINED: Final = (BRIDGE, HOST, NONE)


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How a container is connected to one network, by the network's name or ID.

    `ipv4` and `ipv6` are addresses that it asks for, "" for any; `mac` likewise. Other containers of the network find
    it by `aliases`, too. The network with the highest `gateway_priority` has the default route. `interface` is the
    name of its link in the container, "" for the next of eth0, eth1, ….
    """

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    gateway_priority: int = 0
    interface: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a container's links are slowed down, each direction by itself.

    `rate_bits` are bits a second, `latency_us` are microseconds that a packet takes more; 0 is as it is.
    """

    rate_bits: int = 0
    latency_us: int = 0

    def __bool__(self) -> bool:
        return bool(self.rate_bits or self.latency_us)


def has_own_links(mode: str) -> bool:
    """Whether a container with this `--network` is connected to networks: not with host, none or container:NAME.

    >>> has_own_links("default"), has_own_links("backend"), has_own_links("none"), has_own_links("container:web")
    (True, True, False, False)
    """
    return mode not in (HOST, NONE) and not mode.startswith("container:")
