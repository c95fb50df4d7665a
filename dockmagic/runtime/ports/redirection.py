"""The kernel's own way to published ports: rules that lead connections from elsewhere straight to the container.

They are in a table of nf_tables that belongs to a socket, and goes with it, whatever ends the process that holds it.
The forwarder's sockets stay: they hold the ports, and serve what comes from containers and to addresses of the
loopback. Source: nft(8), "NAT statements"; linux/netfilter/nf_tables.h, NFT_TABLE_F_OWNER (Linux 5.12).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dockmagic.linux import nftables as nft
from dockmagic.linux.conntrack import forget
from dockmagic.linux.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Message, Netlink

CONTAINER_BRIDGES: Final = "dm*"
"""The names of bridges of containers, whose traffic the forwarder serves: rules would lead past their borders."""
_ANYWHERE: Final = "0.0.0.0"
_LOOPBACK: Final = (b"\xff\0\0\0", b"\x7f\0\0\0")  # a mask and what is left with it
_DESTINATION: Final = (nft.NETWORK_HEADER, 16, 4)
_ADDRESS_CHANGES: Final = 0x10  # RTMGRP_IPV4_IFADDR
_PROTOCOLS: Final = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}


@dataclass(frozen=True, slots=True)
class Port:
    """A socket of the host, and the port of the container that it leads to."""

    front: socket.socket
    port: int


class Redirection:
    """Rules in the network namespace in which this was made; none until `lead`."""

    def __init__(self) -> None:
        self._netlink: Netlink | None = Netlink(NETLINK_NETFILTER)

    def lead(self, ports: Sequence[Port], address: str) -> None:
        """Lead what comes to the ports to the container's address; nothing where the kernel or this host can't.

        UDP has no connections that end: what is known of earlier ones, to another container perhaps, is forgotten.
        """
        netlink = self._netlink
        try:
            if netlink is not None:
                nft.commit(netlink, list(_messages(f"dockmagic-ports-{os.getpid()}", ports, address)))
                for port in _datagram_ports(ports):
                    netlink.send([forget(socket.AF_INET, socket.IPPROTO_UDP, port)])
        except OSError:  # no nf_tables, no right to change it, or more rules than it takes at once
            self.close()

    def close(self) -> None:
        """Take the rules away."""
        netlink, self._netlink = self._netlink, None
        if netlink is not None:
            netlink.close()


def _datagram_ports(ports: Iterable[Port]) -> set[int]:
    """Ports of the host that take datagrams."""
    return {each.front.getsockname()[1] for each in ports if each.front.type == socket.SOCK_DGRAM}


def _messages(table: str, ports: Sequence[Port], address: str) -> Iterator[Message]:
    """Requests for the table: what comes to the host from elsewhere, or from itself, goes through a rule a port."""
    nat = nft.PRIORITY_DESTINATION_NAT
    yield nft.new_table(nft.IPV4, table, owned=True)
    yield nft.new_chain(nft.IPV4, table, "ports")
    yield nft.base_chain(nft.IPV4, table, "prerouting", "nat", nft.PREROUTING, nat)
    yield nft.base_chain(nft.IPV4, table, "output", "nat", nft.OUTPUT, nat)
    for chain, parts in (
        ("prerouting", nft.interface(nft.IIFNAME, CONTAINER_BRIDGES, negated=True)),
        ("output", (nft.payload(*_DESTINATION), nft.masked(_LOOPBACK[0]), nft.equal(_LOOPBACK[1], negated=True))),
    ):
        yield nft.new_rule(nft.IPV4, table, chain, (*parts, *nft.to_this_host(), nft.verdict(nft.JUMP, "ports")))
    for each in ports:
        if each.front.family == socket.AF_INET and not each.front.getsockname()[0].startswith("127."):
            yield nft.new_rule(nft.IPV4, table, "ports", _rule(each, address))


def _rule(port: Port, address: str) -> Iterator[bytes]:
    """The parts of one port's rule."""
    host_ip, host_port = port.front.getsockname()
    if host_ip != _ANYWHERE:
        yield nft.payload(*_DESTINATION)
        yield nft.equal(socket.inet_aton(host_ip))
    yield nft.meta(nft.L4PROTO)
    yield nft.equal(bytes((_PROTOCOLS[port.front.type],)))
    yield nft.payload(nft.TRANSPORT_HEADER, 2, 2)
    yield nft.equal(struct.pack(">H", host_port))
    yield from nft.destination(nft.IPV4, socket.inet_aton(address), port.port)


class AddressChanges:
    """Tells when an address of this network namespace comes or goes."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        """Raises OSError."""
        self._on_change = on_change
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_ROUTE)
        self._socket.bind((0, _ADDRESS_CHANGES))

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._socket.fileno()

    def answer(self) -> bool:
        """Take what was told, and pass on that there was something."""
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(1 << 16):
                pass
        self._on_change()
        return False
