"""Network interfaces. Source: netdevice(7)."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from typing import Final

SIOCGIFCONF: Final = 0x8912
SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
_IFREQ: Final = struct.Struct("16sh14x8x")
_IFREQ_ADDRESS: Final = struct.Struct("16sHH4s16x")
_IFCONF: Final = struct.Struct("@iP")
_MOST: Final = 64


def link_up(name: str) -> None:
    """Switch the interface on; a loopback interface gets its addresses by that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, SIOCGIFFLAGS, _IFREQ.pack(name.encode(), 0))
        flags = _IFREQ.unpack(request)[1] | IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, _IFREQ.pack(name.encode(), flags))


def ipv4_addresses() -> list[tuple[str, str]]:
    """Name and address of the interfaces of this network namespace that have one; at most 64."""
    space = array.array("B", bytes(_MOST * _IFREQ_ADDRESS.size))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, SIOCGIFCONF, _IFCONF.pack(len(space), space.buffer_info()[0]))
    used = _IFCONF.unpack(answer)[0]
    return [
        (name.rstrip(b"\0").decode(), socket.inet_ntoa(address))
        for name, _, _, address in _IFREQ_ADDRESS.iter_unpack(space.tobytes()[:used])
    ]
