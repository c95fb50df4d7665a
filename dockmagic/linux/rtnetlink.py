"""Requests about links, addresses, routes and neighbours. Source: rtnetlink(7), linux/if_link.h, linux/neighbour.h."""

from __future__ import annotations

import socket
import struct
from typing import Final

from dockmagic.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    Netlink,
    attribute,
    attributes,
    nest,
    text,
)

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_NEWROUTE: Final = 24
RTM_GETROUTE: Final = 26
RTM_NEWNEIGH: Final = 28
RTM_NEWQDISC: Final = 36
RTM_DELQDISC: Final = 37

IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_MASTER: Final = 10
IFLA_LINK: Final = 5
IFLA_OPERSTATE: Final = 16
IFLA_LINKINFO: Final = 18
IFLA_AF_SPEC: Final = 26
IFLA_NET_NS_FD: Final = 28
IFLA_INFO_KIND: Final = 1
IFLA_INFO_DATA: Final = 2
IFLA_INFO_SLAVE_KIND: Final = 4
IFLA_INFO_SLAVE_DATA: Final = 5
VETH_INFO_PEER: Final = 1
IFLA_INET6_ADDR_GEN_MODE: Final = 8
ADDR_GEN_EUI64: Final = 0
ADDR_GEN_NONE: Final = 1
IFLA_BRPORT_LEARNING: Final = 8
IFLA_BRPORT_UNICAST_FLOOD: Final = 9
IFLA_BRPORT_ISOLATED: Final = 33
IFLA_BRPORT_LOCKED: Final = 39

IFF_UP: Final = 1
IF_OPER_UP: Final = 6
IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_FLAGS: Final = 8
IFA_F_NODAD: Final = 0x02
RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_METRICS: Final = 8
RT_TABLE_MAIN: Final = 254
RTPROT_BOOT: Final = 3
RTN_UNICAST: Final = 1
NDA_DST: Final = 1
NDA_LLADDR: Final = 2
NUD_REACHABLE: Final = 0x02
NUD_NOARP: Final = 0x40
NUD_PERMANENT: Final = 0x80
NTF_MASTER: Final = 0x04
AF_BRIDGE: Final = 7

_LINK: Final = struct.Struct("=BxHiII")
_ADDRESS: Final = struct.Struct("=BBBBi")
TCA_KIND: Final = 1
TCA_OPTIONS: Final = 2
TCA_TBF_PARMS: Final = 1
TCA_TBF_RATE64: Final = 4
TCA_TBF_BURST: Final = 6
TCA_NETEM_RATE: Final = 6
TCA_NETEM_RATE64: Final = 8
TCA_NETEM_LATENCY64: Final = 10
TC_LINKLAYER_ETHERNET: Final = 1
TC_H_ROOT: Final = 0xFFFF_FFFF

_QUEUE: Final = struct.Struct("=BxxxiIII")
_TBF_RATE: Final = struct.Struct("=BBHhHI")
_NETEM: Final = struct.Struct("=IIIIII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
_NEW: Final = NLM_F_CREATE | NLM_F_EXCL


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def mac_bytes(mac: str) -> bytes:
    """The six bytes of a MAC address."""
    return bytes.fromhex(mac.replace(":", ""))


def packed(address: str) -> tuple[int, bytes]:
    """Family and bytes of an IP address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _generation(mode: int) -> bytes:
    """The attribute on which addresses of IPv6 a link gives itself."""
    return nest(IFLA_AF_SPEC, nest(socket.AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, bytes((mode,)))))


def new_bridge(name: str, mac: str, mtu: int) -> Message:
    """Make a bridge, which is down."""
    info = nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"))
    own = text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac_bytes(mac)) + _number(IFLA_MTU, mtu)
    return Message(RTM_NEWLINK, _NEW, _LINK.pack(0, 0, 0, 0, 0) + own + info, f"make the bridge {name}")


def new_veth(name: str, peer: str, namespace: int) -> Message:
    """Make a pair of links that are down: `name` here, `peer` in the namespace of this descriptor."""
    ends = _LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, peer) + _number(IFLA_NET_NS_FD, namespace)
    pair = nest(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, ends))
    info = nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), pair)
    here = _LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name)
    return Message(RTM_NEWLINK, _NEW, here + info, f"make the link {name}")


def change_link(
    index: int,
    *,
    name: str = "",
    mac: str = "",
    up: bool = False,
    master: int | None = None,
    link_local: bool | None = None,
    mtu: int = 0,
) -> Message:
    """Change what is given of a link; with index 0 the one of this name.

    `master` 0 takes it out of its bridge; `link_local` says whether it gives itself such an address of IPv6.
    """
    change = IFF_UP if up else 0
    body = _LINK.pack(0, 0, index, change, change)
    body += text(IFLA_IFNAME, name) if name else b""
    body += attribute(IFLA_ADDRESS, mac_bytes(mac)) if mac else b""
    body += _number(IFLA_MTU, mtu) if mtu else b""
    body += b"" if master is None else _number(IFLA_MASTER, master)
    if link_local is not None:
        body += _generation(ADDR_GEN_EUI64 if link_local else ADDR_GEN_NONE)
    return Message(RTM_NEWLINK, 0, body, f"change the link {name or index}")


def change_port(index: int, settings: dict[int, int]) -> Message:
    """Change settings (IFLA_BRPORT_…) of a bridge's port."""
    data = (attribute(kind, bytes((value,))) for kind, value in settings.items())
    info = nest(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), nest(IFLA_INFO_SLAVE_DATA, *data))
    return Message(RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0) + info, f"set up the bridge's port {index}")


def delete_link(index: int) -> Message:
    """Remove a link; that waits for the kernel."""
    return Message(RTM_DELLINK, 0, _LINK.pack(0, 0, index, 0, 0), f"remove the link {index}")


def new_address(index: int, address: str) -> Message:
    """Give a link an address such as "172.17.0.2/16", which counts at once."""
    host, _, prefix = address.partition("/")
    family, raw = packed(host)
    body = _ADDRESS.pack(family, int(prefix), 0, 0, index) + attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)
    if family == socket.AF_INET6:
        body += _number(IFA_FLAGS, IFA_F_NODAD)
    return Message(RTM_NEWADDR, _NEW, body, f"give the address {address}")


def new_route(index: int, gateway: str) -> Message:
    """Make a default route through a gateway on this link."""
    family, raw = packed(gateway)
    body = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
    body += attribute(RTA_GATEWAY, raw) + _number(RTA_OIF, index)
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"make the route through {gateway}")


def new_tbf(index: int, rate_bytes: int, burst: int, limit: int) -> Message:
    """Have a link send so many bytes a second: `burst` of them at once, while at most `limit` wait."""
    rate = _TBF_RATE.pack(0, TC_LINKLAYER_ETHERNET, 0, 0, 0, min(rate_bytes, 2**32 - 1))
    parameters = rate + bytes(_TBF_RATE.size) + struct.pack("=III", limit, 0, 0)
    options = attribute(TCA_TBF_PARMS, parameters) + _number(TCA_TBF_BURST, burst)
    options += attribute(TCA_TBF_RATE64, struct.pack("=Q", rate_bytes)) if rate_bytes >= 2**32 else b""
    return _new_queue(index, "tbf", options)


def new_netem(index: int, rate_bytes: int, latency_ns: int, limit: int) -> Message:
    """Have what a link sends wait in a queue of at most `limit` packets: so many bytes a second, 0 for any, so late."""
    options = _NETEM.pack(0, limit, 0, 0, 0, 0) + attribute(TCA_NETEM_LATENCY64, struct.pack("=q", latency_ns))
    if rate_bytes:
        options += attribute(TCA_NETEM_RATE, struct.pack("=IiIi", min(rate_bytes, 2**32 - 1), 0, 0, 0))
        options += attribute(TCA_NETEM_RATE64, struct.pack("=Q", rate_bytes)) if rate_bytes >= 2**32 else b""
    return _new_queue(index, "netem", options)


def _new_queue(index: int, kind: str, options: bytes) -> Message:
    body = _QUEUE.pack(socket.AF_UNSPEC, index, 0, TC_H_ROOT, 0)
    body += text(TCA_KIND, kind) + attribute(TCA_OPTIONS, options)
    return Message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body, f"make a queue ({kind})")


def delete_queue(index: int) -> Message:
    """Have the link's usual queue again."""
    return Message(RTM_DELQDISC, 0, _QUEUE.pack(socket.AF_UNSPEC, index, 0, TC_H_ROOT, 0), "remove a queue")


def new_neighbour(index: int, address: str, mac: str, state: int = NUD_PERMANENT) -> Message:
    """Say which MAC address an address on this link has, so that nobody has to be asked."""
    family, raw = packed(address)
    body = _NEIGHBOUR.pack(family, index, state, 0, 0) + attribute(NDA_DST, raw)
    body += attribute(NDA_LLADDR, mac_bytes(mac))
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"note where {address} is")


def new_forwarding(port: int, mac: str) -> Message:
    """Say behind which port of its bridge a MAC address is."""
    body = _NEIGHBOUR.pack(AF_BRIDGE, port, NUD_NOARP, NTF_MASTER, 0) + attribute(NDA_LLADDR, mac_bytes(mac))
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"note the port of {mac}")


def routes(netlink: Netlink) -> list[tuple[str, int, int]]:
    """Destinations of all routes of the main table as (address, prefix, index of the link); ("", 0, …) is any."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for body in netlink.ask(Message(RTM_GETROUTE, NLM_F_DUMP, _ROUTE.pack(family, *(0,) * 8), "list routes")):
            _, prefix, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
            more = attributes(body[_ROUTE.size :])
            if table == RT_TABLE_MAIN and kind == RTN_UNICAST:
                index = struct.unpack("=I", more[RTA_OIF])[0] if RTA_OIF in more else 0
                found.append((socket.inet_ntop(family, more[RTA_DST]) if RTA_DST in more else "", prefix, index))
    return found


def mtu_of(netlink: Netlink, index: int) -> int:
    """The MTU of a link, in bytes; raises OSError."""
    return int(struct.unpack("=I", _facts(netlink, index)[IFLA_MTU])[0])


def peer_of(netlink: Netlink, index: int) -> int:
    """The number, in its own namespace, of the other end of a pair of devices; raises OSError."""
    return int(struct.unpack("=I", _facts(netlink, index)[IFLA_LINK])[0])


def is_up(netlink: Netlink, index: int) -> bool:
    """Whether a link passes packets; raises OSError."""
    return _facts(netlink, index)[IFLA_OPERSTATE][0] == IF_OPER_UP


def _facts(netlink: Netlink, index: int) -> dict[int, bytes]:
    """What the kernel tells of a link."""
    asked = Message(RTM_GETLINK, 0, _LINK.pack(0, 0, index, 0, 0), f"look at the link {index}")
    return attributes(next(netlink.ask(asked))[_LINK.size :])
