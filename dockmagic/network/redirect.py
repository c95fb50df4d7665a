"""Queries to port 53 of the resolver's address, led to the ports where it listens, by nftables in a container.

So port 53 stays the container's own. Rules are sent as messages of netlink, since no program may have to start for each
container:

    table ip dockmagic_names {
        chain output {
            type nat hook output priority -100;
            ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:UDP_PORT
            ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:TCP_PORT
        }
    }

Source: netlink(7); nft(8); linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from dockmagic.runtime.resolv_conf import RESOLVER

_TABLE: Final = "dockmagic_names"
_CHAIN: Final = "output"
_DNS: Final = 53

_NETLINK_NETFILTER: Final = 12
_SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN: Final = 16
_BATCH_END: Final = 17
_NEW_TABLE: Final = _SUBSYSTEM << 8
_DELETE_TABLE: Final = _SUBSYSTEM << 8 | 2
_NEW_CHAIN: Final = _SUBSYSTEM << 8 | 3
_NEW_RULE: Final = _SUBSYSTEM << 8 | 6
_REQUEST, _ACK, _EXCLUSIVE, _CREATE, _APPEND = 0x1, 0x4, 0x200, 0x400, 0x800
_NESTED: Final = 0x8000
_ERROR: Final = 2  # NLMSG_ERROR

_IPV4: Final = 2  # NFPROTO_IPV4
_OUTPUT: Final = 3  # NF_INET_LOCAL_OUT
_NAT_PRIORITY: Final = -100
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_DESTINATION_ADDRESS, _DESTINATION_PORT = 16, 2  # offsets in the headers
_PROTOCOL: Final = 16  # NFT_META_L4PROTO
_DNAT: Final = 1
_REGISTER, _OTHER_REGISTER = 1, 2


def install(udp_port: int, tcp_port: int) -> None:
    """Lead queries to these ports, in this moment's network namespace, in place of rules before; raises OSError."""
    table = _text(1, _TABLE)
    hook = _nested(4, _number(1, _OUTPUT) + _number(2, _NAT_PRIORITY))
    messages = (
        _message(_NEW_TABLE, table, _CREATE | _EXCLUSIVE),
        _message(_NEW_CHAIN, table + _text(3, _CHAIN) + hook + _text(7, "nat"), _CREATE),
        _message(_NEW_RULE, _rule(socket.IPPROTO_UDP, udp_port), _CREATE | _APPEND),
        _message(_NEW_RULE, _rule(socket.IPPROTO_TCP, tcp_port), _CREATE | _APPEND),
    )
    try:
        _commit(*messages)
    except FileExistsError:  # of a resolver that was killed; to delete it takes the kernel forty times as long
        _commit(_message(_DELETE_TABLE, table), *messages)


def _commit(*messages: bytes) -> None:
    """Have all messages take effect together; raises OSError where one can't."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as connection:
        batch = (_message(_BATCH_BEGIN, b"", number=_SUBSYSTEM), *messages)
        connection.send(b"".join((*batch, _message(_BATCH_END, b"", _ACK, number=_SUBSYSTEM))))
        for code in _codes(connection.recv(1 << 16)):
            if code:
                raise OSError(code, os.strerror(code))


def _codes(data: bytes) -> Iterator[int]:
    """Error codes of the answers, 0 for success."""
    while data:
        length, kind = struct.unpack_from("=IH", data)
        if kind == _ERROR:
            yield -struct.unpack_from("=i", data, 16)[0]
        data = data[length + 3 & ~3 :]


def _rule(protocol: int, port: int) -> bytes:
    """The rule for queries over one protocol."""
    address = socket.inet_aton(RESOLVER)
    expressions = (
        _expression("payload", _load(_NETWORK_HEADER, _DESTINATION_ADDRESS, 4)),
        _expression("cmp", _equal(address)),
        _expression("meta", _number(1, _REGISTER) + _number(2, _PROTOCOL)),
        _expression("cmp", _equal(bytes((protocol,)))),
        _expression("payload", _load(_TRANSPORT_HEADER, _DESTINATION_PORT, 2)),
        _expression("cmp", _equal(_DNS.to_bytes(2))),
        _expression("immediate", _number(1, _REGISTER) + _nested(2, _attribute(1, address))),
        _expression("immediate", _number(1, _OTHER_REGISTER) + _nested(2, _attribute(1, port.to_bytes(2)))),
        _expression("nat", _number(1, _DNAT) + _number(2, _IPV4) + _number(3, _REGISTER) + _number(5, _OTHER_REGISTER)),
    )
    return _text(1, _TABLE) + _text(2, _CHAIN) + _nested(4, b"".join(expressions))


def _load(header: int, offset: int, length: int) -> bytes:
    """Attributes that load a part of a packet into a register."""
    return _number(1, _REGISTER) + _number(2, header) + _number(3, offset) + _number(4, length)


def _equal(value: bytes) -> bytes:
    """Attributes that compare the register with a value."""
    return _number(1, _REGISTER) + _number(2, 0) + _nested(3, _attribute(1, value))


def _expression(name: str, attributes: bytes) -> bytes:
    return _nested(1, _text(1, name) + _nested(2, attributes))


def _message(kind: int, attributes: bytes, flags: int = 0, *, number: int = 0) -> bytes:
    """A message; `number` is that of the subsystem, for the ends of a batch."""
    content = struct.pack(">BBH", _IPV4 if number == 0 else 0, 0, number) + attributes
    return struct.pack("=IHHII", 16 + len(content), kind, _REQUEST | flags, 0, 0) + content


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _nested(kind: int, attributes: bytes) -> bytes:
    return _attribute(kind | _NESTED, attributes)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return _attribute(kind, struct.pack(">i", number))
