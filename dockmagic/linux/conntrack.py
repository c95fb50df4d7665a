"""Requests to forget connections that the kernel tracks. Source: linux/netfilter/nfnetlink_conntrack.h (Linux 5.8)."""

from __future__ import annotations

import struct
from typing import Final

from dockmagic.linux.netlink import Message, attribute, nest

_SUBSYSTEM: Final = 1
_DELETE: Final = 2
_TUPLE_ORIG: Final = 1
_TUPLE_PROTO: Final = 2
_PROTO_NUM: Final = 1
_PROTO_DST_PORT: Final = 3
_FILTER: Final = 25
_FILTER_ORIG_FLAGS: Final = 1
_BY_PROTOCOL: Final = 1 << 3
_BY_DESTINATION_PORT: Final = 1 << 5


def forget(family: int, protocol: int, port: int) -> Message:
    """Forget all connections of this protocol that began as ones to this port; `family` and `protocol` by number."""
    proto = attribute(_PROTO_NUM, bytes((protocol,))), attribute(_PROTO_DST_PORT, struct.pack(">H", port))
    flags = attribute(_FILTER_ORIG_FLAGS, struct.pack("=I", _BY_PROTOCOL | _BY_DESTINATION_PORT))
    body = nest(_TUPLE_ORIG, nest(_TUPLE_PROTO, *proto)), nest(_FILTER, flags)
    head = struct.pack(">BBH", family, 0, 0)
    return Message(_SUBSYSTEM << 8 | _DELETE, 0, head + b"".join(body), f"forget connections to port {port}")
