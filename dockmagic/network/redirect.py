"""Queries to port 53 of the resolver's address, led to the ports where it listens, by nf_tables in a container.

So port 53 stays the container's own:

    table ip dockmagic_names {
        chain output {
            type nat hook output priority dstnat;
            ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:UDP_PORT
            ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:TCP_PORT
        }
    }
"""

from __future__ import annotations

import socket
from typing import Final

from dockmagic.linux import nftables as nft
from dockmagic.linux.netlink import NETLINK_NETFILTER, Message, Netlink
from dockmagic.runtime.resolv_conf import RESOLVER

_TABLE: Final = "dockmagic_names"
_CHAIN: Final = "output"
_DNS: Final = 53
_DESTINATION_ADDRESS: Final = 16  # offset in the IPv4 header
_DESTINATION_PORT: Final = 2  # offset in the header of UDP and TCP


def install(udp_port: int, tcp_port: int) -> None:
    """Lead queries to these ports, in this moment's network namespace, in place of rules before; raises OSError."""
    messages = (
        nft.new_table(nft.IPV4, _TABLE, exclusive=True),
        nft.base_chain(nft.IPV4, _TABLE, _CHAIN, "nat", nft.OUTPUT, nft.PRIORITY_DESTINATION_NAT),
        _rule(socket.IPPROTO_UDP, udp_port),
        _rule(socket.IPPROTO_TCP, tcp_port),
    )
    with Netlink(NETLINK_NETFILTER) as netlink:
        try:
            nft.commit(netlink, messages)
        except FileExistsError:  # of a resolver that was killed; to delete it takes the kernel forty times as long
            nft.commit(netlink, (nft.delete_table(nft.IPV4, _TABLE), *messages))


def _rule(protocol: int, port: int) -> Message:
    """The rule for queries over one protocol."""
    address = socket.inet_aton(RESOLVER)
    parts = (
        *(nft.payload(nft.NETWORK_HEADER, _DESTINATION_ADDRESS, len(address)), nft.equal(address)),
        *(nft.meta(nft.L4PROTO), nft.equal(bytes((protocol,)))),
        *(nft.payload(nft.TRANSPORT_HEADER, _DESTINATION_PORT, 2), nft.equal(_DNS.to_bytes(2))),
        *nft.destination(nft.IPV4, address, port),
    )
    return nft.new_rule(nft.IPV4, _TABLE, _CHAIN, parts)
