"""UDP through the forwarder: each client has a socket of its own to the container. Source: udp(7), ip(7), ipv6(7)."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from dockmagic.runtime.ports.loop import READABLE, Loop

IDLE_S: Final = 90.0
"""A client that is silent for so long is forgotten, as by Docker's proxy."""
_CLIENTS: Final = 4096  # of one socket; more of them drive out those that were silent longest
_TURNS: Final = 64  # datagrams that one socket moves before others have their turn
_LARGEST: Final = 65535
_IP_PKTINFO: Final = 8
_IPV6_PKTINFO: Final = 50
_IPV6_RECVPKTINFO: Final = 49
_FOUR: Final = struct.Struct("@i4s4s")  # interface, local address, address in the header
_SPACE: Final = socket.CMSG_SPACE(20)

Control = tuple[tuple[int, int, bytes], ...]
Peer = tuple[Any, Control]
"""A client, and by which address of the host it came, as a control message that answers take with them."""


class Client:
    """A client's socket to the container; what comes from there goes back to the client."""

    __slots__ = ("_back", "_front", "_peer", "used")

    def __init__(self, front: socket.socket, peer: Peer, address: tuple[str, int]) -> None:
        """Raises OSError."""
        self._front, self._peer = front, peer
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.used = time.monotonic()
        try:
            self._back.connect(address)
        except BaseException:
            self._back.close()
            raise

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._back.fileno()

    def send(self, data: bytes) -> None:
        """Give a datagram to the container; one that it can't take is lost, as they may be."""
        with contextlib.suppress(OSError):
            self._back.send(data)

    def answer(self) -> bool:
        """Give the client what the container says."""
        self.used = time.monotonic()
        address, control = self._peer
        for _ in range(_TURNS):
            try:
                data = self._back.recv(_LARGEST)
            except BlockingIOError:
                return False
            except OSError:  # told that nobody listens there now, which may change
                continue
            with contextlib.suppress(OSError):
                self._front.sendmsg([data], control, 0, address)
        return False

    def close(self) -> None:
        """Close the socket."""
        self._back.close()


class Datagrams:
    """A socket of the host that takes datagrams for the container."""

    def __init__(self, loop: Loop, front: socket.socket, target: Callable[[], tuple[str, int]]) -> None:
        """`target` tells the container's address, as it is when a client comes."""
        self._loop, self._front, self._target = loop, front, target
        self._clients: dict[Peer, Client] = {}  # who was silent longest comes first
        self._due = 0.0  # when the next one may have been silent for long enough
        front.setblocking(False)
        if front.family == socket.AF_INET6:
            front.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            front.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.watch(front.fileno(), READABLE, self._answer)
        loop.at(self.expire)

    def _answer(self) -> bool:
        """Pass datagrams on."""
        for _ in range(_TURNS):
            try:
                data, control, _, address = self._front.recvmsg(_LARGEST, _SPACE)
            except OSError:
                return False
            with contextlib.suppress(OSError):  # no descriptors left: this datagram is lost
                self._client((address, _back(control))).send(data)
        return False

    def _client(self, peer: Peer) -> Client:
        """The client, known or new; it is now the one that spoke last. Raises OSError."""
        client = self._clients.pop(peer, None)
        if client is None:
            if len(self._clients) >= _CLIENTS:
                self._drop(next(iter(self._clients)))
            client = Client(self._front, peer, self._target())
            self._loop.watch(client.fileno(), READABLE, client.answer)
        client.used = time.monotonic()
        self._clients[peer] = client
        return client

    def _drop(self, peer: Peer) -> None:
        client = self._clients.pop(peer)
        self._loop.forget(client.fileno())
        client.close()

    def expire(self, now: float) -> float | None:
        """Forget clients that have been silent; when to look again, None while there are none."""
        if now >= self._due:
            for peer, client in list(self._clients.items()):
                if client.used + IDLE_S <= now:
                    self._drop(peer)
            self._due = min((client.used for client in self._clients.values()), default=now) + IDLE_S
        return self._due if self._clients else None


def _back(control: list[tuple[int, int, bytes]]) -> Control:
    """The control message with which an answer leaves from the address that the question came to."""
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _, local, _ = _FOUR.unpack(data[: _FOUR.size])
            return ((level, kind, _FOUR.pack(0, local, bytes(4))),)
        if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            interface = data[16:] if data[0] == 0xFE and data[1] & 0xC0 == 0x80 else bytes(4)  # link-local
            return ((level, kind, data[:16] + interface),)
    return ()
