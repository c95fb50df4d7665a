"""Ports that a container publishes: what was asked for, what came of it, and how Docker writes either. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

ANY: Final = ("0.0.0.0", "::")
"""Where a port is published that was asked for without an address."""


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A port of the container, and where on the host it is wanted: `host_ip` "" is everywhere.

    The first free port from `host_port` to `last_host_port` is taken; 0 leaves the choice to the kernel.
    """

    port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    last_host_port: int = 0

    @property
    def name(self) -> str:
        """The container's port, such as "80/tcp"."""
        return f"{self.port}/{self.protocol}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The host's addresses that it is for."""
        return (self.host_ip,) if self.host_ip else ANY


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a running container, and an address and a port of the host that lead there."""

    port: int
    protocol: str
    host_ip: str
    host_port: int

    @property
    def name(self) -> str:
        """The container's port, such as "80/tcp"."""
        return f"{self.port}/{self.protocol}"

    @property
    def place(self) -> str:
        """Address and port of the host, such as "[::]:8080"."""
        return place(self.host_ip, self.host_port)


def place(address: str, port: int | str) -> str:
    """An address with a port.

    >>> place("::1", 80), place("127.0.0.1", "80-81")
    ('[::1]:80', '127.0.0.1:80-81')
    """
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def order(name: str) -> tuple[int, str]:
    """Key that sorts "80/tcp" by its number."""
    port, _, protocol = name.partition("/")
    return int(port), protocol


def wanted(
    publish: Iterable[PortBinding], exposed: Iterable[str], *, publish_all: bool = False
) -> tuple[PortBinding, ...]:
    """The bindings of a container; with `publish_all` one for each port that it exposes and that has none yet."""
    bindings = tuple(publish)
    if not publish_all:
        return bindings
    named = {binding.name for binding in bindings}
    ports = (order(name) for name in exposed if name not in named)
    return (*bindings, *(PortBinding(port, protocol) for port, protocol in sorted(ports)))


def exposed(image: Iterable[str], given: Iterable[str], publish: Iterable[PortBinding]) -> tuple[str, ...]:
    """The ports that a container exposes: its image's, those that were given, those that are published; sorted."""
    return tuple(sorted({*image, *given, *(binding.name for binding in publish)}, key=order))


def column(exposed_ports: Iterable[str], published: Iterable[Published]) -> str:
    """The ports as `ps` shows them: "0.0.0.0:8080->80/tcp, 443/tcp"; neighbours that keep their numbers in one range.

    Source: docker/cli, formatter.DisplayablePorts.
    """
    taken = list(published)
    shown = {each.name for each in taken}
    bare = [Published(*order(name), "", 0) for name in exposed_ports if name not in shown]
    groups: dict[str, list[tuple[int, int]]] = {}
    mapped = []
    for each in sorted([*taken, *bare], key=lambda it: (it.port, it.host_ip, it.host_port, it.protocol)):
        if each.host_ip and each.host_port != each.port:
            mapped.append(f"{each.place}->{each.name}")
        else:
            _extend(groups.setdefault(f"{each.host_ip}/{each.protocol}", []), each.port)
    ranges = [_range_text(key, *limits) for key, found in groups.items() for limits in found]
    return ", ".join([*ranges, *mapped])


def _extend(ranges: list[tuple[int, int]], port: int) -> None:
    """Add the port to the last range where it comes next, else begin another."""
    if ranges and port == ranges[-1][1] + 1:
        ranges[-1] = (ranges[-1][0], port)
    else:
        ranges.append((port, port))


def _range_text(key: str, first: int, last: int) -> str:
    """A range of ports at the address and protocol of the key."""
    address, _, protocol = key.rpartition("/")
    ports = str(first) if first == last else f"{first}-{last}"
    return f"{place(address, ports)}->{ports}/{protocol}" if address else f"{ports}/{protocol}"


def port_map(exposed_ports: Iterable[str], published: Sequence[Published]) -> dict[str, Any]:
    """`NetworkSettings.Ports` of inspect: addresses by port of the container, None where it isn't published."""
    found: dict[str, list[dict[str, str]]] = {}
    for each in published:
        found.setdefault(each.name, []).append({"HostIp": each.host_ip, "HostPort": str(each.host_port)})
    return {name: found.get(name) for name in sorted({*exposed_ports, *found}, key=order)}


def binding_map(bindings: Iterable[PortBinding]) -> dict[str, Any]:
    """`HostConfig.PortBindings` of inspect: what was asked for, by port of the container."""
    found: dict[str, list[dict[str, str]]] = {}
    for each in bindings:
        text = str(each.host_port) if each.host_port else ""
        if each.last_host_port > each.host_port:
            text = f"{each.host_port}-{each.last_host_port}"
        found.setdefault(each.name, []).append({"HostIp": each.host_ip, "HostPort": text})
    return found
