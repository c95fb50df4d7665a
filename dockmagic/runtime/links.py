"""A container's links: pairs of virtual Ethernet devices, one end on a bridge of the host, the other in its namespace.

Everything is done from the host's side, in a few batches of netlink messages, while process 1 is still busy with its
file systems; in the container nothing runs for it. A link dies with the namespace it leads into.
Source: veth(4), bridge(8).
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import nftables as nft
from dockmagic.linux import process as p
from dockmagic.linux import rtnetlink as rt
from dockmagic.linux.netlink import NETLINK_NETFILTER, Message, Netlink
from dockmagic.runtime.stage import Failed, stage

IPV4_PAIRS: Final = "ipv4"
IPV6_PAIRS: Final = "ipv6"
"""Names of the sets of pairs of a MAC and an IP address that packets may come from."""
PARKED_NAME: Final = "eth0"
_PATIENCE_S: Final = 1.0
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Interface:
    """A link to make: `name` in the container, and the name of the `bridge` it leads to.

    `addresses` are written "172.17.0.2/16". `gateways` get default routes. `routers` are addresses of the bridge, whose
    MAC is `router_mac`. `guard` is the table with the sets of addresses that may be used, "" for none. `key` begins the
    names of links on the host. `isolated` ports of a bridge don't reach each other.
    """

    name: str
    bridge: str
    mac: str
    addresses: tuple[str, ...]
    router_mac: str
    routers: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    key: str = ""
    guard: str = ""
    isolated: bool = False


def pair(mac: str, address: str) -> bytes:
    """An element of a guard's set."""
    return rt.mac_bytes(mac) + b"\0\0" + rt.packed(address)[1]


@dataclass(frozen=True, slots=True)
class Parked:
    """A link that is there before it is known what for: `name` in the container, and the numbers of both ends."""

    name: str
    port: int
    inner: int


def connect_all(namespace: int, interfaces: Iterable[Interface], parked: Parked | None = None) -> None:
    """Make these links for a network namespace, given by its descriptor; raises Failed.

    A `parked` one is used for the interface with its name.
    """
    with stage("network", "make the container's links"), _Links(namespace) as links:
        for interface in interfaces:
            links.connect(interface, parked)


def disconnect(namespace: int, name: str) -> None:
    """Remove the link with this name from a namespace; fine where there is none. Raises Failed."""
    with stage("network", f"remove the link {name}"), _Links(namespace) as links:
        links.disconnect(name)


def reroute(namespace: int, interface: Interface) -> None:
    """Have the default routes of a namespace be those through this link of it, if it has any. Raises Failed."""
    with stage("network", f"change the way out to {interface.name}"), _Links(namespace) as links:
        links.reroute(interface)


def park(namespace: int, key: str) -> Parked | None:
    """Make a link for a container to come; None where that can't be done, which whoever needs it will be told.

    To make one takes the kernel a millisecond, and ten while other namespaces come and go.
    """
    with contextlib.suppress(OSError), _Links(namespace) as links:
        return links.make(PARKED_NAME, key)
    return None


class _Links:
    """Two sockets, one of the host's namespace and one of the container's."""

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace
        with contextlib.ExitStack() as stack:
            self._host = stack.enter_context(Netlink())
            self._inside = stack.enter_context(netlink_in(self._namespace))
            self._held = stack.pop_all()

    def __enter__(self) -> _Links:
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def connect(self, wanted: Interface, parked: Parked | None) -> None:
        """Make a link, and everything that it takes to be used at once. Raises OSError, Failed."""
        bridge = self._host.index(wanted.bridge)
        if not bridge:
            reason = f"the bridge {wanted.bridge} is gone; somebody removed it just now: start the container again"
            raise Failed(Failure("network", errno.ENODEV, reason))
        if wanted.guard:
            self._allow(wanted)
        link = parked if parked and parked.name == wanted.name else self.make(wanted.name, wanted.key)
        mtu = rt.mtu_of(self._host, bridge)
        own = rt.change_link(link.inner, mac=wanted.mac, mtu=mtu, link_local=True if _has_ipv6(wanted) else None)
        self._inside.send([own, *_inner_messages(wanted, link.inner)])
        port = rt.change_link(link.port, mtu=mtu, master=bridge)
        self._host.send([port, *_port_messages(wanted, bridge, link.port)])

    def disconnect(self, name: str) -> None:
        """Remove a link. Raises OSError."""
        index = self._inside.index(name)
        if index:
            self._inside.send([rt.delete_link(index)])

    def reroute(self, wanted: Interface) -> None:
        """Replace the default routes by those through this link. Raises OSError."""
        index = self._inside.index(wanted.name)
        self._inside.send([rt.new_route(index, gateway) for gateway in wanted.gateways])

    def make(self, inner_name: str, key: str) -> Parked:
        """Make a pair of devices, both ends of which are up, and give themselves no address. Raises OSError."""
        for attempt in range(_TRIES):
            name = f"{link_prefix(key)}{base64.b32encode(os.urandom(5)).decode().lower()[:5]}"
            try:
                self._host.send([rt.new_veth(name, inner_name, self._namespace)])
                break
            except FileExistsError:
                if attempt == _TRIES - 1 or self._inside.index(inner_name):
                    raise
        link = Parked(inner_name, self._host.index(name), self._inside.index(inner_name))
        for netlink, index in ((self._host, link.port), (self._inside, link.inner)):
            netlink.send([rt.change_link(index, link_local=False), rt.change_link(index, up=True)])
        self._wait_until_up((self._host, link.port), (self._inside, link.inner))
        return link

    def _allow(self, wanted: Interface) -> None:
        """Note which addresses the link's packets may come from."""
        changes = []
        for name in (IPV4_PAIRS, IPV6_PAIRS):
            own = [
                address.partition("/")[0] for address in wanted.addresses if (":" in address) == (name == IPV6_PAIRS)
            ]
            if own:
                changes.append(
                    nft.add_elements(nft.BRIDGE, wanted.guard, name, [pair(wanted.mac, each) for each in own])
                )
        with Netlink(NETLINK_NETFILTER) as netfilter:
            nft.commit(netfilter, changes)

    @staticmethod
    def _wait_until_up(*ends: tuple[Netlink, int]) -> None:
        """Wait until both ends pass packets: the kernel notices a little later that they are connected."""
        deadline = time.monotonic() + _PATIENCE_S
        for netlink, index in ends:
            while not rt.is_up(netlink, index) and time.monotonic() < deadline:
                time.sleep(0.0005)


def _has_ipv6(wanted: Interface) -> bool:
    return any(":" in address for address in wanted.addresses)


def _inner_messages(wanted: Interface, index: int) -> list[Message]:
    """What makes the container's end useful: addresses, the bridge's place, the way out."""
    return [
        *(rt.new_address(index, address) for address in wanted.addresses),
        *(rt.new_neighbour(index, address, wanted.router_mac) for address in wanted.routers),
        *(rt.new_route(index, gateway) for gateway in wanted.gateways),
    ]


def _port_messages(wanted: Interface, bridge: int, port: int) -> list[Message]:
    """What ties the host's end to its MAC address: no other can be used behind it, nor elsewhere."""
    settings = {rt.IFLA_BRPORT_LEARNING: 0, rt.IFLA_BRPORT_UNICAST_FLOOD: 0, rt.IFLA_BRPORT_LOCKED: 1}
    if wanted.isolated:
        settings[rt.IFLA_BRPORT_ISOLATED] = 1
    addresses = [address.partition("/")[0] for address in wanted.addresses]
    return [
        rt.change_port(port, settings),
        rt.new_forwarding(port, wanted.mac),
        *(rt.new_neighbour(bridge, address, wanted.mac, rt.NUD_REACHABLE) for address in addresses),
    ]


@contextlib.contextmanager
def entered(namespace: int) -> Iterator[None]:
    """Have this thread in another network namespace inside the context. Raises OSError."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        p.setns(namespace, p.CLONE_NEWNET)
        yield
    finally:
        p.setns(own, p.CLONE_NEWNET)
        os.close(own)


def netlink_in(namespace: int) -> Netlink:
    """A netlink socket that belongs to another network namespace. Raises OSError."""
    with entered(namespace):
        return Netlink()


def link_prefix(key: str) -> str:
    """Begins the names of the host's ends of the links of a state root with this key."""
    return f"dv{key}"


def guard_table(key: str) -> str:
    """Name of the tables of a state root with this key."""
    return f"dockmagic-{key}"
