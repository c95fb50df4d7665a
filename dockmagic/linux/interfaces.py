"""Network interfaces. Source: netdevice(7)."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import Final

SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
_IFREQ: Final = struct.Struct("16sh14x8x")


def link_up(name: str) -> None:
    """Switch the interface on; a loopback interface gets its addresses by that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, SIOCGIFFLAGS, _IFREQ.pack(name.encode(), 0))
        flags = _IFREQ.unpack(request)[1] | IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, _IFREQ.pack(name.encode(), flags))
